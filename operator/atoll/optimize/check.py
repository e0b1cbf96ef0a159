"""The last word on an allocation: an independent check that it holds, from the problem alone.

It shares no code with the search: it re-reads demands, supplies and sites and packs every stage pod by itself. What
fails here is never returned to the operator.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace

from atoll.domain.demand import DemandKey, Loss
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import OfferingKey, Supply
from atoll.domain.problem import Allocation, DemandRow, Problem, ReplicaGroup
from atoll.domain.reason import Reason
from atoll.optimize.tally import served_by

TOLERANCE = 1e-5
"""Relative tolerance on rates and costs."""


def check(problem: Problem, allocation: Allocation) -> tuple[str, ...]:
    """What is wrong with an allocation, one sentence each; empty if nothing is.

    Args:
        problem: that it answers.
        allocation: the answer.
    """
    return (
        *_groups(problem, allocation),
        *_nodes(problem, allocation),
        *_packing(allocation),
        *_quotas(problem, allocation),
        *_coverage(problem, allocation),
        *_limits(problem, allocation),
        *_cost(problem, allocation),
    )


def _rows(problem: Problem) -> dict[DemandKey, DemandRow]:
    return {row.key: row for row in problem.demands}


def _asked(allocation: Allocation) -> set[DemandKey]:
    return {group.demand for group in allocation.replicas}


def _groups(problem: Problem, allocation: Allocation) -> Iterator[str]:
    rows = _rows(problem)
    known = {key: {template.strategy for template in rows[key].templates} for key in _asked(allocation) & rows.keys()}
    supplies = {supply.offering: supply for supply in problem.supplies}
    for group in allocation.replicas:
        row = rows.get(group.demand)
        if row is None:
            yield f"{group.demand}: replicas for a demand that is not there"
            continue
        if group.count < 1:
            yield f"{group.demand}: a group of {group.count} replicas"
        if group.strategy not in known[group.demand]:
            yield f"{group.demand}: strategy {group.strategy.id} is none of its templates"
        yield from _site(row, group, supplies)


def _site(row: DemandRow, group: ReplicaGroup, supplies: dict[OfferingKey, Supply]) -> Iterator[str]:
    offerings = group.site.offerings
    if len(offerings) != len(group.strategy.stages):
        yield f"{group.demand}: {len(offerings)} offerings for {len(group.strategy.stages)} stages"
        return
    unknown = [offering for offering in offerings if offering not in supplies]
    if unknown:
        yield f"{group.demand}: offering {unknown[0]} cannot be had"
        return
    places = {(supplies[o].region, o.zone, o.capacity_type) for o in offerings}
    if len(places) > 1:
        yield f"{group.demand}: one replica in {len(places)} zones or capacity types"
    region, _, capacity_type = min(places)
    placement = row.placement
    if placement.regions and region not in placement.regions:
        yield f"{group.demand}: region {region} is not allowed"
    if placement.capacity_types and capacity_type not in placement.capacity_types:
        yield f"{group.demand}: capacity type {capacity_type} is not allowed"
    for stage, offering in zip(group.strategy.stages, offerings, strict=True):
        if supplies[offering].gpu_kind != stage.gpu_kind:
            yield f"{group.demand}: a stage for {stage.gpu_kind} on {offering}"
        if placement.gpu_kinds and stage.gpu_kind not in placement.gpu_kinds:
            yield f"{group.demand}: GPU kind {stage.gpu_kind} is not allowed"


def _nodes(problem: Problem, allocation: Allocation) -> Iterator[str]:
    obtainable: Counter[Supply] = Counter()
    for supply in problem.supplies:
        obtainable[supply] += supply.obtainable
    used: Counter[Supply] = Counter()
    for use in allocation.nodes:
        used[use.supply] += use.nodes
        if use.nodes < 1:
            yield f"{use.supply.offering}: {use.nodes} nodes in use"
    for supply, nodes in used.items():
        if nodes > obtainable[supply]:
            yield f"{supply.offering}: {nodes} nodes of {obtainable[supply]} that can be had"


def _packing(allocation: Allocation) -> Iterator[str]:
    """First fit of the widest pods first is exact for power-of-two widths (brute-forced, design section 5)."""
    pods: dict[OfferingKey, list[int]] = defaultdict(list)
    for group in allocation.replicas:
        for offering in group.site.offerings:
            pods[offering] += [group.strategy.tp] * group.count
    free: dict[OfferingKey, list[int]] = defaultdict(list)
    for use in allocation.nodes:
        free[use.supply.offering] += [use.supply.gpus] * use.nodes
    for offering, widths in pods.items():
        nodes = free[offering]
        for width in sorted(widths, reverse=True):
            seat = next((number for number, gpus in enumerate(nodes) if gpus >= width), None)
            if seat is None:
                yield f"{offering}: a stage of {width} GPUs finds no room"
                break
            nodes[seat] -= width


def _quotas(problem: Problem, allocation: Allocation) -> Iterator[str]:
    gpus: Counter[str] = Counter()
    for group in allocation.replicas:
        gpus[group.demand.namespace] += group.count * group.strategy.tp * len(group.strategy.stages)
    for quota in problem.policy.quotas:
        if gpus[quota.namespace] > quota.gpus:
            yield f"namespace {quota.namespace}: {gpus[quota.namespace]} GPUs, quota {quota.gpus}"


def _own(problem: Problem, allocation: Allocation) -> dict[DemandKey, list[ReplicaGroup]]:
    own: dict[DemandKey, list[ReplicaGroup]] = {row.key: [] for row in problem.demands}
    for group in allocation.replicas:
        own.setdefault(group.demand, []).append(group)
    return own


def _regions(problem: Problem) -> dict[OfferingKey, str]:
    return {supply.offering: supply.region for supply in problem.supplies}


def _coverage(problem: Problem, allocation: Allocation) -> Iterator[str]:
    own, regions = _own(problem, allocation), _regions(problem)
    for row in problem.demands:
        rate = served_by(row, own[row.key], regions)
        shortfall = allocation.shortfall.get(row.key, 0.0)
        if not 0.0 <= shortfall <= row.rate * (1.0 + TOLERANCE):
            yield f"{row.key}: shortfall {shortfall:g} of {row.rate:g} requests/s"
        if rate + shortfall < row.rate * (1.0 - TOLERANCE):
            yield f"{row.key}: {rate:g} served and {shortfall:g} short of {row.rate:g} requests/s"


def _limits(problem: Problem, allocation: Allocation) -> Iterator[str]:
    """A soft limit may be broken, but never silently."""
    groups, regions = _own(problem, allocation), _regions(problem)
    for row in problem.demands:
        if row.rate <= 0.0:
            continue
        own, placement = groups[row.key], row.placement
        total = min(row.rate, served_by(row, own, regions))
        steady = served_by(row, [g for g in own if not _on_spot(g)], regions)
        zones = {(regions.get(g.site.offerings[0]), g.site.zone) for g in own}
        broken = set()
        if steady < (1.0 - placement.spot_share) * total - TOLERANCE * row.rate:
            broken.add(Reason.SPOT_SHARE_UNMET)
        if sum(group.count for group in own) < placement.min_replicas:
            broken.add(Reason.MIN_REPLICAS_UNMET)
        if placement.min_domains > 1 and len(zones) < placement.min_domains:
            broken.add(Reason.MIN_DOMAINS_UNMET)
        if not _survives(row, own, regions):
            broken.add(Reason.SURVIVE_UNMET)
        for reason in sorted(broken - set(allocation.unmet.get(row.key, ()))):
            yield f"{row.key}: {reason} is not reported"


def _on_spot(group: ReplicaGroup) -> bool:
    return group.site.offerings[0].capacity_type is CapacityType.SPOT


def _survives(row: DemandRow, own: list[ReplicaGroup], regions: dict[OfferingKey, str]) -> bool:
    """Whether what is left after the worst loss serves its share of the demand."""
    if row.placement.survive is Loss.NONE:
        return True
    left = [own, *_after_losses(row.placement.survive, own, regions)]
    worst = min(served_by(row, groups, regions) for groups in left)
    return worst >= (row.placement.survive_share - TOLERANCE) * row.rate


def _after_losses(
    survive: Loss, own: list[ReplicaGroup], regions: dict[OfferingKey, str]
) -> Iterator[list[ReplicaGroup]]:
    """What is left after each loss."""
    lost: dict[tuple[object, ...], set[int]] = defaultdict(set)
    for number, group in enumerate(own):
        first = group.site.offerings[0]
        where = (regions.get(first), first.zone)
        if survive is Loss.REPLICA:
            fewer = replace(group, count=group.count - 1)
            yield [fewer if other is group else other for other in own]
        elif survive is Loss.ZONE:
            lost[where].add(number)
        elif _on_spot(group):
            for stage in group.strategy.stages:
                lost[(*where, stage.gpu_kind)].add(number)
    for numbers in lost.values():
        yield [group for number, group in enumerate(own) if number not in numbers]


def _cost(problem: Problem, allocation: Allocation) -> Iterator[str]:
    cost = sum(use.nodes * use.supply.price_per_hour for use in allocation.nodes)
    slack = TOLERANCE * max(1.0, cost)
    if not math.isfinite(allocation.cost_per_hour) or abs(cost - allocation.cost_per_hour) > slack:
        yield f"cost {allocation.cost_per_hour:g}, but its nodes cost {cost:g} US$/h"
    if not 0.0 <= allocation.bound_per_hour <= allocation.cost_per_hour + slack:
        yield f"bound {allocation.bound_per_hour:g} of a cost of {allocation.cost_per_hour:g} US$/h"
    over = cost > problem.policy.budget_per_hour + slack
    named = any(Reason.OVER_BUDGET in reasons for reasons in allocation.unmet.values())
    if over and allocation.replicas and not named:
        yield f"cost {cost:g} is over the budget of {problem.policy.budget_per_hour:g} US$/h and not reported"
