"""Ways to decide: the operator's own, and simpler ones that it is compared with, over the same templates."""

from collections import Counter
from dataclasses import replace
from enum import StrEnum

from atoll.domain.demand import DemandKey
from atoll.domain.pool import Supply
from atoll.domain.problem import Allocation, NodeUse, Problem
from atoll.optimize.case import Case, Decision
from atoll.optimize.decide import pose
from atoll.optimize.residual import free_parts
from atoll.optimize.solve import solve
from atoll.performance.estimate import Performance
from atoll.simulate.operator import Decide

WORK_BUDGET = 100
"""Branch-and-bound nodes per slice where the Fleet sets none: the same answer on every machine."""

_HALVINGS = 8
"""Of the interval in which the largest factor that can be served is sought: to 0.4 %."""

_SERVED = 1e-6


class Baseline(StrEnum):
    """Simpler ways to decide."""

    NONE = "none"
    REPLAN_ALWAYS = "replan-always"
    UNIFORM = "uniform"
    FIRST_COME = "first-come"


def atoll(performance: Performance) -> Decide:
    """The operator's own decision, with a work budget instead of the clock."""

    def decide(case: Case) -> Decision:
        problem, faults = pose(_steady(case), performance)
        return Decision(problem=problem, allocation=solve(problem), faults=faults)

    return decide


def replan_always(performance: Performance) -> Decide:
    """The best plan of every moment, as if nothing ran: neither what runs nor the cost of moving it counts."""

    def decide(case: Case) -> Decision:
        problem, faults = pose(_steady(replace(case, running=(), former=())), performance)
        return Decision(problem=problem, allocation=solve(problem), faults=faults)

    return decide


def uniform(performance: Performance) -> Decide:
    """Where not all can be served, all demands are scaled by the same factor, the largest that can be served.

    Coral's way (arXiv 2605.04357: arrival rates are scaled down uniformly until they are feasible); it knows no
    priorities, and plans anew each time.
    """

    def decide(case: Case) -> Decision:
        problem, faults = pose(_steady(replace(case, running=(), former=())), performance)
        equal = replace(problem, demands=tuple(replace(row, priority=0) for row in problem.demands))
        return Decision(problem=problem, allocation=scaled_until_served(equal), faults=faults)

    return decide


def first_come(performance: Performance) -> Decide:
    """One demand after the other takes what is best for it of what is left, in the order of namespace and name."""

    def decide(case: Case) -> Decision:
        problem, faults = pose(_steady(case), performance)
        return Decision(problem=problem, allocation=one_after_the_other(problem), faults=faults)

    return decide


DECIDERS = {
    Baseline.REPLAN_ALWAYS: replan_always,
    Baseline.UNIFORM: uniform,
    Baseline.FIRST_COME: first_come,
}


def _steady(case: Case) -> Case:
    return replace(case, policy=replace(case.policy, work_budget=case.policy.work_budget or WORK_BUDGET))


def scaled_until_served(problem: Problem) -> Allocation:
    """All demands scaled by the largest common factor that can be served."""
    whole = solve(problem)
    if not _short(whole):
        return whole
    low, high = 0.0, 1.0
    best = solve(_scaled(problem, 0.0))
    for _ in range(_HALVINGS):
        factor = (low + high) / 2.0
        answer = solve(_scaled(problem, factor))
        if _short(answer):
            high = factor
        else:
            low, best = factor, answer
    shortfall = {row.key: row.rate * (1.0 - low) for row in problem.demands if row.rate > 0.0}
    return replace(best, shortfall=shortfall)


def _scaled(problem: Problem, factor: float) -> Problem:
    return replace(problem, demands=tuple(replace(row, rate=row.rate * factor) for row in problem.demands))


def _short(allocation: Allocation) -> bool:
    return any(missing > _SERVED for missing in allocation.shortfall.values())


def one_after_the_other(problem: Problem) -> Allocation:
    """Each demand in its order from what those before it left."""
    uses: Counter[Supply] = Counter()
    parts: Counter[Supply] = Counter()
    found: list[Allocation] = []
    shortfall: dict[DemandKey, float] = {}
    for row in problem.demands:
        whole = {replace(supply, obtainable=supply.obtainable - uses[supply]): supply for supply in problem.supplies}
        mine = replace(
            problem,
            demands=(row,),
            supplies=(*whole, *(replace(part, obtainable=count) for part, count in parts.items() if count)),
            running=tuple(group for group in problem.running if group.demand == row.key),
            former=tuple(group for group in problem.former if group.demand == row.key),
        )
        answer = solve(mine)
        found.append(answer)
        shortfall |= answer.shortfall
        for use in answer.nodes:
            if use.supply in whole:
                uses[whole[use.supply]] += use.nodes
            else:  # what others left free is paid for already
                parts[replace(use.supply, obtainable=0)] -= use.nodes
        parts.update(free_parts(answer.replicas, answer.nodes))
    nodes = tuple(NodeUse(supply=supply, nodes=count) for supply, count in uses.items() if count)
    return Allocation(
        replicas=tuple(group for answer in found for group in answer.replicas),
        nodes=nodes,
        shortfall=shortfall,
        cost_per_hour=sum(use.nodes * use.supply.price_per_hour for use in nodes),
        bound_per_hour=0.0,
        solver="first-come",
    )
