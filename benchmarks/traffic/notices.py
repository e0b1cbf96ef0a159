"""Nodes that go and say so before: nothing on them may break, and what replaces them is on its way at once."""

import time
from collections.abc import Callable

from atoll.local.karpenter import NODE_CLAIMS
from atoll.local.losenode import silence_node
from benchmarks.traffic.bed import Bed
from benchmarks.traffic.sight import Loss, busiest_node, first_write


def node_with_notice(bed: Bed) -> Loss:
    """A spot node gets its notice: its replicas are replaced before they go."""
    node = busiest_node(bed.world, "phi-4")
    taints = [*node["spec"].get("taints", []), {"key": "aws-node-termination-handler/spot-itn", "effect": "NoSchedule"}]
    name = node["metadata"]["name"]
    return _leave(bed, name, lambda: bed.world.api.merge(f"/api/v1/nodes/{name}", {"spec": {"taints": taints}}))


def cordoned_node(bed: Bed) -> Loss:
    """A node is cordoned for maintenance."""
    node = busiest_node(bed.world, "gpt-oss-20b")["metadata"]["name"]
    return _leave(bed, node, lambda: bed.world.kubectl("cordon", node))


def silent_node(bed: Bed) -> Loss:
    """A node's kubelet hangs: the node is NotReady, and its replicas are replaced although they still answer."""
    node = busiest_node(bed.world, "phi-4")["metadata"]["name"]
    return _leave(bed, node, lambda: silence_node(bed.world.plane.kubeconfig, node))


def deleted_node(bed: Bed) -> Loss:
    """A node is deleted by hand: Karpenter's finalizer holds it until its pods have left."""
    node = busiest_node(bed.world, "phi-4")["metadata"]["name"]
    return _leave(bed, node, lambda: bed.world.kubectl("delete", "node", node, "--wait=false"))


def disrupted_node(bed: Bed) -> Loss:
    """Karpenter ends a node, as for drift or a message of an interruption: by its NodeClaim, with a taint first."""
    node = busiest_node(bed.world, "gpt-oss-20b")["metadata"]["name"]
    claims = bed.world.api.list(NODE_CLAIMS)
    claim = next(each["metadata"]["name"] for each in claims if each.get("status", {}).get("nodeName") == node)
    return _leave(bed, node, lambda: bed.world.kubectl("delete", "nodeclaim", claim, "--wait=false"))


def _leave(bed: Bed, node: str, tell: Callable[[], object]) -> Loss:
    """Give notice, wait until nothing of ours is on the node, take it away, wait until all is served."""
    world, noticed = bed.world, time.time()
    tell()
    world.wait(lambda: node not in {pod["spec"].get("nodeName") for pod in world.pods()}, "no pod is on the node")
    replaced = first_write(bed, noticed)
    world.kubectl("delete", "node", node, "--wait=false", check=False)
    world.wait(lambda: world.api.get(f"/api/v1/nodes/{node}") is None, "the node is gone")
    world.settle()
    return Loss(noticed=noticed, replaced_seconds=replaced)
