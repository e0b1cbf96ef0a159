"""Small fleets for tests of stage two, and their optimum by enumeration."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from atoll.domain.architecture import Quantisation
from atoll.domain.demand import DemandKey, Loss, Placement
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import OfferingKey, Supply
from atoll.domain.problem import DemandRow, Problem, Quota, ReplicaGroup, ReplicaSite, SolvePolicy
from atoll.domain.strategy import EngineName, Limit, PerformanceSource, Stage, Strategy, Template

Place = tuple[str, str, CapacityType]

SPOT = CapacityType.SPOT
ON_DEMAND = CapacityType.ON_DEMAND


def key(name: str) -> DemandKey:
    return DemandKey(namespace="shop", name=name)


def template(*kinds: str, tp: int = 1, rate: float = 1.0, startup: float = 120.0) -> Template:
    """A template with one stage per kind named."""
    strategy = Strategy(
        engine=EngineName.VLLM,
        tp=tp,
        stages=tuple(Stage(gpu_kind=kind, layers=32 // len(kinds)) for kind in kinds),
        quantisation=Quantisation.BF16,
        max_sequences=64,
        max_context=8192,
    )
    return Template(
        strategy=strategy,
        rate=rate,
        ttft_seconds=0.5,
        tpot_seconds=0.05,
        sequences=32.0,
        limit=Limit.TPOT,
        sources=dict.fromkeys(kinds, PerformanceSource.ROOFLINE),
        expected_error=0.3,
        startup_seconds=startup,
    )


def quota(gpus: int, namespace: str = "shop") -> Quota:
    return Quota(namespace=namespace, gpus=gpus)


def supply(
    kind: str,
    gpus: int,
    price: float,
    *,
    nodes: int = 4,
    zone: str = "a",
    capacity_type: CapacityType = ON_DEMAND,
    pool: str = "",
) -> Supply:
    offering = OfferingKey(pool=pool or f"{kind}-{gpus}".lower(), zone=zone, capacity_type=capacity_type)
    return Supply(offering=offering, gpu_kind=kind, gpus=gpus, price_per_hour=price, obtainable=nodes, region="north")


def row(name: str, rate: float, *templates: Template, priority: int = 0, **placement: Any) -> DemandRow:
    return DemandRow(key=key(name), rate=rate, templates=templates, priority=priority, placement=Placement(**placement))


def problem(
    rows: Iterable[DemandRow], supplies: Iterable[Supply], running: Iterable[ReplicaGroup] = (), **policy: Any
) -> Problem:
    settings: dict[str, Any] = {"work_budget": 2000, **policy}
    return Problem(
        demands=tuple(rows), supplies=tuple(supplies), running=tuple(running), policy=SolvePolicy(**settings)
    )


def running(name: str, chosen: Template, *supplies: Supply, count: int = 1) -> ReplicaGroup:
    site = ReplicaSite(offerings=tuple(item.offering for item in supplies))
    return ReplicaGroup(demand=key(name), strategy=chosen.strategy, site=site, count=count)


def cheapest(case: Problem, *, most: int = 3) -> tuple[tuple[float, ...], float]:
    """Least levels above cost and then least cost, by trying everything.

    Shares nothing with the solver: replicas are given to demands in every number up to ``most``, nodes are opened in
    every number, and stage pods are seated by trying every seat. The last levels are those of broken soft limits, of
    the budget and of preference.
    """
    choices = []
    for demand in case.demands:
        for candidate in demand.templates:
            places = {(s.region, s.zone, s.capacity_type) for s in case.supplies if _admits(demand, candidate, s)}
            choices += [(demand, candidate, place) for place in sorted(places)]
    best: tuple[tuple[float, ...], float] | None = None
    prices: dict[object, float] = {}
    for counts in itertools.product(range(most + 1), repeat=len(choices)):
        used = [(count, *choice) for count, choice in zip(counts, choices, strict=True) if count]
        levels = _levels(case, used)
        if (best is not None and levels > best[0][:-2]) or not _within_quotas(case, used):
            continue
        pods: dict[tuple[str, Place], Counter[int]] = defaultdict(Counter)
        for count, _, candidate, place in used:
            for kind, stages in candidate.strategy.need.items():
                pods[kind, place][candidate.strategy.tp] += count * stages
        cost = 0.0
        for group, widths in pods.items():
            asked = (group, tuple(sorted(widths.items())))
            if asked not in prices:
                prices[asked] = _price(case, group, sorted(widths.elements(), reverse=True))
            cost += prices[asked]
        value = ((*levels, round(max(0.0, cost - case.policy.budget_per_hour), 6), _preference(case, used)), cost)
        if cost < float("inf") and (best is None or value < best):
            best = value
    assert best is not None
    return best


def _levels(case: Problem, used: list[tuple[int, DemandRow, Template, Place]]) -> tuple[float, ...]:
    """Penalty by priority, high to low (slopes 1, 2, 4, 8, 16 between the breaks), then what soft limits lack."""
    totals = {demand.priority: 0.0 for demand in case.demands if demand.rate > 0}
    broken = 0.0
    for demand in (demand for demand in case.demands if demand.rate > 0):
        own = [(count, candidate.rate / demand.rate, place) for count, of, candidate, place in used if of is demand]
        served = min(1.0, sum(count * share for count, share, _ in own))
        for low, high, slope in ((0, 5, 1), (5, 10, 2), (10, 25, 4), (25, 50, 8), (50, 100, 16)):
            totals[demand.priority] += slope * max(0.0, min(1.0 - served, high / 100) - low / 100)
        limits = demand.placement
        steady = sum(count * share for count, share, place in own if place[2] is not SPOT)
        broken += max(0.0, (1 - limits.spot_share) * served - steady)
        broken += max(0, limits.min_replicas - sum(count for count, _, _ in own)) / max(1, limits.min_replicas)
        if limits.min_domains > 1:
            broken += max(0, limits.min_domains - len({place[:2] for _, _, place in own})) / limits.min_domains
        if limits.survive is not Loss.NONE:
            kinds = [set(candidate.strategy.need) for _, of, candidate, _ in used if of is demand]
            broken += max(0.0, limits.survive_share - _left(limits.survive, own, kinds)) / limits.survive_share
    return (*(round(totals[priority], 6) for priority in sorted(totals, reverse=True)), round(broken, 6))


def _left(loss: Loss, own: list[tuple[int, float, Place]], kinds: list[set[str]]) -> float:
    """Share that is left after the worst loss."""
    total, worst = sum(count * share for count, share, _ in own), 0.0
    for _, share, place in own:
        if loss is Loss.REPLICA:
            worst = max(worst, share)
        elif loss is Loss.ZONE:
            worst = max(worst, sum(n * each for n, each, other in own if other[:2] == place[:2]))
        elif place[2] is SPOT:
            for kind in set().union(*kinds):
                hit = [
                    n * each for (n, each, other), use in zip(own, kinds, strict=True) if other == place and kind in use
                ]
                worst = max(worst, sum(hit))
    return total - worst


def _within_quotas(case: Problem, used: list[tuple[int, DemandRow, Template, Place]]) -> bool:
    gpus: Counter[str] = Counter()
    for count, demand, candidate, _ in used:
        gpus[demand.key.namespace] += count * candidate.strategy.gpus
    return all(gpus[quota.namespace] <= quota.gpus for quota in case.policy.quotas)


def _preference(case: Problem, used: list[tuple[int, DemandRow, Template, Place]]) -> float:
    """Part of each demand that is not on the first choices, the mean over how many choices are first."""
    total = 0.0
    for demand in (demand for demand in case.demands if demand.rate > 0):
        order = [*demand.placement.preference, *(t for t in CapacityType if t not in demand.placement.preference)]
        own = [(count * candidate.rate / demand.rate, place[2]) for count, of, candidate, place in used if of is demand]
        served = min(1.0, sum(share for share, _ in own))
        spilled = []
        for step in range(1, min(len(demand.placement.preference), len(order) - 1) + 1):
            if due := demand.placement.spot_share if order[:step] == [SPOT] else 1.0:
                first = sum(share for share, terms in own if terms in order[:step])
                spilled.append(max(0.0, due * served - first))
        total += sum(spilled) / max(1, len(spilled))
    return round(total, 6)


def _admits(demand: DemandRow, candidate: Template, supply: Supply) -> bool:
    return any(stage.gpu_kind == supply.gpu_kind for stage in candidate.strategy.stages) and (
        not demand.placement.capacity_types or supply.capacity_type in demand.placement.capacity_types
    )


def _price(case: Problem, group: tuple[str, Place], widths: list[int]) -> float:
    kind, (region, zone, capacity_type) = group
    own = [
        s
        for s in case.supplies
        if (s.gpu_kind, s.region, s.zone, s.capacity_type) == (kind, region, zone, capacity_type)
    ]
    best = float("inf")
    for numbers in itertools.product(*(range(s.obtainable + 1) for s in own)):
        cost = sum(n * s.price_per_hour for n, s in zip(numbers, own, strict=True))
        free = [s.gpus for n, s in zip(numbers, own, strict=True) for _ in range(n)]
        if cost < best and _seats(widths, free):
            best = cost
    return best


def _seats(widths: list[int], free: list[int]) -> bool:
    if not widths:
        return True
    for node, gpus in enumerate(free):
        if gpus >= widths[0] and gpus not in free[:node]:
            rest = [*free[:node], gpus - widths[0], *free[node + 1 :]]
            if _seats(widths[1:], rest):
                return True
    return False
