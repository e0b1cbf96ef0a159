"""Where a stage pod may run: exactly one offering, and the taints that such nodes carry."""

from collections.abc import Mapping, Sequence
from typing import Any

from atoll.domain.pool import NodePool, OfferingKey, Provisioning
from atoll.domain.reason import Fault, InvalidObjectError, Reason
from atoll.render.requests import GPU_RESOURCE

INSTANCE_TYPE = "node.kubernetes.io/instance-type"
REGION = "topology.kubernetes.io/region"
ZONE = "topology.kubernetes.io/zone"
CAPACITY_TYPE = "karpenter.sh/capacity-type"
DISRUPTED = "karpenter.sh/disrupted"

LOST_NODE_SECONDS = 30
"""A pod leaves a node that is not ready or not reachable after so long, seconds."""

_CLOUD_TOLERATIONS = (
    {"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"},
    {"key": "cloud.google.com/gke-spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"},
    {"key": "kubernetes.azure.com/scalesetpriority", "operator": "Equal", "value": "spot", "effect": "NoSchedule"},
)
_LOST_NODE_TOLERATIONS = tuple(
    {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": LOST_NODE_SECONDS}
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
)


def node_selector(pool: NodePool, offering: OfferingKey) -> dict[str, str]:
    """Labels that nodes of this one offering have, and no other node."""
    terms = pool.terms_selector(offering)
    ours = {ZONE: offering.zone, **terms}
    if pool.provisioning is Provisioning.AUTOSCALER:
        # Node groups of the cluster autoscaler have no label of Karpenter's: a pod that asks for it gets no node.
        ours |= {INSTANCE_TYPE: pool.instance_type} | ({} if terms else {CAPACITY_TYPE: str(offering.capacity_type)})
    return {**pool.node_selector, **{key: value for key, value in ours.items() if value}}


def tolerations(pool: NodePool, wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Ours, the pool's and the user's, in this order; ours win.

    Raises InvalidObjectError where the user's would keep a pod on a node that is going.
    """
    for index, toleration in enumerate(wanted):
        if toleration.get("key", "") in {"", DISRUPTED}:
            raise InvalidObjectError(
                Fault(
                    reason=Reason.INVALID_SPEC,
                    field=f"spec.engine.podTemplate.tolerations[{index}].key",
                    message=f"{toleration.get('key', '')!r} would tolerate {DISRUPTED}, the sign that a node is going;"
                    " name the one taint that is meant",
                )
            )
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    everything: tuple[Mapping[str, Any], ...] = (
        *_CLOUD_TOLERATIONS,
        *_LOST_NODE_TOLERATIONS,
        *pool.tolerations,
        *wanted,
    )
    for toleration in everything:
        identity = (toleration.get("key", ""), toleration.get("effect", ""), str(toleration.get("value", "")))
        merged.setdefault(identity, dict(toleration))
    return list(merged.values())
