"""From the solver's answer to a plan that people can read, review and roll back."""

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from atoll.domain.demand import Demand, DemandKey
from atoll.domain.fleet import Fleet, Mode
from atoll.domain.plan import Plan, PlannedDemand, PlannedNodes, PlannedReplicas
from atoll.domain.pool import OfferingKey, Supply
from atoll.domain.problem import Allocation, DemandRow, Problem, ReplicaGroup
from atoll.domain.strategy import Template


def basis_of(problem: Problem) -> str:
    """Ten hexadecimal digits of what a plan is solved for: demands, supplies and the running allocation.

    Policy is left out on purpose: a longer deadline does not make a proposed plan stale.
    """
    rows = [
        [str(row.key), row.rate, row.priority, repr(row.placement), [_template_key(item) for item in row.templates]]
        for row in problem.demands
    ]
    supplies = [[str(item.offering), item.gpus, item.price_per_hour, item.obtainable] for item in problem.supplies]
    running = sorted(
        [str(group.demand), group.strategy.id, *map(str, group.site.offerings), str(group.count)]
        for group in problem.running
    )
    return hashlib.sha256(json.dumps([rows, supplies, running]).encode()).hexdigest()[:10]


def adopt(
    problem: Problem,
    allocation: Allocation,
    *,
    demands: Mapping[DemandKey, Demand],
    fleet: Fleet,
    previous_cost_per_hour: float,
) -> Plan:
    """The plan that carries an allocation out.

    In mode ``Automatic`` it is approved at once; otherwise somebody has to approve it.
    """
    shares = cost_shares(allocation)
    groups: dict[DemandKey, list[ReplicaGroup]] = defaultdict(list)
    for group in allocation.replicas:
        groups[group.demand].append(group)
    planned = []
    for row in problem.demands:
        templates = {template.strategy.id: template for template in row.templates}
        planned.append(
            PlannedDemand(
                key=row.key,
                uid=demands[row.key].uid,
                rate=row.rate,
                shortfall=allocation.shortfall.get(row.key, 0.0),
                cost_per_hour=shares.get(row.key, 0.0),
                replicas=tuple(_planned(group, templates[group.strategy.id]) for group in groups[row.key]),
                reason=explain(row, groups[row.key], problem.supplies),
                unmet=allocation.unmet.get(row.key, ()),
            )
        )
    return Plan(
        fleet=fleet.name,
        basis=basis_of(problem),
        demands=tuple(planned),
        nodes=_nodes(allocation),
        cost_per_hour=round(allocation.cost_per_hour, 6),
        previous_cost_per_hour=previous_cost_per_hour,
        bound_per_hour=math.floor(allocation.bound_per_hour * 1e6) / 1e6,  # a bound is rounded down only
        conditional=allocation.conditional,
        approved=fleet.mode is Mode.AUTOMATIC,
    )


def cost_shares(allocation: Allocation) -> dict[DemandKey, float]:
    """Each demand's part of the cost, US$/h: an offering's price is shared by the GPUs that demands use of it."""
    used: Counter[OfferingKey] = Counter()
    by_demand: Counter[tuple[DemandKey, OfferingKey]] = Counter()
    for group in allocation.replicas:
        for offering in group.site.offerings:
            gpus = group.strategy.tp * group.count
            used[offering] += gpus
            by_demand[group.demand, offering] += gpus
    price: dict[OfferingKey, float] = defaultdict(float)
    for use in allocation.nodes:
        price[use.supply.offering] += use.nodes * use.supply.price_per_hour
    shares: dict[DemandKey, float] = defaultdict(float)
    for (demand, offering), gpus in by_demand.items():
        shares[demand] += price[offering] * gpus / used[offering]
    return dict(shares)


def explain(row: DemandRow, groups: Iterable[ReplicaGroup], supplies: Iterable[Supply]) -> str:
    """Why this strategy, in a sentence: what it costs for each request/s beside the next best one alone."""
    chosen = {group.strategy.id for group in groups}
    if not chosen:
        return "no demand" if row.rate <= 0.0 else "nothing that can be had serves it within its objectives"
    gpu_price = _gpu_prices(supplies)
    priced = _priced(row.templates, gpu_price)
    mine = [pair for pair in priced if pair[1].strategy.id in chosen]
    others = [pair for pair in priced if pair[1].strategy.id not in chosen]
    if not mine:
        return "runs already and is kept"
    text = f"{mine[0][1].strategy} at {mine[0][0]:.3f} US$/h for each request/s"
    if not others:
        return f"{text}; no other strategy meets the objectives"
    relation = "next best" if others[0][0] >= mine[0][0] else "cheaper alone, but not on nodes that fit the whole fleet"
    return f"{text}; {relation}: {others[0][1].strategy} at {others[0][0]:.3f}"


def _priced(templates: Iterable[Template], gpu_price: Mapping[str, float]) -> list[tuple[float, Template]]:
    """Templates with their price for each request/s at full use, US$/h, cheapest first."""
    priced = [
        (sum(gpu_price[kind] * n * item.strategy.tp for kind, n in item.strategy.need.items()) / item.rate, item)
        for item in templates
        if item.rate > 0.0 and all(kind in gpu_price for kind in item.strategy.need)
    ]
    return sorted(priced, key=lambda pair: (pair[0], pair[1].strategy.id))


def _gpu_prices(supplies: Iterable[Supply]) -> dict[str, float]:
    """The lowest price of one GPU of each kind, US$/h."""
    prices: dict[str, float] = {}
    for supply in supplies:
        if supply.obtainable > 0 and supply.gpus > 0:
            price = supply.price_per_hour / supply.gpus
            prices[supply.gpu_kind] = min(price, prices.get(supply.gpu_kind, price))
    return prices


def _planned(group: ReplicaGroup, template: Template) -> PlannedReplicas:
    return PlannedReplicas(
        group=group,
        rate=template.rate,
        ttft_seconds=template.ttft_seconds,
        tpot_seconds=template.tpot_seconds,
        source="+".join(sorted(set(template.sources.values()))),
        expected_error=template.expected_error,
        startup_seconds=template.startup_seconds,
    )


def _nodes(allocation: Allocation) -> tuple[PlannedNodes, ...]:
    nodes: Counter[tuple[OfferingKey, float]] = Counter()
    for use in allocation.nodes:
        nodes[use.supply.offering, use.supply.price_per_hour] += use.nodes
    return tuple(
        PlannedNodes(offering=offering, nodes=count, price_per_hour=price)
        for (offering, price), count in sorted(nodes.items())
        if count
    )


def _template_key(template: Template) -> list[object]:
    return [template.strategy.id, round(template.rate, 9), round(template.startup_seconds, 3)]
