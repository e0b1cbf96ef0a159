"""Some availability changes: how much a fleet moves, against what has to move and what the optimum would move."""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from atoll.domain.problem import Allocation, Problem
from atoll.optimize.indexing import sets_over
from atoll.optimize.known import first_choices
from atoll.optimize.running import running_plan
from atoll.optimize.solve import solve
from atoll.optimize.space import space_of
from benchmarks.ladder.change import kept_count, replica_count

Row = Mapping[str, Any]


def changed(problem: Problem, share: float, seed: int) -> Problem:
    """The problem with other availability: every node is gone, or one more is there, with this probability each.

    Args:
        problem: as it was.
        share: probability of either, half each.
        seed: of the draw.
    """
    source = random.Random(seed)  # noqa: S311  # a benchmark's draw
    supplies = []
    for supply in problem.supplies:
        draws = [source.random() for _ in range(supply.obtainable)]
        gone, more = sum(draw < share / 2 for draw in draws), sum(draw > 1.0 - share / 2 for draw in draws)
        supplies.append(replace(supply, obtainable=supply.obtainable - gone + more))
    return replace(problem, supplies=tuple(supplies))


def fewer(problem: Problem, share: float) -> Problem:
    """The problem with a share of the nodes of every offering gone, rounded to whole nodes."""
    left = (int(supply.obtainable * (1.0 - share) + 0.5) for supply in problem.supplies)
    return replace(
        problem,
        supplies=tuple(replace(supply, obtainable=n) for supply, n in zip(problem.supplies, left, strict=True)),
    )


def row_of(name: str, change: str, before: Allocation, problem: Problem) -> Row:
    """Decide for what is there now, once with what runs and once as if nothing ran.

    Args:
        name: of the instance.
        change: what is different, in a word or two.
        before: what was decided when all was there.
        problem: as it is now, with nothing running.
    """
    runs = replica_count(before.replicas)
    case = replace(problem, running=before.replicas, former=before.replicas)
    stable, free = solve(case), solve(problem)
    return {
        "instance": name,
        "check": "availability",
        "change": change,
        "replicas": runs,
        "needed": runs - _keepable(case),
        "moved": runs - kept_count(before.replicas, stable.replicas),
        "movedByOptimum": runs - kept_count(before.replicas, free.replicas),
        "movedShare": (runs - kept_count(before.replicas, stable.replicas)) / runs,
        "value": stable.cost_per_hour,
        "optimum": free.cost_per_hour,
        "cost": stable.cost_per_hour / free.cost_per_hour - 1.0 if free.cost_per_hour > 0.0 else 0.0,
        "shortfall": sum(stable.shortfall.values()),
        "optimumShortfall": sum(free.shortfall.values()),
    }


def _keepable(case: Problem) -> int:
    """Most replicas that can stay where they are."""
    space = space_of(case)
    plan = running_plan(sets_over(space, case, first_choices(space, case, ())))
    return 0 if plan is None else int(plan.counts.sum())
