"""GPUs of Dynamic Resource Allocation: what nodes publish in ResourceSlices, and what ResourceClaims of others hold.

Where NVIDIA's DRA driver runs in place of the device plugin, a node advertises no ``nvidia.com/gpu``: its GPUs are
devices of ResourceSlices, and a GPU is taken where a claim is allocated, be there a pod or not.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from atoll.domain.objects import POD, ObjectLike
from atoll.reconcile.ownership import demand_of, is_engine

DRIVER = "gpu.nvidia.com"
"""Of the devices that are GPUs; its other driver, ``compute-domain.nvidia.com``, publishes none."""

DEVICE_CLASS = "gpu.nvidia.com"
"""DeviceClass of whole GPUs that the driver's chart installs."""

EXTENDED_RESOURCE_CLAIM = "resource.kubernetes.io/extended-resource-claim"
"""Annotation of claims that the scheduler makes for pods that ask for an extended resource: their pods say as much."""

_KEEPS_PODS_OUT = {"NoSchedule", "NoExecute"}

_Device = tuple[str, str]
"""Names of the driver's pool and of a device in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDevices:
    """GPUs of one node that are published as devices.

    Attributes:
        gpus: whole ones that pods may be given, taken or not.
        held: of these, what claims of others hold, in whole or in part.
        product: what the driver calls them, such as ``NVIDIA H100 80GB HBM3``; the first where they differ.
    """

    gpus: int
    held: int
    product: str


def devices_by_node(
    slices: Iterable[ObjectLike], claims: Iterable[ObjectLike], pods: Iterable[ObjectLike] = ()
) -> dict[str, NodeDevices]:
    """GPUs by node name; nodes without devices of NVIDIA's driver are left out.

    A GPU is held where a claim of others has it, or has a device that draws on the same counters: a MIG slice of it.
    Access for administrators holds nothing. A claim on a device that no slice tells of any more, as while a driver
    restarts, holds a GPU of the node that its pool is named after. ``pods`` are all there are: a claim is ours that was
    made for a pod of ours.
    """
    nodes: dict[_Device, str] = {}
    gpus: dict[str, dict[_Device, Mapping[str, Any]]] = defaultdict(dict)
    counters: dict[tuple[str, str], set[_Device]] = defaultdict(set)
    shares: dict[_Device, set[tuple[str, str]]] = defaultdict(set)
    for spec in _current(slices):
        pool, node = spec["pool"]["name"], spec["nodeName"]
        for device in spec.get("devices") or ():
            key = (pool, device["name"])
            nodes[key] = node
            if _is_gpu(device):
                gpus[node][key] = device
            for item in device.get("consumesCounters") or ():
                drawn = (pool, item["counterSet"])
                shares[key].add(drawn)
                counters[drawn].add(key)
    allocated = set(_allocated(claims, {str(pod["metadata"].get("uid", "")): pod for pod in pods}))
    taken = allocated | {other for key in allocated for drawn in shares[key] for other in counters[drawn]}
    unknown = Counter(pool for pool, _ in allocated - nodes.keys())
    return {
        node: NodeDevices(
            gpus=len(found),
            held=min(len(found), len(taken & found.keys()) + unknown[node]),
            product=_attribute(next(iter(found.values()), {}), "productName"),
        )
        for node, found in gpus.items()
    }


def _current(slices: Iterable[ObjectLike]) -> list[Mapping[str, Any]]:
    """Specs of the driver's slices for one node each, of the newest generation of their pool."""
    specs = [raw.get("spec") or {} for raw in slices]
    ours = [spec for spec in specs if spec.get("driver") == DRIVER and spec.get("nodeName")]
    newest: dict[str, int] = {}
    for spec in ours:
        name, generation = spec["pool"]["name"], int(spec["pool"].get("generation", 0))
        newest[name] = max(generation, newest.get(name, generation))
    return [spec for spec in ours if int(spec["pool"].get("generation", 0)) == newest[spec["pool"]["name"]]]


def _is_gpu(device: Mapping[str, Any]) -> bool:
    """Whether a device is a whole GPU that pods may be given."""
    tainted = any(taint.get("effect") in _KEEPS_PODS_OUT for taint in device.get("taints") or ())
    return _attribute(device, "type") in {"", "gpu"} and not tainted


def _attribute(device: Mapping[str, Any], name: str) -> str:
    """A text of a device; drivers may qualify names with their own."""
    known = device.get("attributes") or {}
    value = known.get(name) or known.get(f"{DRIVER}/{name}") or {}
    return str(value.get("string", ""))


def _allocated(claims: Iterable[ObjectLike], pods: Mapping[str, ObjectLike]) -> Iterable[_Device]:
    """Devices that claims of others have been given."""
    for claim in claims:
        annotations = claim["metadata"].get("annotations") or {}
        if _is_ours(claim["metadata"], pods) or annotations.get(EXTENDED_RESOURCE_CLAIM) == "true":
            continue
        allocation = (claim.get("status") or {}).get("allocation") or {}
        for result in (allocation.get("devices") or {}).get("results") or ():
            if result.get("driver") == DRIVER and not result.get("adminAccess"):
                yield (str(result.get("pool", "")), str(result.get("device", "")))


def _is_ours(claim: Mapping[str, Any], pods: Mapping[str, ObjectLike]) -> bool:
    """Whether a claim, by its metadata, was made for a pod of ours: labels alone anybody can write.

    It goes with its pod, so one whose pod has just gone is going too, and is still ours.
    """
    demand = demand_of(claim.get("namespace", ""), claim.get("labels") or {})
    owner: Mapping[str, Any] = next((item for item in claim.get("ownerReferences") or () if item.get("controller")), {})
    if demand is None or owner.get("kind") != POD.name or not owner.get("uid"):
        return False
    pod = pods.get(owner["uid"])
    labels = pod["metadata"].get("labels") or {} if pod is not None else {}
    return pod is None or (is_engine(labels) and demand_of(pod["metadata"].get("namespace", ""), labels) == demand)
