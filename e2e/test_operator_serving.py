"""Declared demand becomes served models, and then nothing is written any more."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from atoll.local.binaries import Binaries
from atoll.local.controlplane import ControlPlane, Profile
from atoll.local.kwok import Pace
from atoll.render import names
from e2e.world import BUDGETS, DEPLOYMENTS, MANIFESTS, ROUTER_CONFIG, SERVICES, World, rows, started

pytestmark = pytest.mark.timeout(240)

PACE = Pace(pod_start_seconds=0.5, pod_stop_seconds=1, node_start_seconds=1)


@pytest.fixture(scope="module")
def world(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        ControlPlane(binaries=binaries, state_directory=tmp_path_factory.mktemp("serving")) as plane,
        started(plane, Profile(pace=PACE), MANIFESTS / "fleet") as world,
    ):
        world.restore()
        world.settle()
        yield world


def test_settles(world: World) -> None:
    print(world.picture())
    print(json.dumps(world.children(), indent=1))
    print(world.operator_log())
    print("\n".join(map(str, world.quiet_window())))
