"""The executor writes what discovery finds, whatever the planner says of the demands that wait for it."""

from dataclasses import replace
from typing import Any

from atoll.domain.objects import Action, Apply
from atoll.domain.planning import Planning
from atoll.domain.reason import Fault, Reason
from atoll.domain.snapshot import Snapshot
from atoll.handlers.executor import Executor
from atoll.handlers.metrics import Metrics
from atoll.reconcile.observe import observe_node
from reconcile.worlds import NOW, ROUTER, ago, demand_object, key, node_object, seen


def waiting_for_pools(**spec: Any) -> Snapshot:
    demand = demand_object()
    demand["metadata"]["creationTimestamp"] = ago(60)
    node = node_object("n1")
    node["metadata"]["labels"]["nvidia.com/gpu.product"] = "NVIDIA-L4"
    node["status"]["allocatable"] |= {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "100Gi"}
    fleet = {"apiVersion": "atoll.dev/v1alpha1", "kind": "Fleet", "metadata": {"name": "default"}, "spec": spec}
    world = seen(demand, fleet)
    return replace(world, nodes={"n1": observe_node(node, {})}, node_pools=())


async def looked(snapshot: Snapshot) -> list[str]:
    written: list[Action] = []

    async def write(actions: tuple[Action, ...]) -> tuple[Any, ...]:
        written.extend(actions)
        return ()

    fault = Fault(reason=Reason.NO_POOL_FITS, message="no GPUNodePool of the fleet offers anything")
    planning = Planning(basis="", solved_at=NOW, faults={key(): fault})
    await Executor(write=write, router=ROUTER, metrics=Metrics()).look(snapshot, planning, NOW)
    return [each.intent["kind"] for each in written if isinstance(each, Apply)]


async def test_a_demand_at_fault_for_want_of_pools_has_them_discovered() -> None:
    assert "GPUNodePool" in await looked(waiting_for_pools())


async def test_a_paused_fleet_discovers_nothing() -> None:
    assert "GPUNodePool" not in await looked(waiting_for_pools(mode="Paused"))
