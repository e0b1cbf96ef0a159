"""Not enough for all: strict priorities with a convex penalty, against uniform scaling and against first come."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from atoll.domain.problem import Allocation, Problem
from atoll.optimize.solve import solve
from atoll.simulate.deciders import one_after_the_other, scaled_until_served

Row = Mapping[str, Any]


def rows_of(name: str, problem: Problem) -> list[Row]:
    """How much of each priority is served at which cost, by each way to decide.

    Args:
        name: of the instance.
        problem: with too few nodes; priorities tell who matters.
    """
    equal = replace(problem, demands=tuple(replace(row, priority=0) for row in problem.demands))
    return [
        _row(name, "atoll", problem, solve(problem)),
        _row(name, "uniform", problem, scaled_until_served(equal)),
        _row(name, "first-come", problem, one_after_the_other(problem)),
    ]


def _row(name: str, way: str, problem: Problem, answer: Allocation) -> Row:
    wanted: dict[int, float] = defaultdict(float)
    missing: dict[int, float] = defaultdict(float)
    for row in problem.demands:
        wanted[row.priority] += row.rate
        missing[row.priority] += answer.shortfall.get(row.key, 0.0)
    served = sum(wanted.values()) - sum(missing.values())
    return {
        "instance": name,
        "check": "scarcity",
        "way": way,
        "served": served / sum(wanted.values()),
        "servedByPriority": {str(p): 1.0 - missing[p] / wanted[p] for p in sorted(wanted, reverse=True)},
        "servedByDemand": {
            str(row.key): 1.0 - answer.shortfall.get(row.key, 0.0) / row.rate for row in problem.demands
        },
        "value": answer.cost_per_hour,
    }
