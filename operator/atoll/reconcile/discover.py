"""Pools that nobody declared: from nodes that are there and from Karpenter's NodePools.

A cluster that has GPU nodes, or a Karpenter that makes them, is enough to begin with. What is found is written as
GPUNodePools like any others, with what was assumed in an annotation, so that it can be read, corrected and taken over:
without the label ``atoll.dev/discovered`` a pool is its owner's, and Atoll writes its status only.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from atoll.api.parse import parse_gpu_node_pool
from atoll.catalogue.gpus import kind_of_product
from atoll.catalogue.instances import InstanceType, instance_types, price_row
from atoll.domain.demand import DemandKey
from atoll.domain.fleet import PoolDiscovery
from atoll.domain.gpu import CapacityType
from atoll.domain.objects import GPU_NODE_POOL, MODEL_DEMAND, Action, Apply, Delete, ObjectLike, Reference, reference
from atoll.domain.pool import NodePool, Provisioning
from atoll.domain.reason import InvalidObjectError
from atoll.domain.snapshot import ObservedNode, Snapshot
from atoll.reconcile.devices import DEVICE_CLASS
from atoll.reconcile.difference import differs, quantity
from atoll.reconcile.karpenter import ASSUMED_NODES, NodePoolTerms, NotUnderstoodError, terms_of
from atoll.reconcile.moments import parse_moment
from atoll.reconcile.observe import offering_of
from atoll.reconcile.ownership import fleet_of
from atoll.render import names
from atoll.render.placement import CAPACITY_TYPE, INSTANCE_TYPE, REGION, ZONE

WAIT = timedelta(seconds=15)
"""From a demand to the first discovered pool."""

GPU_PRODUCT = "nvidia.com/gpu.product"
GPU_COUNT = "nvidia.com/gpu.count"
KARPENTER_POOL = "karpenter.sh/nodepool"
_CAPACITY_LABELS: Mapping[tuple[str, str], CapacityType] = {
    (CAPACITY_TYPE, "spot"): CapacityType.SPOT,
    (CAPACITY_TYPE, "on-demand"): CapacityType.ON_DEMAND,
    (CAPACITY_TYPE, "reserved"): CapacityType.RESERVED,
    ("eks.amazonaws.com/capacityType", "SPOT"): CapacityType.SPOT,
    ("eks.amazonaws.com/capacityType", "ON_DEMAND"): CapacityType.ON_DEMAND,
    ("cloud.google.com/gke-spot", "true"): CapacityType.SPOT,
    ("cloud.google.com/gke-provisioning", "spot"): CapacityType.SPOT,
    ("cloud.google.com/gke-provisioning", "standard"): CapacityType.ON_DEMAND,
}
_LEFT_OUT_TAINTS = ("node.kubernetes.io/", "karpenter.sh/", "nvidia.com/gpu")
"""Taints that come and go, or are tolerated anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """What was found.

    Attributes:
        pools: GPUNodePools as they should be, by name.
        notes: what was found and not understood, each with the mend.
    """

    pools: tuple[ObjectLike, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class _Shape:
    """Nodes that one pool can hold."""

    kind: str
    gpus: int
    instance_type: str
    region: str
    selector: tuple[tuple[str, str], ...]
    capacity_type: CapacityType
    device_class: str


def discover(snapshot: Snapshot, now: datetime) -> Discovered:
    """The pools of the cluster that nobody declared, as far as the Fleet's ``poolDiscovery`` asks for them.

    Nothing is discovered before a demand has waited a little: a GitOps tool applies demands and pools one by one.
    """
    policy = snapshot.fleet.pool_discovery
    if policy is PoolDiscovery.NEVER or not _is_waited_for(snapshot, now):
        return Discovered()
    every = _every(snapshot)
    if policy is PoolDiscovery.WHEN_NONE_DECLARED and _is_any_declared(snapshot):
        # What serves from a pool that no declared one covers is not stopped because another pool was added.
        stay = tuple(pool for pool in every.pools if is_discovered(snapshot, pool["metadata"]["name"]))
        return Discovered(pools=stay)
    return every


def _every(snapshot: Snapshot) -> Discovered:
    """All pools that no declared one covers."""
    declared = declared_pools(snapshot)
    found, notes = _of_nodes(snapshot, declared)
    for raw in sorted(snapshot.node_pools or (), key=lambda item: item["metadata"]["name"]):
        try:
            terms = terms_of(raw)
        except NotUnderstoodError as error:
            notes.append(str(error))
            continue
        found += [pool for pool in _of_terms(snapshot.fleet.name, terms) if not _is_covered(pool, declared)]
    sound: list[dict[str, Any]] = []
    for pool in found:
        live = snapshot.objects.get(reference(pool))
        other = ((live or {}).get("spec") or {}).get("fleet", snapshot.fleet.name)
        if other != snapshot.fleet.name:
            source = pool["metadata"]["annotations"][names.DISCOVERED_FROM]
            notes.append(f"{source}: GPUNodePool {pool['metadata']['name']} of Fleet {other} has them")
            continue
        try:
            parse_gpu_node_pool(pool)
        except InvalidObjectError as error:
            notes.append(
                f"{pool['metadata']['annotations'][names.DISCOVERED_FROM]}: {error.fault}: declare a GPUNodePool"
            )
            continue
        sound.append(pool)
    return Discovered(pools=tuple(sorted(sound, key=lambda item: str(item["metadata"]["name"]))), notes=tuple(notes))


def pool_writes(snapshot: Snapshot, discovered: Discovered) -> tuple[Action, ...]:
    """Discovered pools that differ from what is there, and those that are discovered no more.

    Nothing is written while NodePools cannot be read: not known is not gone.
    """
    if snapshot.node_pools is None:
        return ()
    actions: list[Action] = []
    wanted = {reference(pool): pool for pool in discovered.pools}
    for ref, intent in wanted.items():
        live = snapshot.objects.get(ref)
        metadata = live["metadata"] if live is not None else {}
        source = intent["metadata"]["annotations"][names.DISCOVERED_FROM]
        if live is None:
            actions.append(Apply(intent=intent, why=f"discovered: {source}"))
        elif names.DISCOVERED in (metadata.get("labels") or {}) and _is_other(intent, live):
            actions.append(
                Apply(
                    intent=intent,
                    why=f"discovered otherwise: {source}",
                    live_uid=metadata["uid"],
                    live_resource_version=metadata["resourceVersion"],
                )
            )
    for name in sorted(snapshot.pools):
        ref = Reference(kind=GPU_NODE_POOL.name, name=name)
        if ref not in wanted and is_discovered(snapshot, name):
            metadata = snapshot.objects[ref]["metadata"]
            actions.append(
                Delete(
                    target=ref,
                    uid=metadata["uid"],
                    resource_version=metadata["resourceVersion"],
                    why="it is discovered no more, or a declared pool covers it",
                )
            )
    return tuple(actions)


def _is_other(intent: ObjectLike, live: ObjectLike) -> bool:
    """Lists of a pool are all ours: an offering that is there no more differs too."""
    return differs(intent, live) or differs(intent["spec"]["offerings"], live["spec"].get("offerings"), exact=True)


def declared_pools(snapshot: Snapshot) -> Mapping[str, NodePool]:
    """Pools of the fleet that people wrote or took over, by name."""
    return {name: pool for name, pool in snapshot.pools.items() if not is_discovered(snapshot, name)}


def _is_waited_for(snapshot: Snapshot, now: datetime) -> bool:
    """Whether there are discovered pools already, or a demand has been there for a while."""
    if any(is_discovered(snapshot, name) for name in snapshot.pools):
        return True
    created = (
        parse_moment((snapshot.objects.get(_demand_reference(key)) or {}).get("metadata", {}).get("creationTimestamp"))
        for key in snapshot.demands
    )
    return any(moment is not None and now - moment >= WAIT for moment in created)


def _demand_reference(key: DemandKey) -> Reference:
    return Reference(kind=MODEL_DEMAND.name, namespace=key.namespace, name=key.name)


def _is_any_declared(snapshot: Snapshot) -> bool:
    """Whether somebody wrote a pool of this fleet, be it a wrong one: its fault is what they should see then."""
    return any(
        ref.kind == GPU_NODE_POOL.name
        and not is_discovered(snapshot, ref.name)
        and fleet_of(raw) == snapshot.fleet.name
        for ref, raw in snapshot.objects.items()
    )


def is_discovered(snapshot: Snapshot, pool: str) -> bool:
    """Whether a pool is Atoll's own finding."""
    raw = snapshot.objects.get(Reference(kind=GPU_NODE_POOL.name, name=pool)) or {}
    return names.DISCOVERED in ((raw.get("metadata") or {}).get("labels") or {})


def _of_nodes(snapshot: Snapshot, declared: Mapping[str, NodePool]) -> tuple[list[dict[str, Any]], list[str]]:
    """Pools of nodes that are there and that no NodePool of Karpenter's makes."""
    shapes: dict[_Shape, list[ObservedNode]] = defaultdict(list)
    notes: Counter[str] = Counter()
    for node in snapshot.nodes.values():
        labels = node.labels
        # By its label a node keeps its shape while a device plugin starts again or a GPU is ill.
        gpus = int(labels[GPU_COUNT]) if labels.get(GPU_COUNT, "").isdigit() else node.gpus
        if gpus < 1 or KARPENTER_POOL in labels or offering_of(labels, declared) is not None:
            continue
        product = labels.get(GPU_PRODUCT) or node.product.replace(" ", "-")  # as GPU feature discovery writes it
        kind = kind_of_product(product)
        missing = next((label for label in (REGION, ZONE) if not labels.get(label)), None)
        if kind is None:
            notes[f"nodes whose label {GPU_PRODUCT} is {product!r}: no known GPU kind; declare a GPUNodePool"] += 1
        elif not (labels.get(GPU_PRODUCT) or labels.get(INSTANCE_TYPE)):
            notes[f"nodes with {kind.name} by no label: label them {GPU_PRODUCT}={product}"] += 1
        elif missing:
            notes[f"GPU nodes without label {missing}: label them, with one value where there is no such thing"] += 1
        else:
            terms = next(((k, v) for k, v in _CAPACITY_LABELS if labels.get(k) == v), None)
            selector = {GPU_PRODUCT: product} if labels.get(GPU_PRODUCT) else {}
            selector |= {terms[0]: terms[1]} if terms else {}
            instance_type = labels.get(INSTANCE_TYPE, "")
            if instance_type:
                selector[INSTANCE_TYPE] = instance_type
            if GPU_COUNT in labels:
                selector[GPU_COUNT] = labels[GPU_COUNT]
            shape = _Shape(
                kind=kind.name,
                gpus=gpus,
                instance_type=instance_type,
                region=labels[REGION],
                selector=tuple(sorted(selector.items())),
                capacity_type=_CAPACITY_LABELS[terms] if terms else CapacityType.ON_DEMAND,
                device_class=DEVICE_CLASS if node.product else "",
            )
            shapes[shape].append(node)
    pools = []
    for shape in sorted(shapes):
        if any(_is_mistaken_for(shape, other) for other in shapes):
            notes[f"nodes with {shape.kind}: labels do not tell them from others; declare GPUNodePools"] += len(
                shapes[shape]
            )
        else:
            pools.append(_of_shape(snapshot.fleet.name, shape, shapes[shape]))
    return pools, [f"{count} {note}" for note, count in sorted(notes.items())]


def _is_mistaken_for(shape: _Shape, other: _Shape) -> bool:
    """Whether nodes of one shape have all labels that the other is known by, or the other way round."""
    mine, theirs = dict(shape.selector).items(), dict(other.selector).items()
    return shape != other and shape.region == other.region and (mine <= theirs or theirs <= mine)


def _of_shape(fleet: str, shape: _Shape, nodes: list[ObservedNode]) -> dict[str, Any]:
    zones = Counter(node.labels[ZONE] for node in nodes)
    known = _known(shape.instance_type)
    spec: dict[str, Any] = {
        "fleet": fleet,
        "gpu": {"kind": shape.kind, "count": shape.gpus}
        | ({"deviceClass": shape.device_class} if shape.device_class else {}),
        "region": shape.region,
        "nodeSelector": dict(shape.selector),
        "tolerations": _tolerated(_common([node.taints for node in nodes])),
        "offerings": [
            {"zone": zone, "capacityType": shape.capacity_type.value, "maxNodes": count}
            for zone, count in sorted(zones.items())
        ],
        "provisioning": Provisioning.FIXED.value,
        "allocatable": _smallest([node.allocatable for node in nodes]),
    }
    # An instance type of the catalogue tells the price; one that has other GPUs would contradict the nodes.
    if known is not None and known.config.kind == shape.kind and known.config.count == shape.gpus:
        spec["instanceType"] = shape.instance_type
    assumed = (
        "the nodes are yours and paid for anyway: no more of them come, and using them costs nothing more; allocatable "
        "is the least of these nodes"
    )
    if shape.device_class:
        assumed += f"; GPUs are claimed of DeviceClass {shape.device_class}, as the driver's chart installs it"
    parts = (shape.instance_type or shape.kind, str(shape.gpus), shape.region, shape.capacity_type.value)
    return _pool("nodes", parts, spec, source=f"{len(nodes)} nodes with {shape.kind}", assumed=assumed)


def _of_terms(fleet: str, terms: NodePoolTerms) -> list[dict[str, Any]]:
    """One pool for each instance type and region that a NodePool may make nodes of."""
    regions: dict[str, list[str]] = defaultdict(list)
    for zone in terms.zones:
        regions[terms.region or region_of(zone)].append(zone)
    pools = []
    for instance_type in terms.instance_types:
        for region, zones in sorted(regions.items()):
            most = ASSUMED_NODES if terms.gpu_limit is None else terms.gpu_limit // instance_type.config.count
            priced = price_row(region, instance_type.name)
            spec = {
                "fleet": fleet,
                "gpu": {"kind": instance_type.config.kind, "count": instance_type.config.count},
                "instanceType": instance_type.name,
                "cloud": instance_type.cloud,
                "region": region,
                "nodeSelector": {KARPENTER_POOL: terms.name},
                "tolerations": _tolerated(terms.taints),
                "offerings": [
                    {"zone": zone, "capacityType": capacity_type.value, "maxNodes": most}
                    for zone in sorted(zones)
                    for capacity_type in terms.capacity_types
                ],
                "provisioning": Provisioning.AUTOSCALER.value,
            }
            assumed = [
                f"at most {ASSUMED_NODES} nodes per offering: the NodePool sets no limit of nvidia.com/gpu"
                if terms.gpu_limit is None
                else f"each offering may have all {terms.gpu_limit} GPUs of the NodePool's limit"
            ]
            if priced is not None:
                spot = " spot prices from savings, not quoted;" if priced.spot_estimated else ""
                assumed.append(f"catalogue prices of {priced.as_of};{spot} allocatable resources from the catalogue")
            pools.append(
                _pool(
                    terms.name,
                    (instance_type.name, region),
                    spec,
                    source=f"NodePool {terms.name}",
                    assumed="; ".join(assumed),
                )
            )
    return pools


def region_of(zone: str) -> str:
    """The region of a zone by the clouds' ways of naming: ``us-east-2`` of ``us-east-2a`` and of ``us-east-2-a``."""
    found = re.fullmatch(r"(.*\d)-?[a-z]", zone)
    return found[1] if found else zone


def _pool(first: str, parts: Iterable[str], spec: dict[str, Any], *, source: str, assumed: str) -> dict[str, Any]:
    readable = re.sub(r"[^a-z0-9]+", "-", "-".join((first, *parts)).lower()).strip("-")
    name = readable
    if len(readable) > names.NAME_LIMIT:
        name = f"{readable[: names.NAME_LIMIT - 11].rstrip('-')}-{names.content_hash(readable)}"
    return {
        "apiVersion": GPU_NODE_POOL.api_version,
        "kind": GPU_NODE_POOL.name,
        "metadata": {
            "name": name,
            "labels": {names.MANAGED_BY: names.FIELD_MANAGER, names.DISCOVERED: "true"},
            "annotations": {names.DISCOVERED_FROM: source, names.ASSUMED: assumed},
        },
        "spec": spec,
    }


def _is_covered(pool: Mapping[str, Any], declared: Mapping[str, NodePool]) -> bool:
    """Whether a declared pool has the same nodes come: the same instance type in the same region."""
    spec = pool["spec"]
    return any(
        (own.instance_type, own.region) == (spec["instanceType"], spec["region"])
        and own.provisioning is Provisioning.AUTOSCALER
        for own in declared.values()
    )


def _known(name: str) -> InstanceType | None:
    return next((item for item in instance_types() if item.name == name), None)


def _smallest(sizes: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The least of each resource, in the words of one of the nodes."""
    sizes = list(sizes)
    return {
        field: min((size.get(resource, "0") for size in sizes), key=lambda text: quantity(text) or Decimal(0))
        for field, resource in (("cpu", "cpu"), ("memory", "memory"), ("ephemeralStorage", "ephemeral-storage"))
    }


def _common(taints: list[tuple[Mapping[str, Any], ...]]) -> list[Mapping[str, Any]]:
    first, *others = taints
    return [taint for taint in first if all(taint in other for other in others)]


def _tolerated(taints: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "key": taint["key"],
            **({"operator": "Equal", "value": taint["value"]} if taint.get("value") else {"operator": "Exists"}),
            "effect": taint["effect"],
        }
        for taint in taints
        if not str(taint.get("key", "")).startswith(_LEFT_OUT_TAINTS)
    ]
