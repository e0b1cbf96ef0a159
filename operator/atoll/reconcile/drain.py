"""Taking one replica out of the router before it is stopped, and back in where it is needed after all."""

from datetime import datetime
from typing import Any

from atoll.domain.snapshot import ObservedPod
from atoll.reconcile.moments import format_moment, parse_moment
from atoll.render import names

DRAINING_SINCE = "atoll.dev/draining-since"
"""Annotation of a pod: when it was taken out of the router, RFC 3339. The cluster keeps it over our restarts."""

_FIRST_TO_GO = "-1000"

_WHOLE_SECOND = 1.0
"""Kubernetes leaves parts of seconds out: a pod may be Ready for so much less than it seems."""


def unroutable_pod(pod: ObservedPod, now: datetime) -> dict[str, Any]:
    """The intent that takes a pod out of its Service and makes it the first that its ReplicaSet removes."""
    annotations = {DRAINING_SINCE: format_moment(now), names.POD_DELETION_COST: _FIRST_TO_GO}
    return _intent(pod, {"labels": {names.ROUTABLE: "false"}, "annotations": annotations})


def routable_pod(pod: ObservedPod) -> dict[str, Any]:
    """The intent that takes a pod back into its Service; annotations of its drain go because it does not name them."""
    return _intent(pod, {"labels": {names.ROUTABLE: "true"}})


def protected_pod(pod: ObservedPod) -> dict[str, Any]:
    """The intent that keeps autoscalers from moving a pod that serves or starts, and leaves it as it is else."""
    routed = names.ROUTABLE in pod.labels
    return routable_pod(pod) if routed else _intent(pod, {})


def is_draining(pod: ObservedPod) -> bool:
    """Whether the pod was taken out of the router."""
    return pod.labels.get(names.ROUTABLE) == "false"


def draining_since(pod: ObservedPod) -> datetime | None:
    """When we took the pod out of the router; None where we did not, or somebody lost the note."""
    return parse_moment(pod.annotations.get(DRAINING_SINCE)) if is_draining(pod) else None


def is_drained(pod: ObservedPod, now: datetime, drain_seconds: float) -> bool:
    """Whether the pod has been out of the router for the drain time (seconds)."""
    since = draining_since(pod)
    return since is not None and (now - since).total_seconds() >= drain_seconds


def is_found(pod: ObservedPod, now: datetime, drain_seconds: float) -> bool:
    """Whether a Ready pod has been so for the time that routers are given to find addresses, the drain time (seconds).

    They learn of addresses from DNS, by name: without this, that old ones left is seen before that new ones came.
    """
    return pod.ready_since is None or (now - pod.ready_since).total_seconds() >= drain_seconds + _WHOLE_SECOND


def _intent(pod: ObservedPod, metadata: dict[str, Any]) -> dict[str, Any]:
    """An intent of ours for a pod; it always names what protects it, which would go with a later one otherwise."""
    identity = {"namespace": pod.namespace, "name": pod.name, "uid": pod.uid}
    protection = {key: pod.annotations.get(key, value) for key, value in names.PROTECTION.items()}
    annotations = {**metadata.get("annotations", {}), **protection}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**identity, **metadata, "annotations": annotations}}
