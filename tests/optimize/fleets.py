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
from atoll.domain.strategy import EngineName, Limit, PerformanceSource, Phase, Stage, Strategy, Template

Place = tuple[str, str, CapacityType]

SPOT = CapacityType.SPOT
ON_DEMAND = CapacityType.ON_DEMAND


def key(name: str) -> DemandKey:
    return DemandKey(namespace="shop", name=name)


def template(
    *kinds: str,
    tp: int = 1,
    rate: float = 1.0,
    startup: float = 120.0,
    phase: Phase | None = None,
    quantisation: Quantisation = Quantisation.BF16,
    class_rates: tuple[float, ...] = (),
) -> Template:
    """A template with one stage per kind named."""
    strategy = Strategy(
        engine=EngineName.VLLM,
        tp=tp,
        stages=tuple(Stage(gpu_kind=kind, layers=32 // len(kinds)) for kind in kinds),
        quantisation=quantisation,
        max_sequences=64,
        max_context=8192,
        phase=phase,
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
        class_rates=class_rates,
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


def row(
    name: str,
    rate: float,
    *templates: Template,
    priority: int = 0,
    classes: tuple[float, ...] = (),
    **placement: Any,
) -> DemandRow:
    return DemandRow(
        key=key(name),
        rate=rate,
        templates=templates,
        priority=priority,
        classes=classes,
        placement=Placement(**placement),
    )


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


Own = list[tuple[int, Template, Place]]


def _levels(case: Problem, used: list[tuple[int, DemandRow, Template, Place]]) -> tuple[float, ...]:
    """Penalty by priority, high to low (slopes 1, 2, 4, 8, 16 between the breaks), then what soft limits lack."""
    totals = {demand.priority: 0.0 for demand in case.demands if demand.rate > 0}
    broken = 0.0
    for demand in (demand for demand in case.demands if demand.rate > 0):
        own = [(count, candidate, place) for count, of, candidate, place in used if of is demand]
        served = min(1.0, carries(demand, own))
        for low, high, slope in ((0, 5, 1), (5, 10, 2), (10, 25, 4), (25, 50, 8), (50, 100, 16)):
            totals[demand.priority] += slope * max(0.0, min(1.0 - served, high / 100) - low / 100)
        limits = demand.placement
        steady = carries(demand, [each for each in own if each[2][2] is not SPOT])
        broken += max(0.0, (1 - limits.spot_share) * served - steady)
        broken += max(0, limits.min_replicas - sum(count for count, _, _ in own)) / max(1, limits.min_replicas)
        if limits.min_domains > 1:
            broken += max(0, limits.min_domains - len({place[:2] for _, _, place in own})) / limits.min_domains
        if limits.survive is not Loss.NONE:
            left = min(carries(demand, rest) for rest in _after_losses(limits.survive, own))
            broken += max(0.0, limits.survive_share - left) / limits.survive_share
    return (*(round(totals[priority], 6) for priority in sorted(totals, reverse=True)), round(broken, 6))


def carries(demand: DemandRow, own: Own) -> float:
    """Share of a demand that replicas carry together."""
    if demand.classes:
        return _of_two_classes(demand, own) / demand.rate
    whole = sum(count * candidate.rate for count, candidate, _ in own if candidate.strategy.phase is None)
    sides: dict[object, Counter[Phase]] = defaultdict(Counter)
    for count, candidate, place in own:
        if (phase := candidate.strategy.phase) is not None:
            sides[place[:2], candidate.strategy.quantisation, candidate.strategy.tp][phase] += count * candidate.rate  # type: ignore[assignment]
    return (whole + sum(min(side[Phase.PREFILL], side[Phase.DECODE]) for side in sides.values())) / demand.rate


def _of_two_classes(demand: DemandRow, own: Own) -> float:
    """Along the frontier: all on the second class, then one after the other to the first, the relatively best first."""
    first, second = demand.classes
    rates = [(count * r[0], count * r[1]) for count, candidate, _ in own for r in [candidate.class_rates]]
    rates.sort(key=lambda pair: -pair[0] / max(pair[1], 1e-12))
    x, y = 0.0, sum(pair[1] for pair in rates)
    best = min(x, first) + min(y, second)
    for more, less in rates:
        parts = {1.0}
        if more > 0.0:
            parts.add(min(1.0, max(0.0, (first - x) / more)))
        if less > 0.0:
            parts.add(min(1.0, max(0.0, (y - second) / less)))
        best = max(best, *(min(x + part * more, first) + min(y - part * less, second) for part in parts))
        x, y = x + more, y - less
    return best


def _after_losses(loss: Loss, own: Own) -> list[Own]:
    """What is left after each loss, and after none."""
    left = [own]
    for number, (count, candidate, place) in enumerate(own):
        if loss is Loss.REPLICA:
            left.append([*own[:number], (count - 1, candidate, place), *own[number + 1 :]])
        elif loss is Loss.ZONE:
            left.append([each for each in own if each[2][:2] != place[:2]])
        elif place[2] is SPOT:
            left += [
                [each for each in own if each[2] != place or kind not in each[1].strategy.need]
                for kind in candidate.strategy.need
            ]
    return left


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
        own = [(count, candidate, place) for count, of, candidate, place in used if of is demand]
        served = min(1.0, carries(demand, own))
        spilled = []
        for step in range(1, min(len(demand.placement.preference), len(order) - 1) + 1):
            if due := demand.placement.spot_share if order[:step] == [SPOT] else 1.0:
                first = carries(demand, [each for each in own if each[2][2] in order[:step]])
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
