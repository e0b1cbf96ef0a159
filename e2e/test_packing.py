"""The packing profile keeps whole nodes free: small engines share nodes, so wide engines still find room."""

from typing import Any

import pytest

from atoll.local.api import Api
from atoll.local.cloud import GPU_RESOURCE
from atoll.local.controlplane import ControlPlane
from atoll.local.development import DEVELOPMENT_OFFERINGS
from atoll.local.schedulerprofile import BINPACK_SCHEDULER

pytestmark = pytest.mark.timeout(900)

PODS = "/api/v1/namespaces/default/pods"
EIGHT_GPU_NODES = 4
"""Two p5.48xlarge on-demand and two on spot: the scheduler sees four equal nodes."""


def pod(name: str, *, gpus: int, scheduler: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "schedulerName": scheduler,
            "nodeSelector": {"node.kubernetes.io/instance-type": "p5.48xlarge"},
            "tolerations": [{"key": GPU_RESOURCE, "operator": "Exists"}],
            "containers": [{"name": "engine", "image": "engine", "resources": {"limits": share(gpus)}}],
        },
    }


def share(gpus: int) -> dict[str, str]:
    """A pod's part of a node, as Atoll requests it: without them the default profile has nothing to spread."""
    return {"cpu": f"{20 * gpus}", "memory": f"{200 * gpus}Gi", GPU_RESOURCE: str(gpus)}


def wide_pods_placed(control_plane: ControlPlane, api: Api, scheduler: str) -> int:
    """Place eight 1-GPU pods, then three 8-GPU pods; how many of the three found a node."""

    def pods() -> list[dict[str, Any]]:
        return api.list(PODS)

    def decided(each: dict[str, Any]) -> bool:
        return any(condition["type"] == "PodScheduled" for condition in each.get("status", {}).get("conditions", []))

    for number in range(8):
        api.create(PODS, pod(f"small-{number}", gpus=1, scheduler=scheduler))
    control_plane.wait_until(lambda: all("nodeName" in each["spec"] for each in pods()), what="small pods", seconds=300)
    for number in range(3):
        api.create(PODS, pod(f"wide-{number}", gpus=8, scheduler=scheduler))
    control_plane.wait_until(lambda: all(map(decided, pods())), what="every pod placed or refused", seconds=300)
    placed = sum(1 for each in pods() if each["metadata"]["name"].startswith("wide") and "nodeName" in each["spec"])
    for each in pods():
        api.delete(f"{PODS}/{each['metadata']['name']}", grace_seconds=0)
    control_plane.wait_until(lambda: not pods(), what="no pods left", seconds=300)
    return placed


def test_packing_leaves_room_for_wide_engines(fixed_control_plane: ControlPlane) -> None:
    assert sum(each.obtainable_nodes for each in DEVELOPMENT_OFFERINGS if each.instance_type == "p5.48xlarge") == (
        EIGHT_GPU_NODES
    )
    with fixed_control_plane.api() as api:
        assert wide_pods_placed(fixed_control_plane, api, BINPACK_SCHEDULER) == 3
        assert wide_pods_placed(fixed_control_plane, api, "default-scheduler") == 0
