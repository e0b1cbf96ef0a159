"""From the solver's answer to a plan that people can read, review and roll back."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping

from atoll.domain.demand import Demand, DemandKey
from atoll.domain.explanation import DemandExplanation, Explanation
from atoll.domain.fleet import Fleet, Mode
from atoll.domain.plan import Plan, PlannedDemand, PlannedNodes, PlannedReplicas
from atoll.domain.pool import OfferingKey
from atoll.domain.problem import Allocation, Problem, ReplicaGroup
from atoll.domain.startup import StartPhases
from atoll.domain.strategy import Template
from atoll.reconcile.digest import digest
from atoll.reconcile.shares import shared
from atoll.reconcile.starting import Starting
from atoll.reconcile.why import explain, rounded, rounded_binding, rounded_worth


def basis_of(problem: Problem) -> str:
    """Ten hexadecimal digits of what a plan is solved for: demands, supplies, the running allocation, hard limits.

    How to solve is left out on purpose: a longer deadline does not make a proposed plan stale.
    """
    rows = [
        [row.key, row.rate, row.classes, row.priority, row.placement, [_template_key(item) for item in row.templates]]
        for row in problem.demands
    ]
    running = sorted(
        [str(group.demand), group.strategy.id, *map(str, group.site.offerings), str(group.count)]
        for group in problem.running
    )
    return digest([rows, problem.supplies, running, problem.policy.budget_per_hour, problem.policy.quotas])


def adopt(
    problem: Problem,
    allocation: Allocation,
    *,
    demands: Mapping[DemandKey, Demand],
    fleet: Fleet,
    previous_cost_per_hour: float,
    explanation: Explanation | None = None,
    baseline: Allocation | None = None,
) -> Plan:
    """The plan that carries an allocation out, with why it is as it is and what it is compared with where asked.

    In mode ``Automatic`` it is approved at once; otherwise somebody has to approve it.
    """
    told = explanation or Explanation()
    shares = cost_shares(allocation)
    groups: dict[DemandKey, list[ReplicaGroup]] = defaultdict(list)
    for group in allocation.replicas:
        groups[group.demand].append(group)
    starting = Starting(allocation.replicas, problem, fleet)

    def replicas(group: ReplicaGroup, template: Template) -> PlannedReplicas:
        return _planned(group, template, starting.phases(group, template, demands[group.demand]))

    planned = []
    for row in problem.demands:
        templates = {template.strategy.id: template for template in row.templates}
        why = told.demands.get(row.key, DemandExplanation())
        next_best = why.alternatives[0] if why.alternatives else None
        planned.append(
            PlannedDemand(
                key=row.key,
                uid=demands[row.key].uid,
                rate=row.rate,
                shortfall=allocation.shortfall.get(row.key, 0.0),
                cost_per_hour=shares.get(row.key, 0.0),
                replicas=tuple(replicas(group, templates[group.strategy.id]) for group in groups[row.key]),
                reason=explain(row, groups[row.key], problem.supplies, next_best),
                unmet=allocation.unmet.get(row.key, ()),
                alternatives=tuple(map(rounded, why.alternatives)),
                bindings=tuple(map(rounded_binding, why.bindings)),
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
        worths=tuple(map(rounded_worth, told.nodes)),
        baseline_per_hour=None if baseline is None else round(baseline.cost_per_hour, 6),
        baseline_shortfall=0.0 if baseline is None else round(sum(baseline.shortfall.values()), 6),
    )


def cost_shares(allocation: Allocation) -> dict[DemandKey, float]:
    """Each demand's part of the cost, US$/h: an offering's price is shared by the GPUs that demands use of it."""
    prices: dict[OfferingKey, float] = defaultdict(float)
    for use in allocation.nodes:
        prices[use.supply.offering] += use.nodes * use.supply.price_per_hour
    shares: dict[DemandKey, float] = defaultdict(float)
    for (demand, _), cost in shared(allocation.replicas, prices).items():
        shares[demand] += cost
    return dict(shares)


def _planned(group: ReplicaGroup, template: Template, start: StartPhases | None) -> PlannedReplicas:
    return PlannedReplicas(
        group=group,
        rate=template.rate,
        ttft_seconds=template.ttft_seconds,
        tpot_seconds=template.tpot_seconds,
        source="+".join(sorted(set(template.sources.values()))),
        expected_error=template.expected_error,
        startup_seconds=template.startup_seconds if start is None else start.seconds,
        phases=start,
    )


def _nodes(allocation: Allocation) -> tuple[PlannedNodes, ...]:
    nodes: Counter[tuple[OfferingKey, float]] = Counter()
    paid: dict[tuple[OfferingKey, float], float] = defaultdict(float)
    for use in allocation.nodes:
        same = (use.supply.offering, use.supply.price_per_hour)
        nodes[same] += use.nodes
        paid[same] += use.nodes * use.supply.paid_per_hour
    return tuple(
        PlannedNodes(
            offering=offering,
            nodes=count,
            price_per_hour=price,
            paid_per_hour=round(paid[offering, price] / count, 6),
        )
        for (offering, price), count in sorted(nodes.items())
        if count
    )


def _template_key(template: Template) -> list[object]:
    return [template.strategy.id, round(template.rate, 9), round(template.startup_seconds, 3)]
