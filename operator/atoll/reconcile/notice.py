"""Signs that a node will go (docs/architecture.md, "Notice")."""

from collections.abc import Mapping
from typing import Any

_NOTICE_TAINTS = (
    "karpenter.sh/disrupted",
    "ToBeDeletedByClusterAutoscaler",
    "aws-node-termination-handler/",
    "cloud.google.com/impending-node-termination",
    "node.kubernetes.io/out-of-service",
)


def notice_of(node: Mapping[str, Any]) -> str:
    """The sign that a node will go: a taint's key, ``deletionTimestamp`` or ``unschedulable``; empty for none."""
    if node.get("metadata", {}).get("deletionTimestamp"):
        return "deletionTimestamp"
    spec = node.get("spec", {})
    for taint in spec.get("taints") or ():
        key = str(taint.get("key", ""))
        if key.startswith(_NOTICE_TAINTS):
            return key
    return "unschedulable" if spec.get("unschedulable") else ""
