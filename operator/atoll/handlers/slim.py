"""Make objects small on receipt: a slimmed object is a valid object of its kind with only what decisions read.

Thousands of pods are watched because GPUs that others hold are not obtainable; kept whole they would be the operator's
memory. What is left out does not wake anybody when it changes.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from atoll.domain.objects import NODE, POD, RESOURCE_CLAIM, RESOURCE_SLICE, Kind, ObjectLike
from atoll.reconcile.devices import DRIVER, EXTENDED_RESOURCE_CLAIM
from atoll.reconcile.observe import pod_gpus
from atoll.render import names
from atoll.render.requests import GPU_RESOURCE

_OURS = "atoll.dev/"
_NEVER_KEPT = "kubectl.kubernetes.io/last-applied-configuration"
"""A copy of the whole object in an annotation of it."""
_ATTRIBUTES = ("type", "productName", f"{DRIVER}/type", f"{DRIVER}/productName")
_IDENTITY = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp")


def slim(kind: Kind, obj: ObjectLike) -> ObjectLike:
    """The object with what is needed of it; ``apiVersion`` and ``kind`` are always there."""
    metadata = obj.get("metadata") or {}
    if kind == POD:
        rest = _pod(obj, metadata)
    elif kind == NODE:
        rest = _node(obj, metadata)
    elif kind == RESOURCE_SLICE:
        rest = _slice(obj, metadata)
    elif kind == RESOURCE_CLAIM:
        rest = _claim(obj, metadata)
    else:
        rest = {**obj, "metadata": _without_copies(metadata)}
    return {**rest, "apiVersion": kind.api_version, "kind": kind.name}


def _pod(obj: ObjectLike, metadata: Mapping[str, Any]) -> dict[str, Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    containers = status.get("containerStatuses") or ()
    gpus = pod_gpus(spec)
    return {
        "metadata": {
            **_some(metadata, *_IDENTITY, "deletionGracePeriodSeconds", "labels"),
            "annotations": {
                key: value
                for key, value in (metadata.get("annotations") or {}).items()
                if key.startswith(_OURS) or key in names.PROTECTION
            },
            "ownerReferences": list(metadata.get("ownerReferences") or ())[:1],
        },
        "spec": {
            **_some(spec, "nodeName", "schedulerName", "schedulingGates"),
            # One container that asks for as much as all of them.
            "containers": [{"name": "all", "resources": {"requests": {GPU_RESOURCE: str(gpus)} if gpus else {}}}],
        },
        "status": {
            **_some(status, "phase", "podIP", "nominatedNodeName"),
            "conditions": _conditions(status, "Ready", "PodScheduled"),
            "containerStatuses": [
                {
                    "name": "all",
                    "restartCount": sum(int(c.get("restartCount") or 0) for c in containers),
                    "state": _waiting((*(status.get("initContainerStatuses") or ()), *containers)),
                }
            ],
        },
    }


def _node(obj: ObjectLike, metadata: Mapping[str, Any]) -> dict[str, Any]:
    status = obj.get("status") or {}
    return {
        "metadata": _some(metadata, *_IDENTITY, "labels"),
        "spec": _some(obj.get("spec") or {}, "taints", "unschedulable"),
        "status": {**_some(status, "allocatable"), "conditions": _conditions(status, "Ready")},
    }


def _slice(obj: ObjectLike, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Devices with what tells a whole GPU; capacities and most attributes of hundreds of nodes would be megabytes."""
    spec = obj.get("spec") or {}
    devices = [
        {
            **_some(device, "name", "taints"),
            "attributes": _some(device.get("attributes") or {}, *_ATTRIBUTES),
            "consumesCounters": [_some(item, "counterSet") for item in device.get("consumesCounters") or ()],
        }
        for device in spec.get("devices") or ()
    ]
    return {
        "metadata": _some(metadata, *_IDENTITY),
        "spec": {**_some(spec, "driver", "nodeName", "pool"), "devices": devices},
    }


def _claim(obj: ObjectLike, metadata: Mapping[str, Any]) -> dict[str, Any]:
    allocation = (obj.get("status") or {}).get("allocation") or {}
    results = (allocation.get("devices") or {}).get("results") or ()
    kept = [_some(result, "driver", "pool", "device", "adminAccess") for result in results]
    annotations = _some(metadata.get("annotations") or {}, EXTENDED_RESOURCE_CLAIM)
    return {
        "metadata": {
            **_some(metadata, *_IDENTITY, "labels"),
            "annotations": annotations,
            "ownerReferences": [item for item in metadata.get("ownerReferences") or () if item.get("controller")],
        },
        "status": {"allocation": {"devices": {"results": kept}}} if kept else {},
    }


def _without_copies(metadata: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in metadata.items() if key != "managedFields"}
    if _NEVER_KEPT in (kept.get("annotations") or {}):
        kept["annotations"] = {k: v for k, v in kept["annotations"].items() if k != _NEVER_KEPT}
    return kept


def _conditions(status: Mapping[str, Any], *types: str) -> list[dict[str, Any]]:
    """Without heartbeats and messages, which change and mean nothing here."""
    return [
        _some(condition, "type", "status", "reason", "lastTransitionTime")
        for condition in status.get("conditions") or ()
        if condition.get("type") in types
    ]


def _waiting(containers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    for container in containers:
        reason = ((container.get("state") or {}).get("waiting") or {}).get("reason")
        if reason:
            return {"waiting": {"reason": reason}}
    return {}


def _some(source: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: source[key] for key in keys if source.get(key) is not None}
