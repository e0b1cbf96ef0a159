"""Losses without notice: what is in flight there breaks, and nothing else."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import httpx
from e2e.world import is_serving

from atoll.local import audit
from atoll.local.credentials import OPERATOR
from atoll.local.routerpods import RouterPod
from benchmarks.traffic.bed import Bed
from benchmarks.traffic.moves import busiest_node

_OFF_WITHIN_SECONDS = 30.0
_POLL_SECONDS = 0.02
_ADMIN_PORT = 9902


@dataclass(slots=True, kw_only=True)
class Loss:
    """What one loss did.

    Attributes:
        in_flight: tags of requests that what was lost was answering.
        noticed: when it happened, or when the cluster was told, Unix time.
        off_seconds: until no router sent anything there any more.
        replaced_seconds: until the operator's first corrective write; None where none is due.
    """

    in_flight: list[str]
    noticed: float
    off_seconds: float
    replaced_seconds: float | None = None
    names: list[str] = field(default_factory=list)


LOST = "gpt-oss-20b"
"""Of whose replicas one is lost with its node."""


def spread(bed: Bed) -> None:
    """Each of its replicas on a node of its own: what one node holds is not all of a served model."""
    demand = bed.world.manifest("ModelDemand", LOST)
    demand["spec"]["placement"] = {"gpuKinds": ["L40S-48GB"], "minReplicas": 3}
    bed.world.apply(demand)
    bed.world.settle("replicas are spread over nodes")


def node_lost(bed: Bed) -> Loss:
    """A node vanishes: its engines reset every connection at once, and its Node object goes."""
    node = busiest_node(bed.world, LOST)["metadata"]["name"]
    for name in (obj["metadata"]["name"] for obj in bed.world.demands()):
        if all(pod["spec"].get("nodeName") == node for pod in bed.world.pods(name)):
            raise RuntimeError(f"all replicas of {name} are on {node}: its loss would say nothing about the router")
    addresses = {pod["status"]["podIP"] for pod in bed.world.pods() if pod["spec"].get("nodeName") == node}
    started = time.time()
    tags = bed.path.lose_node_abruptly(node)
    bed.world.plane.lose_node(node)
    off = wait_off(bed, addresses, started)
    bed.world.wait(lambda: all(pod["spec"].get("nodeName") != node for pod in bed.world.pods()), "its pods are gone")
    replaced = first_write(bed, started)
    bed.world.settle("what was lost is replaced")
    return Loss(in_flight=tags, noticed=started, off_seconds=off, replaced_seconds=replaced)


def engine_crash(bed: Bed) -> Loss:
    """An engine ends by itself and its kubelet starts it again."""
    pod = next(pod for pod in bed.world.pods(LOST) if is_serving(pod))
    started = time.time()
    tags = bed.path.crash_engine(pod["metadata"]["name"], back_seconds=3.0)
    off = wait_off(bed, {pod["status"]["podIP"]}, started)
    bed.world.settle("the engine serves again")
    return Loss(in_flight=tags, noticed=started, off_seconds=off)


LOSSES: dict[str, Callable[[Bed], Loss]] = {
    "node lost": node_lost,
    "engine crash": engine_crash,
}


def wait_off(bed: Bed, addresses: set[str], started: float) -> float:
    """Seconds from a moment until every router has taken the addresses for unhealthy, or dropped them."""
    while time.time() < started + _OFF_WITHIN_SECONDS:
        if not any(addresses & taking(pod) for pod in bed.path.router_pods.running):
            return time.time() - started
        time.sleep(_POLL_SECONDS)
    raise RuntimeError(f"routers still send to {', '.join(sorted(addresses))} after {_OFF_WITHIN_SECONDS:.0f} s")


def taking(router: RouterPod) -> set[str]:
    """Addresses of engines that a router sends requests to, as its admin page says."""
    url = f"http://{router.loopback}:{_ADMIN_PORT}/clusters"
    try:
        content = httpx.get(url, params={"format": "json"}, trust_env=False).json()
    except httpx.TransportError:
        return set()
    return {
        host["address"]["socket_address"]["address"]
        for cluster in content.get("cluster_statuses", [])
        for host in cluster.get("host_statuses", [])
        if host.get("health_status", {}).get("eds_health_status", "HEALTHY") == "HEALTHY"
        and not {"failed_active_health_check", "failed_outlier_check"} & host.get("health_status", {}).keys()
    }


def first_write(bed: Bed, started: float) -> float | None:
    """Seconds from a moment to the operator's first write to a Deployment or a lost pod."""
    for write in audit.writes(bed.world.plane.audit_log, user=OPERATOR):
        at = datetime.fromisoformat(write.at).timestamp()
        if at >= started and write.resource.partition("/")[0] in ("deployments", "pods"):
            return at - started
    return None
