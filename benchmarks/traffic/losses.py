"""Losses without notice: what is in flight there breaks, and nothing else."""

import time
from collections.abc import Callable
from functools import partial

import httpx
from e2e.world import is_serving

from atoll.local.routerpods import RouterPod
from benchmarks.traffic.bed import Bed
from benchmarks.traffic.moves import await_image, has_moved, order_image
from benchmarks.traffic.sight import Loss, busiest_node, first_write

_OFF_WITHIN_SECONDS = 30.0
_POLL_SECONDS = 0.02
_ADMIN_PORT = 9902


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
    replaced = first_write(bed, started, demand=LOST)
    bed.world.settle("what was lost is replaced")
    return Loss(in_flight=tuple(tags), noticed=started, off_seconds=off, replaced_seconds=replaced)


def engine_crash(bed: Bed) -> Loss:
    """An engine ends by itself and its kubelet starts it again."""
    pod = next(pod for pod in bed.world.pods(LOST) if is_serving(pod))
    started = time.time()
    tags = bed.path.crash_engine(pod["metadata"]["name"], back_seconds=3.0)
    off = wait_off(bed, {pod["status"]["podIP"]}, started)
    bed.world.settle("the engine serves again")
    return Loss(in_flight=tuple(tags), noticed=started, off_seconds=off)


def engine_hang(bed: Bed) -> Loss:
    """An engine answers nothing any more, as with a GPU that hangs; after a while its kubelet starts it anew."""
    pod = next(pod for pod in bed.world.pods(LOST) if is_serving(pod))
    started = time.time()
    bed.path.hang_engine(pod["metadata"]["name"])
    off = wait_off(bed, {pod["status"]["podIP"]}, started)
    tags = bed.path.crash_engine(pod["metadata"]["name"], back_seconds=3.0)
    bed.world.settle("the engine serves again")
    return Loss(in_flight=tuple(tags), noticed=started, off_seconds=off)


def node_lost_in_a_move(bed: Bed) -> Loss:
    """A node vanishes while another demand rolls to another image."""
    before = len(bed.world.writes())
    image = order_image(bed.world)
    bed.world.wait(partial(has_moved, bed.world, before), "the move goes on")
    loss = node_lost(bed)
    await_image(bed.world, image)
    return loss


LOSSES: dict[str, Callable[[Bed], Loss]] = {
    "node lost": node_lost,
    "engine crash": engine_crash,
    "engine hang": engine_hang,
    "node lost in a move": node_lost_in_a_move,
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
