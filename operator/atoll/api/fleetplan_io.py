"""Plans to FleetPlan objects and back: a head, and shards for what does not fit into 200 KiB.

A shard has the same spec as its head, with ``shard`` set and nothing but further items of ``nodes`` and ``demands``.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from atoll.api.decode import decode, invalid, metadata
from atoll.api.explanation_io import (
    alternative_items,
    alternatives_of,
    binding_items,
    bindings_of,
    strategy_item,
    strategy_of,
    worth_items,
    worths_of,
)
from atoll.api.schema import filled, sparse
from atoll.api.v1alpha1.fleetplan import (
    DemandItem,
    FleetPlanSpec,
    NodesItem,
    OfferingRef,
    ReplicasItem,
    ShardIndex,
    StartPhasesItem,
)
from atoll.domain.demand import DemandKey
from atoll.domain.objects import ATOLL, FLEET, FLEET_PLAN
from atoll.domain.plan import Plan, PlannedDemand, PlannedNodes, PlannedReplicas, PlanPhase
from atoll.domain.pool import OfferingKey
from atoll.domain.problem import ReplicaGroup, ReplicaSite
from atoll.domain.reason import InvalidObjectError
from atoll.domain.startup import StartPhases

LARGEST_BYTES = 200 * 1024
"""Of one object; etcd takes 1.5 MiB, but watches carry every object to every reader (reliability.md 0.7)."""

_DECIMALS = 6
"""Of what is derived for people to read."""

_HEAD_BYTES = 8 * 1024
_CHUNK = 64
"""Replica groups in one item: some 40 KiB at most with pipelines of eight stages."""


def plan_objects(plan: Plan, *, fleet_uid: str = "") -> tuple[dict[str, Any], ...]:
    """The head and then its shards, as the API server takes them.

    Args:
        plan: to write.
        fleet_uid: of the Fleet that owns it; empty where none is declared. Shards are owned by the head, whose uid is
            ``plan.uid``: where that is empty yet, they get no owner.
    """
    name, pages = plan.name, list(_pages(plan))
    head = _spec(plan, shards=len(pages) - 1, items=pages[0])
    labels = {"atoll.dev/fleet": plan.fleet, "atoll.dev/plan": name}
    objects = [_object(name, labels, filled(head), owner=(FLEET.name, plan.fleet, fleet_uid))]
    for index, items in enumerate(pages[1:], start=1):
        shard = FleetPlanSpec(
            fleet=plan.fleet,
            basis=plan.basis,
            shard=ShardIndex(of=name, index=index),
            nodes=tuple(item for item in items if isinstance(item, NodesItem)),
            demands=tuple(item for item in items if isinstance(item, DemandItem)),
        )
        owner = (FLEET_PLAN.name, name, plan.uid)
        objects.append(_object(f"{name}-{index}", labels, sparse(shard), owner=owner))
    return tuple(objects)


def parse_fleet_plan(objects: Iterable[object]) -> Plan:
    """One plan from its head and its shards, in any order.

    Args:
        objects: any JSON that claims to be the head and the shards of one FleetPlan.

    Raises:
        InvalidObjectError: and nothing else; also where a shard is missing.
    """
    specs = []
    for obj in objects:
        found = metadata(obj, FLEET_PLAN)
        value: Any = obj
        specs.append((found, decode(value.get("spec", {}), FleetPlanSpec, "spec"), value))
    heads = [item for item in specs if item[1].shard is None]
    if len(heads) != 1:
        raise invalid("spec.shard", f"{len(heads)} heads given: expected one and its shards")
    found, head, raw = heads[0]
    shards = {spec.shard.index: spec for _, spec, _ in specs if spec.shard is not None and spec.shard.of == found.name}
    missing = [index for index in range(1, head.shards + 1) if index not in shards]
    if missing:
        raise invalid("spec.shards", f"{len(missing)} of {head.shards} shards are missing, first {missing[0]}")
    parts = (head, *(shards[index] for index in range(1, head.shards + 1)))
    plan = Plan(
        fleet=head.fleet,
        basis=head.basis,
        approved=head.approved,
        rollback_of=head.rollback_of,
        cost_per_hour=head.cost_per_hour,
        previous_cost_per_hour=head.previous_cost_per_hour,
        bound_per_hour=head.bound_per_hour,
        conditional=head.conditional,
        nodes=tuple(_planned_nodes(item) for part in parts for item in part.nodes),
        demands=_planned_demands(item for part in parts for item in part.demands),
        phase=_phase(raw.get("status")),
        created=found.created,
        in_force_since=_since(raw.get("status")),
        uid=found.uid,
        worths=worths_of(head.worths),
        baseline_per_hour=head.baseline_per_hour,
        baseline_shortfall=head.baseline_shortfall,
    )
    if plan.name != found.name:
        raise invalid("metadata.name", f"{found.name} given, but this content is named {plan.name}: it was changed")
    return plan


def read_plans(objects: Iterable[object]) -> tuple[Plan, ...]:
    """All plans that are whole and can be understood, oldest first; others are as if they were not there."""
    groups: dict[str, list[object]] = {}
    for obj in objects:
        groups.setdefault(_head_name(obj), []).append(obj)
    plans = []
    for group in groups.values():
        try:
            plans.append(parse_fleet_plan(group))
        except InvalidObjectError:
            continue
    return tuple(sorted(plans, key=lambda plan: (plan.created, plan.name)))


def _head_name(obj: object) -> str:
    for path in (("spec", "shard", "of"), ("metadata", "name")):
        value = obj
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, str):
            return value
    return ""


def _since(status: object) -> str:
    since = status.get("inForceSince") if isinstance(status, Mapping) else None
    return since if isinstance(since, str) else ""


def _phase(status: object) -> PlanPhase:
    """What the status says; a plan that nobody has looked at yet is proposed."""
    phase = status.get("phase") if isinstance(status, Mapping) else None
    return next((known for known in PlanPhase if known.value == phase), PlanPhase.PROPOSED)


def _pages(plan: Plan) -> Iterator[list[NodesItem | DemandItem]]:
    """Items in pages that fit into one object each; the first page is the head's and may be empty."""
    page: list[NodesItem | DemandItem] = []
    size = _HEAD_BYTES
    for item in _items(plan):
        length = len(json.dumps(filled(item))) + 1
        if size + length > LARGEST_BYTES:
            yield page
            page, size = [], _HEAD_BYTES
        page.append(item)
        size += length
    yield page


def _items(plan: Plan) -> Iterator[NodesItem | DemandItem]:
    for use in plan.nodes:
        yield NodesItem(
            pool=use.offering.pool,
            zone=use.offering.zone,
            capacity_type=use.offering.capacity_type,
            nodes=use.nodes,
            price_per_hour=use.price_per_hour,
            paid_per_hour=use.paid_per_hour,
        )
    for demand in plan.demands:
        yield DemandItem(
            namespace=demand.key.namespace,
            name=demand.key.name,
            uid=demand.uid,
            rate=demand.rate,
            shortfall=demand.shortfall,
            cost_per_hour=demand.cost_per_hour,
            reason=demand.reason,
            unmet=demand.unmet,
            alternatives=alternative_items(demand.alternatives),
            bindings=binding_items(demand.bindings),
            replicas=tuple(_replicas_item(item) for item in demand.replicas[:_CHUNK]),
        )
        for start in range(_CHUNK, len(demand.replicas), _CHUNK):
            yield DemandItem(
                namespace=demand.key.namespace,
                name=demand.key.name,
                replicas=tuple(_replicas_item(item) for item in demand.replicas[start : start + _CHUNK]),
            )


def _spec(plan: Plan, *, shards: int, items: list[NodesItem | DemandItem]) -> FleetPlanSpec:
    return FleetPlanSpec(
        fleet=plan.fleet,
        basis=plan.basis,
        approved=plan.approved,
        rollback_of=plan.rollback_of,
        cost_per_hour=plan.cost_per_hour,
        list_cost_per_hour=round(plan.list_cost_per_hour, _DECIMALS),
        previous_cost_per_hour=plan.previous_cost_per_hour,
        saving_per_hour=round(plan.previous_cost_per_hour - plan.cost_per_hour, _DECIMALS),
        bound_per_hour=plan.bound_per_hour,
        gap=round(min(1.0, plan.gap), _DECIMALS),
        conditional=plan.conditional,
        shortfall=sum(demand.shortfall for demand in plan.demands),
        baseline_per_hour=plan.baseline_per_hour,
        baseline_shortfall=plan.baseline_shortfall,
        shards=shards,
        worths=worth_items(plan.worths),
        nodes=tuple(item for item in items if isinstance(item, NodesItem)),
        demands=tuple(item for item in items if isinstance(item, DemandItem)),
    )


def _object(
    name: str, labels: Mapping[str, str], spec: Mapping[str, Any], *, owner: tuple[str, str, str]
) -> dict[str, Any]:
    kind, owner_name, uid = owner
    found: dict[str, Any] = {"name": name, "labels": dict(labels)}
    if uid:
        found["ownerReferences"] = [{"apiVersion": ATOLL, "kind": kind, "name": owner_name, "uid": uid}]
    return {"apiVersion": ATOLL, "kind": FLEET_PLAN.name, "metadata": found, "spec": dict(spec)}


def _replicas_item(item: PlannedReplicas) -> ReplicasItem:
    return ReplicasItem(
        strategy=strategy_item(item.group.strategy),
        offerings=tuple(
            OfferingRef(pool=key.pool, zone=key.zone, capacity_type=key.capacity_type)
            for key in item.group.site.offerings
        ),
        count=item.group.count,
        rate=item.rate,
        ttft_seconds=item.ttft_seconds,
        tpot_seconds=item.tpot_seconds,
        source=item.source,
        expected_error=item.expected_error,
        startup_seconds=item.startup_seconds,
        startup=_phases_item(item.phases),
    )


def _phases_item(phases: StartPhases | None) -> StartPhasesItem | None:
    if phases is None:
        return None
    return StartPhasesItem(
        image_seconds=phases.image_seconds,
        weights_seconds=round(phases.weights_seconds, _DECIMALS),
        engine_seconds=phases.engine_seconds,
        weights_bytes=round(phases.weights_bytes),
    )


def _planned_nodes(item: NodesItem) -> PlannedNodes:
    return PlannedNodes(
        offering=OfferingKey(pool=item.pool, zone=item.zone, capacity_type=item.capacity_type),
        nodes=item.nodes,
        price_per_hour=item.price_per_hour,
        paid_per_hour=item.paid_per_hour,
    )


def _planned_demands(items: Iterable[DemandItem]) -> tuple[PlannedDemand, ...]:
    """Items of the same name are one demand; the first carries what is not replicas."""
    grouped: dict[DemandKey, list[DemandItem]] = {}
    for item in items:
        grouped.setdefault(DemandKey(namespace=item.namespace, name=item.name), []).append(item)
    return tuple(
        PlannedDemand(
            key=key,
            uid=parts[0].uid,
            rate=parts[0].rate,
            shortfall=parts[0].shortfall,
            cost_per_hour=parts[0].cost_per_hour,
            reason=parts[0].reason,
            unmet=parts[0].unmet,
            alternatives=alternatives_of(parts[0].alternatives),
            bindings=bindings_of(parts[0].bindings),
            replicas=tuple(_planned_replicas(key, item) for part in parts for item in part.replicas),
        )
        for key, parts in grouped.items()
    )


def _planned_replicas(demand: DemandKey, item: ReplicasItem) -> PlannedReplicas:
    return PlannedReplicas(
        group=ReplicaGroup(
            demand=demand,
            strategy=strategy_of(item.strategy),
            site=ReplicaSite(
                offerings=tuple(
                    OfferingKey(pool=ref.pool, zone=ref.zone, capacity_type=ref.capacity_type) for ref in item.offerings
                )
            ),
            count=item.count,
        ),
        rate=item.rate,
        ttft_seconds=item.ttft_seconds,
        tpot_seconds=item.tpot_seconds,
        source=item.source,
        expected_error=item.expected_error,
        startup_seconds=item.startup_seconds,
        phases=_phases(item.startup),
    )


def _phases(item: StartPhasesItem | None) -> StartPhases | None:
    if item is None:
        return None
    return StartPhases(
        image_seconds=item.image_seconds,
        weights_seconds=item.weights_seconds,
        engine_seconds=item.engine_seconds,
        weights_bytes=item.weights_bytes,
    )
