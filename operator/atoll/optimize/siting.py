"""Places for the replicas of pooled plans: which of a capacity class's domains each one goes to.

Column generation over a pooled space says how many replicas of which templates there should be, not where. Replicas
of all demands that ask for the same stages are interchangeable here, so the program that places them is small: it
counts replicas by sort and place. 100 served models with 400 replicas have some 60 sorts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from atoll.domain.demand import DemandKey, Placement
from atoll.domain.problem import Problem
from atoll.optimize.draft import Draft, draft_of
from atoll.optimize.greedy import greedy
from atoll.optimize.highs import Limits, Solver
from atoll.optimize.indexing import sets_over
from atoll.optimize.master import WholePlan
from atoll.optimize.matrix import compile_program
from atoll.optimize.plan import fits
from atoll.optimize.program.build import build
from atoll.optimize.space import Bools, Choice, Menu, Space, Wanted
from atoll.optimize.start import rounded, start_values


def sited(space: Space, problem: Problem, plans: Sequence[WholePlan], limits: Limits) -> Draft:
    """The replicas of pooled plans at places, on the cheapest nodes found; those without room are left out.

    Args:
        space: the whole one.
        problem: of the space.
        plans: over the pooled space.
        limits: of the search.
    """
    sorts = _sorts(space, plans)
    counted = _as_demands(space, sorts)
    sets = sets_over(counted, replace(problem, running=(), former=()), counted.choices())
    begin = greedy(sets)
    matrix = compile_program(build(sets))
    start = start_values(sets, matrix, begin)
    outcome = Solver(matrix).minimise(matrix.objectives["cost"], matrix.lower, matrix.upper, limits, start)
    best = begin
    if outcome.values is not None:
        found = rounded(matrix, outcome.values)
        best = found if fits(sets, found) else begin
    draft = draft_of(counted, sets, best)
    counts: dict[Choice, int] = {}
    left = [list(sort.replicas) for sort in sorts]
    for (number, _, place), count in draft.counts.items():
        for demand, line in left[number][:count]:
            counts[demand, line, place] = counts.get((demand, line, place), 0) + 1
        del left[number][:count]
    return Draft(counts=counts, nodes=draft.nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sort:
    """Replicas that ask for the same stages and may be at the same places."""

    allowed: Bools
    replicas: list[tuple[int, int]]


def _sorts(space: Space, plans: Sequence[WholePlan]) -> list[_Sort]:
    """The replicas of pooled plans, as (demand, template), by sort."""
    class_of = space.class_of
    found: dict[tuple[bytes, bytes], _Sort] = {}
    for plan in plans:
        menu = space.menus[plan.demand]
        for line, own in plan.replicas:
            allowed = menu.allowed[line] & (class_of == own)
            sort = found.setdefault((menu.load[line].tobytes(), allowed.tobytes()), _Sort(allowed=allowed, replicas=[]))
            sort.replicas.append((plan.demand, line))
    return list(found.values())


def _as_demands(space: Space, sorts: Sequence[_Sort]) -> Space:
    """The space in which each sort is a demand for its replicas; one left out costs more than any that is placed."""
    slots = max((float(menu.load.sum(axis=1).max(initial=0.0)) for menu in space.menus), default=0.0)
    dearest = slots * float(space.price.max(initial=0.0))
    demands, menus = [], []
    for number, sort in enumerate(sorts):
        demand, line = sort.replicas[0]
        wanted, menu, count = space.demands[demand], space.menus[demand], len(sort.replicas)
        demands.append(
            Wanted(
                key=DemandKey(namespace="", name=str(number)),
                rate=float(count),
                priority=0,
                placement=Placement(),
                templates=(wanted.templates[menu.templates[line]],),
                shortfall_cost=dearest * count,
            )
        )
        menus.append(
            Menu(
                templates=np.zeros(1, dtype=np.int64),
                load=menu.load[[line]],
                share=np.array([1.0 / count]),
                allowed=sort.allowed[None, :],
            )
        )
    return replace(space, demands=tuple(demands), menus=tuple(menus))
