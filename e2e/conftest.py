"""The local cluster that end-to-end tests share: started once per run, in a folder of its own."""

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from atoll.local.binaries import Binaries, ensure_binaries
from atoll.local.controlplane import ControlPlane, Profile, Provisioning
from atoll.local.development import DEVELOPMENT_OFFERINGS
from atoll.local.kwok import Pace

QUICK = Pace(pod_start_seconds=0.5, pod_stop_seconds=1, node_start_seconds=1)


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    """The control plane's programs, built if they are not there yet."""
    return ensure_binaries()


@pytest.fixture(scope="session")
def control_plane(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster whose nodes come from Karpenter and the development offerings."""
    with ControlPlane(binaries=binaries, state_directory=tmp_path_factory.mktemp("cluster")) as plane:
        plane.start(Profile(offerings=DEVELOPMENT_OFFERINGS, pace=QUICK))
        yield plane


@pytest.fixture(scope="session")
def fixed_control_plane(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster with all nodes there from the start, without Karpenter."""
    profile = Profile(offerings=DEVELOPMENT_OFFERINGS, provisioning=Provisioning.FIXED, pace=QUICK)
    with ControlPlane(binaries=binaries, state_directory=tmp_path_factory.mktemp("fixed-cluster")) as plane:
        plane.start(profile)
        yield plane


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the operator's log with a test that failed."""
    report = yield
    given: dict[str, Any] = getattr(item, "funcargs", {})
    if report.failed and "world" in given:
        report.sections.append(("operator.log", given["world"].operator_log()))
    return report
