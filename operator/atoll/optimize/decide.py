"""Both stages for a whole fleet, as the solver's process runs them."""

from collections.abc import Callable
from dataclasses import replace

from atoll.domain.demand import Demand, DemandKey
from atoll.domain.explanation import Explanation
from atoll.domain.pool import Supply
from atoll.domain.problem import Allocation, Problem
from atoll.domain.reason import Fault, Reason
from atoll.domain.startup import StartPolicy, Starts, WeightsSource
from atoll.domain.strategy import Strategy, Template
from atoll.optimize.baseline import one_kind_per_served_model
from atoll.optimize.case import Case, Compare, Why
from atoll.optimize.explain.explain import explain
from atoll.optimize.solve import solve
from atoll.optimize.templates import templates_for
from atoll.performance.estimate import Performance, ShippedPerformance
from atoll.performance.margin import cautious
from atoll.performance.observed import with_corrections
from atoll.performance.profiled import with_profiles
from atoll.reconcile.problem import build_rows, widths


def pose(case: Case, performance: Performance) -> tuple[Problem, dict[DemandKey, Fault]]:
    """The problem with its templates, and the demands that have none.

    Replicas of another engine than their demand now asks for count as gone: nothing could start one again.
    """
    engines = {demand.key: demand.engine.name for demand in case.demands}
    case = replace(
        case,
        running=tuple(group for group in case.running if group.strategy.engine is engines.get(group.demand)),
        former=tuple(group for group in case.former if group.strategy.engine is engines.get(group.demand)),
    )
    running: dict[DemandKey, dict[str, Strategy]] = {}
    for group in (*case.running, *case.former):
        running.setdefault(group.demand, {})[group.strategy.id] = group.strategy
    templates: dict[DemandKey, tuple[Template, ...]] = {}
    faults: dict[DemandKey, Fault] = {}
    for demand in case.demands:
        allowed = allowed_supplies(demand, case.supplies)
        if not allowed and demand.rate > 0.0:
            faults[demand.key] = _no_pool(demand, case.supplies)
            continue
        known = known_of(demand, case, performance)
        found = templates_for(
            demand,
            widths(allowed),
            known,
            always=tuple(running.get(demand.key, {}).values()),
            starts=starts_of(demand, allowed, case.start),
        )
        if found.fault is not None:
            faults[demand.key] = found.fault
        else:
            templates[demand.key] = found.templates
    kept = tuple(demand for demand in case.demands if demand.key in templates)
    problem = Problem(
        demands=build_rows(kept, templates),
        supplies=case.supplies,
        running=tuple(group for group in case.running if group.demand in templates),
        former=tuple(group for group in case.former if group.demand in templates),
        policy=case.policy,
    )
    return problem, faults


def answer(
    asked: Case | Problem | Why | Compare, tell: Callable[[Allocation], object]
) -> tuple[Problem, dict[DemandKey, Fault]] | Allocation | Explanation:
    """What the solver's process does: stage one of a case, stage two of a problem, its explanation or its baseline.

    ``tell`` hears of early answers.
    """
    if isinstance(asked, Case):
        return pose(asked, ShippedPerformance())
    if isinstance(asked, Why):
        return explain(asked.problem, asked.allocation, seconds=asked.seconds)
    if isinstance(asked, Compare):
        policy = replace(asked.problem.policy, deadline_seconds=asked.seconds)
        return one_kind_per_served_model(replace(asked.problem, policy=policy))
    return solve(asked, tell=tell)


def known_of(demand: Demand, case: Case, performance: Performance) -> Performance:
    """What a demand's strategies are rated by: profiles before corrected estimates, with the fleet's margin."""
    corrected = with_corrections(performance, case.corrections.get(demand.key, {}))
    measured = with_profiles(corrected, case.profiles, demand.architecture, demand.engine.name)
    return cautious(measured, case.policy.rate_confidence)


def allowed_supplies(demand: Demand, supplies: tuple[Supply, ...]) -> tuple[Supply, ...]:
    """Those on which a demand's replicas may run."""
    allows = demand.placement.allows
    return tuple(item for item in supplies if allows(item.region, item.gpu_kind, item.capacity_type))


def starts_of(demand: Demand, supplies: tuple[Supply, ...], policy: StartPolicy) -> Starts:
    """How a demand's replicas start on these nodes, each loading alone."""
    source = WeightsSource.of(demand.weights)
    widest: dict[tuple[str, float], int] = {}
    for item in supplies:
        sort = item.gpu_kind, policy.loading_rate(source, item.bandwidth)
        widest[sort] = max(item.gpus, widest.get(sort, 0))
    return Starts(policy=policy, rates=tuple(sorted((kind, gpus, rate) for (kind, rate), gpus in widest.items())))


def _no_pool(demand: Demand, supplies: tuple[Supply, ...]) -> Fault:
    placement = demand.placement
    asked: dict[str, list[str]] = {
        "regions": sorted(placement.regions),
        "gpuKinds": sorted(placement.gpu_kinds),
        "capacityTypes": sorted(str(item) for item in placement.capacity_types),
    }
    offered = {
        "regions": sorted({supply.region for supply in supplies}),
        "gpuKinds": sorted({supply.gpu_kind for supply in supplies}),
        "capacityTypes": sorted({str(supply.capacity_type) for supply in supplies}),
    }
    if not supplies:
        message = "no GPUNodePool of the fleet offers anything: declare one (kubectl get gnp)"
    else:
        wanted = "; ".join(f"{name} {', '.join(values)}" for name, values in asked.items() if values)
        there = "; ".join(f"{name} {', '.join(values)}" for name, values in offered.items())
        message = f"no pool fits {wanted}: the pools offer {there}"
    return Fault(reason=Reason.NO_POOL_FITS, field="spec.placement", message=message)
