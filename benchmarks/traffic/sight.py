"""What moves and losses look at, and what is seen of a loss."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from e2e.world import NODES, POOLS, Object, World, is_serving

from atoll.local import audit
from atoll.local.cloud import SimulatedOffering
from atoll.local.credentials import OPERATOR
from benchmarks.traffic.bed import Bed


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What one loss, or the notice of one, did.

    Attributes:
        noticed: when it happened, or when the cluster was told, Unix time.
        in_flight: tags of requests that what was lost was answering; none with a notice.
        off_seconds: until no router sent anything there any more; None with a notice, since what is drained answers.
        replaced_seconds: until the operator's first corrective write; None where none is due.
    """

    noticed: float
    in_flight: tuple[str, ...] = ()
    off_seconds: float | None = None
    replaced_seconds: float | None = None


def current(world: World, name: str) -> Object:
    """A demand as it is declared now, ready to be changed and applied."""
    live = world.demand(name)
    kept = {"name": name, "namespace": live["metadata"]["namespace"]}
    return {"apiVersion": live["apiVersion"], "kind": "ModelDemand", "metadata": kept, "spec": live["spec"]}


def requests_per_second(world: World, name: str) -> float:
    """Of a demand, as declared now."""
    return float(world.demand(name)["spec"]["demand"]["requestsPerSecond"])


def stages(world: World, demand: str) -> list[Object]:
    """Stages of the strategies that run for a demand."""
    return [
        {"gpuKind": stage["gpu_kind"]}
        for item in world.deployments(demand)
        if item["spec"]["replicas"]
        for stage in json.loads(item["metadata"]["annotations"]["atoll.dev/strategy-spec"])["stages"]
    ]


def zone_of(world: World, pod: Object) -> str:
    """Of the node that a pod runs on; empty where it has none."""
    node = world.api.get(f"/api/v1/nodes/{pod['spec'].get('nodeName', '-')}")
    return str(node["metadata"]["labels"].get("topology.kubernetes.io/zone", "")) if node else ""


def busiest_node(world: World, demand: str) -> Object:
    """The node with most replicas of a demand."""
    used = [pod["spec"]["nodeName"] for pod in world.pods(demand) if is_serving(pod)]
    found = world.api.get(f"/api/v1/nodes/{max(sorted(set(used)), key=used.count)}")
    if found is None:
        raise RuntimeError(f"no node of {demand} is there")
    return found


def nodes_of(world: World, offering: SimulatedOffering) -> int:
    """How many of an offering there are."""
    found = (node["metadata"].get("labels", {}) for node in world.api.list(NODES))
    return sum(offering.labels.items() <= labels.items() for labels in found)


def in_flight(bed: Bed, demand: str) -> int:
    """Requests that the engines of a demand are answering."""
    return sum(each.get("inFlight", 0) for each in bed.path.engines() if each["demand"] == demand)


def cost(world: World) -> float:
    """Of the plan in force, US$/h."""
    return float(world.policy()["status"]["costPerHour"])


def masked(world: World) -> set[tuple[str, str, str]]:
    """Instance type, zone and capacity type of offerings that are not counted on now, since they gave no nodes."""
    now = datetime.now(UTC)
    return {
        (pool["spec"].get("instanceType", ""), each["zone"], each["capacityType"])
        for pool in world.api.list(POOLS)
        for each in pool.get("status", {}).get("offerings", [])
        if each.get("maskedUntil") and datetime.fromisoformat(each["maskedUntil"]) > now
    }


def first_write(bed: Bed, started: float, *, demand: str = "") -> float | None:
    """Seconds from a moment to the operator's first write to a Deployment or a pod, of one demand where named."""
    for write in audit.writes(bed.world.plane.audit_log, user=OPERATOR):
        at = datetime.fromisoformat(write.at).timestamp()
        ours = write.resource.partition("/")[0] in ("deployments", "pods") and write.name.startswith(demand)
        if ours and at >= started:
            return at - started
    return None
