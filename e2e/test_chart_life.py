"""The chart on a real control plane: installed, upgraded and uninstalled while demands are served."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e import kubelet
from e2e.helm import CHART, NAMESPACE, RELEASE, Helm, helm
from e2e.world import MANIFESTS, PODS, World, cluster

from atoll.local.binaries import Binaries
from atoll.local.controlplane import Provisioning
from atoll.local.fleet import OPERATOR_PROCESS, install_system_node

pytestmark = pytest.mark.timeout(900)

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
OPERATORS = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=operator"


@pytest.fixture(scope="module")
def world(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cluster of fixed nodes whose namespace for Atoll admits restricted pods only; nothing is installed."""
    state = tmp_path_factory.mktemp("chart")
    with cluster(binaries, state, MANIFESTS / "fleet", provisioning=Provisioning.FIXED, role="") as world:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": RESTRICTED}}
        world.api.apply(f"/api/v1/namespaces/{NAMESPACE}", namespace)
        install_system_node(world.api)
        world.operator_user = ACCOUNT
        yield world


@pytest.fixture(scope="module")
def release(world: World, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return helm(tmp_path_factory.mktemp("helm"), world.plane.kubeconfig)


def operator_pod(world: World) -> dict[str, Any]:
    """A Ready pod of the operator's Deployment, as the API server has it."""

    def ready() -> list[dict[str, Any]]:
        pods = world.api.list(PODS, selector=OPERATORS)
        return [
            pod
            for pod in pods
            if "deletionTimestamp" not in pod["metadata"]
            and any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", ()))
        ]

    world.wait(ready, "a pod of the operator is Ready", 60)
    return ready()[0]


def run_operator(world: World, folder: Path) -> None:
    """As the kubelet would, see `e2e.kubelet`."""
    world.fleet.stop_operator()
    kubelet.start_operator(
        world.plane, operator_pod(world), folder=folder, name=OPERATOR_PROCESS, probe_port=world.fleet.probe_port
    )


def test_installed_it_serves(world: World, release: Helm, tmp_path: Path) -> None:
    release.run("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--wait", "--timeout", "90s")
    run_operator(world, tmp_path)
    world.fleet.start_router()
    world.restore()
    world.settle()
    assert world.logged("permissions are missing") == 0
    assert world.logged("403 Forbidden") == 0
