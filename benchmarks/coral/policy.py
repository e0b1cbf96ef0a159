"""How policies of scarcity compare: what each leaves unserved, by the product's measure, and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from atoll.domain.demand import DemandKey
from atoll.domain.problem import Allocation, Problem, SolvePolicy
from atoll.optimize.scarcity import penalty
from atoll.optimize.solve import solve
from benchmarks.coral.program import Scaled

LEVEL = 1e-5
"""Difference of penalties that counts as none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a policy does.

    Attributes:
        cost: US$/h.
        unserved: share of each demand that is not served, 0 to 1.
    """

    cost: float
    unserved: Mapping[DemandKey, float]


def of_allocation(problem: Problem, allocation: Allocation) -> Outcome:
    """The product's answer."""
    return Outcome(
        cost=allocation.cost_per_hour,
        unserved={row.key: allocation.shortfall.get(row.key, 0.0) / row.rate for row in problem.demands},
    )


def of_scaled(problem: Problem, answer: Scaled) -> Outcome:
    """Coral's answer; what its replicas can serve beyond the scaled demand counts as served."""
    return Outcome(
        cost=answer.cost,
        unserved={row.key: max(0.0, 1.0 - answer.served[row.key] / row.rate) for row in problem.demands},
    )


def first_come(problem: Problem, *, deadline_seconds: float) -> Outcome:
    """Each served model by itself, in the order of the demands: the cheapest of the nodes that are left, kept whole.

    Args:
        problem: whose priorities are not looked at.
        deadline_seconds: of each served model's solve.
    """
    left = {supply: supply.obtainable for supply in problem.supplies}
    cost = 0.0
    unserved = {}
    for row in problem.demands:
        supplies = tuple(replace(supply, obtainable=count) for supply, count in left.items())
        original = dict(zip(supplies, left, strict=True))
        policy = SolvePolicy(deadline_seconds=deadline_seconds)
        found = solve(Problem(demands=(row,), supplies=supplies, policy=policy))
        for use in found.nodes:
            left[original[use.supply]] -= use.nodes
        cost += found.cost_per_hour
        unserved[row.key] = found.shortfall.get(row.key, 0.0) / row.rate
    return Outcome(cost=cost, unserved=unserved)


def penalties(problem: Problem, outcome: Outcome) -> dict[int, float]:
    """Penalty of what is unserved by priority, high to low (design: convex and piecewise linear in the share)."""
    priorities = sorted({row.priority for row in problem.demands}, reverse=True)
    return {
        priority: sum(penalty(outcome.unserved[row.key]) for row in problem.demands if row.priority == priority)
        for priority in priorities
    }


def goodput(problem: Problem, outcome: Outcome) -> float:
    """Requests/s served, all together."""
    return sum(row.rate * (1.0 - outcome.unserved[row.key]) for row in problem.demands)


def not_worse(problem: Problem, one: Outcome, other: Outcome) -> bool:
    """Whether the one is as good as the other: by penalties from the highest priority down, then by cost."""
    pairs = zip(penalties(problem, one).values(), penalties(problem, other).values(), strict=True)
    for mine, yours in pairs:
        if abs(mine - yours) > LEVEL:
            return mine < yours
    return one.cost <= other.cost * (1.0 + LEVEL)
