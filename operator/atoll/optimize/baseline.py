"""The fleet that people run by hand: every served model on one GPU kind. What the joint answer is compared with."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from atoll.domain.problem import Allocation, Problem
from atoll.optimize.answer import allocation_of
from atoll.optimize.check import check
from atoll.optimize.effort import Effort
from atoll.optimize.greedy import greedy
from atoll.optimize.indexing import sets_of
from atoll.optimize.plan import level_values
from atoll.optimize.program.build import BASELINE_FAMILIES
from atoll.optimize.search import Found, Search
from atoll.optimize.sets import Ints, Sets
from atoll.optimize.solve import AllocationError


def one_kind_per_served_model(problem: Problem, *, clock: Callable[[], float] = time.monotonic) -> Allocation:
    """The best answer in which all replicas of a demand are on a single GPU kind, sought as long as the policy allows.

    The kind is chosen per demand in the same program (``add_one_kind``), so this is the strongest fleet of its sort
    (Coral's Homo baseline, arXiv 2605.04357, chooses per model alone). What runs now is not looked at. The bound is
    of this restricted problem.

    Args:
        problem: as for ``solve``.
        clock: seconds, monotonic.

    Raises:
        AllocationError: nothing passed the check, which is a defect of the solver.
    """
    began = clock()
    effort = Effort.of(problem.policy, clock)
    demands = tuple(
        replace(row, templates=tuple(t for t in row.templates if len(t.strategy.need) == 1)) for row in problem.demands
    )
    sets = sets_of(replace(problem, demands=demands, running=()))
    choices = _by_kind(sets)
    safe = greedy(sets, choices=choices)
    best, found = safe, Found(plans=[safe], bounds=level_values(sets, safe))
    if sets.columns:
        search = Search(sets, effort, BASELINE_FAMILIES, rounding=False)
        found = search.run([safe])
        best = search.best(found)
    faults: dict[str, tuple[str, ...]] = {}
    for plan in (best, safe):
        answer = allocation_of(sets, found, plan, effort.gap, clock() - began)
        faults[plan.origin] = check(problem, answer)
        if not faults[plan.origin]:
            return answer
    raise AllocationError(faults)


def _by_kind(sets: Sets) -> list[list[Ints]]:
    """Columns of each demand, apart by GPU kind."""
    choices: list[list[Ints]] = []
    for demand in range(len(sets.demands)):
        by_kind: dict[str, list[int]] = {}
        for number in np.flatnonzero(sets.demand_of == demand).tolist():
            by_kind.setdefault(sets.groups[sets.columns[number].pods[0][0]].gpu_kind, []).append(number)
        choices.append([np.array(columns, dtype=np.int64) for _, columns in sorted(by_kind.items())])
    return choices
