"""`atoll local run --cluster FILE`: on a cluster that is there already it recommends, and moves nothing by itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from atoll.local.controlplane import ControlPlane
from atoll.local.errors import LocalEnvironmentError

MANIFESTS = Path(__file__).parent.parent / "tests" / "cli" / "manifests" / "small.yaml"
PLANS = "/apis/atoll.dev/v1alpha1/fleetplans"


@pytest.fixture
def running(fixed_control_plane: ControlPlane, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command, with a KUBECONFIG in its environment that leads nowhere."""
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "nowhere"), "YES": "1"}
    command = [sys.executable, "-m", "atoll.cli", "local", "run", "-f", str(MANIFESTS)]
    with (tmp_path / "output.log").open("wb") as output:
        child = subprocess.Popen(
            [*command, "--cluster", str(fixed_control_plane.kubeconfig)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        yield child
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGINT)
        child.wait(timeout=120)
    with fixed_control_plane.api() as api:
        for plural in ("namespaces/default/modeldemands", "gpunodepools", "fleets", "fleetplans"):
            api.delete(f"/apis/atoll.dev/v1alpha1/{plural}")


def test_a_plan_is_proposed_and_nothing_moves_until_it_is_approved(
    fixed_control_plane: ControlPlane, running: subprocess.Popen[bytes]
) -> None:
    plane = fixed_control_plane
    with plane.api() as api:

        def proposed() -> bool:
            assert running.poll() is None, "the command ended by itself"
            try:
                return any(plan.get("status", {}).get("phase") == "Proposed" for plan in api.list(PLANS))
            except LocalEnvironmentError:  # the definitions are not served yet
                return False

        plane.wait_until(proposed, what="a FleetPlan proposed", seconds=360)

        assert not any(plan["spec"].get("approved", False) for plan in api.list(PLANS))
        assert api.get("/apis/atoll.dev/v1alpha1/fleets/default")["spec"]["mode"] == "Recommend"
        deployments = api.list("/apis/apps/v1/deployments", selector="atoll.dev/demand")
        assert deployments == []
