"""From raw Kubernetes objects to a snapshot: the one place that knows how objects look in the cluster.

A bad object never stops the fleet: what cannot be understood becomes a fault of that object, and all others go on.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from atoll.api.demands import parse_demand_signal
from atoll.api.fleetplan_io import read_plans
from atoll.api.parse import parse_gpu_node_pool, parse_model_demand, parse_performance_profile
from atoll.api.pools import parse_price_feed
from atoll.api.served_names import settle_served_names
from atoll.domain.correction import Correction, CorrectionUse
from atoll.domain.demand import Demand, DemandKey
from atoll.domain.feed import FeedReading, Quoted
from atoll.domain.fleet import Fleet
from atoll.domain.objects import (
    DEPLOYMENT,
    FLEET,
    FLEET_PLAN,
    GPU_NODE_POOL,
    MODEL_DEMAND,
    NODE,
    PERFORMANCE_PROFILE,
    POD,
    RESOURCE_CLAIM,
    RESOURCE_SLICE,
    Kind,
    ObjectLike,
    Reference,
    reference,
)
from atoll.domain.plan import Plan
from atoll.domain.pool import NodePool, OfferingKey, Provisioning
from atoll.domain.reason import Fault, InvalidObjectError, Reason
from atoll.domain.signal import DemandSignal, Kept, Reading
from atoll.domain.snapshot import ObservedDeployment, ObservedNode, ObservedPod, Snapshot
from atoll.domain.workload import SeenLengths
from atoll.reconcile.corrections import by_demand
from atoll.reconcile.devices import NodeDevices, devices_by_node
from atoll.reconcile.difference import quantity
from atoll.reconcile.lead import lead_seconds
from atoll.reconcile.masks import read_masks
from atoll.reconcile.measured import Pace, measure, read_kept, with_former
from atoll.reconcile.moments import EPOCH, parse_moment
from atoll.reconcile.notice import notice_of
from atoll.reconcile.ownership import fleet_of, is_engine, is_ours
from atoll.reconcile.plans import current_plan
from atoll.reconcile.policy import policy_of
from atoll.reconcile.quoted import quoted
from atoll.render import names
from atoll.render.placement import CAPACITY_TYPE, INSTANCE_TYPE, REGION, ZONE
from atoll.render.requests import GPU_RESOURCE

Objects = Mapping[Kind, Iterable[ObjectLike]]
"""Raw objects as last seen, by kind."""

_OF_ONE_FLEET = (MODEL_DEMAND, GPU_NODE_POOL)
_COUNTED = {NODE, POD, RESOURCE_SLICE, RESOURCE_CLAIM}
"""Kinds of which only what follows is kept."""

_NO_CLAIMS = Fault(
    reason=Reason.RESOURCE_CLAIMS_MISSING,
    field="spec.gpu.deviceClass",
    message="this API server has no resource.k8s.io/v1, which Kubernetes serves from 1.34 on: leave deviceClass out "
    "where nodes advertise nvidia.com/gpu, or upgrade",
)

_GPUS = re.compile("[0-9]{1,4}")
"""Of one pod, as its annotation says; anybody who may change pods may have written another text."""

_T = TypeVar("_T")


def observe(
    objects: Objects,
    *,
    fleet: str = "default",
    router_versions: Mapping[str, str | None],
    now: datetime | None = None,
    readings: Mapping[DemandKey, Reading] = MappingProxyType({}),
    feeds: Mapping[str, FeedReading] = MappingProxyType({}),
    claims_served: bool = True,
    lengths: Mapping[DemandKey, SeenLengths] = MappingProxyType({}),
) -> Snapshot:
    """The snapshot of one fleet.

    Args:
        objects: raw objects by kind; a kind that is absent is taken as empty.
        fleet: name of the Fleet; of demands and pools of other fleets, and of engines for these, only raw objects and
            pods are seen.
        router_versions: per router the configuration version it has taken; None where it cannot be read.
        now: the moment that schedules are read for; None makes a scheduled or measured demand a fault.
        readings: what was heard of measured demands.
        feeds: what was heard of price feeds, by URL.
        claims_served: the API server has ResourceClaims; without, a pool whose GPUs are claimed is at fault.
        lengths: how long demands' requests were lately.
    """
    faults: dict[Reference, tuple[Fault, ...]] = {}
    everything, objects = objects, _of_fleet(objects, fleet)
    fleet_policy = _policy(objects, fleet, faults)
    prices = _quoted(objects, feeds, now) if now is not None else {}

    def parse_pool(raw: ObjectLike) -> NodePool:
        own = prices.get(raw["metadata"]["name"])
        pool = parse_gpu_node_pool(raw, quotes=own.quotes if own else {})
        if pool.device_class and not claims_served:
            raise InvalidObjectError(_NO_CLAIMS)
        return pool

    pools = {pool.name: pool for pool in _valid(objects, GPU_NODE_POOL, parse_pool, faults)}
    plans = tuple(plan for plan in read_plans(objects.get(FLEET_PLAN, ())) if plan.fleet == fleet)
    signals = _signals(objects)
    remembered = _remembered(objects, signals, plans)
    measured = {}
    if now is not None:
        for key, signal in signals.items():
            lead = lead_seconds(key, current_plan(plans), pools)
            pace = Pace(lead_seconds=lead, keep_seconds=fleet_policy.keep_window_seconds)
            measured[key] = measure(signal, readings.get(key), remembered[key], pace, now)
    known = {key: item.estimate for key, item in measured.items() if item.estimate is not None}
    parse = partial(parse_model_demand, signals=known, now=now)
    demands = _valid(objects, MODEL_DEMAND, parse, faults)
    for key, fault in settle_served_names(demands).items():
        faults[Reference(kind=MODEL_DEMAND.name, namespace=key.namespace, name=key.name)] = (fault,)
    claims, pods = objects.get(RESOURCE_CLAIM, ()), objects.get(POD, ())
    devices = devices_by_node(objects.get(RESOURCE_SLICE, ()), claims, pods)
    nodes = [observe_node(raw, pools, devices.get(raw["metadata"]["name"])) for raw in objects.get(NODE, ())]
    masks = {}
    for raw in objects.get(GPU_NODE_POOL, ()):
        masks.update(read_masks(raw))
    return Snapshot(
        fleet=fleet_policy,
        demands={
            demand.key: demand
            for demand in sorted(demands, key=lambda item: item.key)
            if Reference(kind=MODEL_DEMAND.name, namespace=demand.key.namespace, name=demand.key.name) not in faults
        },
        pools=pools,
        faults=faults,
        nodes={node.name: node for node in nodes},
        pods=tuple(observe_pod(raw) for raw in pods),
        deployments=_deployments(objects.get(DEPLOYMENT, ()), _demands_of_others(everything, fleet)),
        plans=plans,
        profiles=tuple(
            sorted(
                _valid(objects, PERFORMANCE_PROFILE, parse_performance_profile, faults),
                key=lambda profile: profile.name,
            )
        ),
        measured=measured,
        lengths=lengths,
        corrections=_corrections(fleet_policy, demands, objects),
        quoted=prices,
        masks=masks,
        objects={reference(raw): raw for kind, items in everything.items() if kind not in _COUNTED for raw in items},
        router_versions=router_versions,
    )


def _of_fleet(objects: Objects, fleet: str) -> Objects:
    """The objects, less demands and pools of other fleets: what is wrong with these their own operators say."""
    own = {kind: [raw for raw in objects.get(kind, ()) if fleet_of(raw) == fleet] for kind in _OF_ONE_FLEET}
    return {**objects, **own}


def _demands_of_others(objects: Objects, fleet: str) -> set[DemandKey]:
    return {_demand_key(raw) for raw in objects.get(MODEL_DEMAND, ()) if fleet_of(raw) != fleet}


def _policy(objects: Objects, name: str, faults: dict[Reference, tuple[Fault, ...]]) -> Fleet:
    """The settings that hold; built-in defaults where no Fleet of this name is declared."""
    raw = _only(objects.get(FLEET, ()), lambda item: bool(item["metadata"]["name"] == name))
    if raw is None or raw["metadata"].get("deletionTimestamp"):
        return Fleet(name=name)
    policy, fault = policy_of(raw)
    if fault is not None:
        faults[reference(raw)] = (fault,)
    return policy


def _quoted(objects: Objects, feeds: Mapping[str, FeedReading], now: datetime) -> dict[str, Quoted]:
    """What is known of the prices of pools with a feed."""
    found = {}
    for raw in objects.get(GPU_NODE_POOL, ()):
        feed = parse_price_feed(raw)
        if feed is not None:
            found[raw["metadata"]["name"]] = quoted(feed, feeds.get(feed.url), raw, now)
    return found


def _corrections(
    policy: Fleet, demands: Iterable[Demand], objects: Objects
) -> Mapping[DemandKey, tuple[Correction, ...]]:
    """What statuses remember of what engines reported."""
    return {} if policy.corrections is CorrectionUse.OFF else by_demand(demands, objects.get(MODEL_DEMAND, ()))


def _signals(objects: Objects) -> dict[DemandKey, DemandSignal]:
    """How demands are measured, those that are."""
    found = {_demand_key(raw): parse_demand_signal(raw) for raw in objects.get(MODEL_DEMAND, ())}
    return {key: signal for key, signal in found.items() if signal is not None}


def _remembered(
    objects: Objects, signals: Mapping[DemandKey, DemandSignal], plans: Iterable[Plan]
) -> dict[DemandKey, Kept]:
    """What the cluster remembers of measured demands: their status, else the plan in force."""
    plan = current_plan(plans)
    planned = {item.key: item.rate for item in plan.demands} if plan else {}
    found = {_demand_key(raw): raw for raw in objects.get(MODEL_DEMAND, ())}
    return {key: with_former(read_kept(found[key]), planned.get(key)) for key in signals}


def _demand_key(raw: ObjectLike) -> DemandKey:
    return DemandKey(namespace=raw["metadata"].get("namespace", ""), name=raw["metadata"]["name"])


def observe_node(raw: ObjectLike, pools: Mapping[str, NodePool], devices: NodeDevices | None = None) -> ObservedNode:
    """A node with the offering that it belongs to, and with the GPUs that it publishes as devices."""
    metadata, status = raw["metadata"], raw.get("status", {})
    gpus = int(quantity(status.get("allocatable", {}).get(GPU_RESOURCE, 0)) or 0)
    return ObservedNode(
        name=metadata["name"],
        offering=offering_of(metadata.get("labels") or {}, pools),
        gpus=gpus or (devices.gpus if devices else 0),
        ready=_condition(status, "Ready"),
        notice=notice_of(raw),
        labels=metadata.get("labels") or {},
        allocatable=status.get("allocatable") or {},
        taints=tuple((raw.get("spec") or {}).get("taints") or ()),
        claimed=devices.held if devices else 0,
        product=devices.product if devices and not gpus else "",
    )


def offering_of(labels: Mapping[str, str], pools: Mapping[str, NodePool]) -> OfferingKey | None:
    """The offering whose nodes have these labels; the first by name where several pools claim them."""
    zone = labels.get(ZONE, "")
    for name in sorted(pools):
        pool = pools[name]
        if any(labels.get(key) != value for key, value in pool.node_selector.items()):
            continue
        if pool.provisioning is Provisioning.AUTOSCALER:
            if pool.instance_type and labels.get(INSTANCE_TYPE) != pool.instance_type:
                continue
        elif not pool.node_selector:
            continue  # owned nodes are known by their selector alone
        if labels.get(REGION, pool.region) != pool.region:
            continue
        terms = labels.get(CAPACITY_TYPE)
        for offering in pool.offerings:
            own = offering.node_selector
            fits = own.items() <= labels.items() if own else terms in {None, offering.key.capacity_type.value}
            if offering.key.zone == zone and fits:
                return offering.key
    return None


def observe_pod(raw: ObjectLike) -> ObservedPod:
    """A pod, from the whole object or from its slimmed form."""
    metadata, spec, status = raw["metadata"], raw.get("spec", {}), raw.get("status", {})
    containers = status.get("containerStatuses") or ()
    waiting = [item.get("state", {}).get("waiting", {}).get("reason", "") for item in containers]
    return ObservedPod(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        node=spec.get("nodeName") or "",
        gpus=pod_gpus(spec) + _claimed(metadata),
        phase=status.get("phase", "Pending"),
        ready=_condition(status, "Ready"),
        ready_since=_since(status, "Ready"),
        deleting=bool(metadata.get("deletionTimestamp")),
        ending=bool(metadata.get("deletionTimestamp")) and metadata.get("deletionGracePeriodSeconds") == 0,
        created=parse_moment(metadata.get("creationTimestamp")) or EPOCH,
        restarts=sum(int(item.get("restartCount", 0)) for item in containers),
        waiting=next((reason for reason in waiting if reason), ""),
        address=status.get("podIP") or "",
        nominated=status.get("nominatedNodeName") or "",
        gates=tuple(str(gate.get("name", "")) for gate in spec.get("schedulingGates") or ()),
    )


def pod_gpus(spec: Mapping[str, Any]) -> int:
    """``nvidia.com/gpu`` as the scheduler counts: containers with sidecars, or the largest init container if more."""
    inits = spec.get("initContainers") or ()
    sidecars = sum(_asked(item) for item in inits if item.get("restartPolicy") == "Always")
    together = sum(_asked(item) for item in spec.get("containers") or ()) + sidecars
    return max([together, *(_asked(item) for item in inits)])


def _claimed(metadata: Mapping[str, Any]) -> int:
    """GPUs that one of our pods claims; what others claim is told by their claims."""
    said = (metadata.get("annotations") or {}).get(names.GPUS, "")
    return int(said) if _GPUS.fullmatch(said) and is_engine(metadata.get("labels") or {}) else 0


def _asked(container: Mapping[str, Any]) -> int:
    resources = container.get("resources") or {}
    asked = (resources.get("requests") or {}).get(GPU_RESOURCE) or (resources.get("limits") or {}).get(GPU_RESOURCE)
    return int(quantity(asked) or 0)


def _deployments(items: Iterable[ObjectLike], others: Collection[DemandKey]) -> tuple[ObservedDeployment, ...]:
    """Engine Deployments, less those of others' demands."""
    found = [item for item in map(observe_deployment, items) if item is not None and item.demand not in others]
    return tuple(sorted(found, key=lambda item: (item.namespace, item.name)))


def observe_deployment(raw: ObjectLike) -> ObservedDeployment | None:
    """One of our engine Deployments; None for any other and for one whose annotations nobody can read."""
    metadata, spec = raw["metadata"], raw.get("spec", {})
    labels: Mapping[str, str] = metadata.get("labels") or {}
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    if not is_ours(labels) or names.STRATEGY not in labels:
        return None
    try:
        strategy = names.read_strategy(annotations[names.STRATEGY_SPEC])
        offerings = names.read_offerings(annotations[names.OFFERINGS])
        stage = int(labels.get(names.STAGE, 0))
        replica = int(labels.get(names.REPLICA, -1))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None
    if len(offerings) != len(strategy.stages) or not 0 <= stage < len(offerings):
        return None
    return ObservedDeployment(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
        demand=DemandKey(namespace=metadata.get("namespace", ""), name=labels.get(names.DEMAND, "")),
        strategy=strategy,
        offerings=offerings,
        replica=replica if len(offerings) > 1 else -1,
        stage=stage,
        replicas=int(spec.get("replicas", 1)),
        selector=(spec.get("selector") or {}).get("matchLabels") or {},
        deleting=bool(metadata.get("deletionTimestamp")),
    )


def _valid(
    objects: Objects, kind: Kind, parse: Callable[[ObjectLike], _T], faults: dict[Reference, tuple[Fault, ...]]
) -> list[_T]:
    valid = []
    for raw in objects.get(kind, ()):
        if raw["metadata"].get("deletionTimestamp"):
            continue
        try:
            valid.append(parse(raw))
        except InvalidObjectError as invalid:
            faults[reference(raw)] = (invalid.fault,)
    return valid


def _only(items: Iterable[_T], wanted: Callable[[_T], bool]) -> _T | None:
    return next((item for item in items if wanted(item)), None)


def _condition(status: Mapping[str, Any], kind: str) -> bool:
    return any(item.get("type") == kind and item.get("status") == "True" for item in status.get("conditions") or ())


def _since(status: Mapping[str, Any], kind: str) -> datetime | None:
    """When a condition became what it is."""
    found = _only(status.get("conditions") or (), lambda item: item.get("type") == kind)
    return parse_moment(found.get("lastTransitionTime")) if found else None
