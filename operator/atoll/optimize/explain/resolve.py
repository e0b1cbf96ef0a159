"""Experiments: the problem solved again, over few choices, with one thing changed.

What is found is a plan, so it proves how little the change costs at most (or how much it saves at least); over few
choices it does not prove that nothing better is to be had. Together with the bound of ``prices`` the truth is between.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyomo.environ as pyo

from atoll.domain.demand import DemandKey
from atoll.domain.pool import Supply
from atoll.optimize.answer import plan_of
from atoll.optimize.effort import Effort
from atoll.optimize.explain.ground import Ground
from atoll.optimize.greedy import greedy
from atoll.optimize.highs import Solver
from atoll.optimize.indexing import sets_over
from atoll.optimize.matrix import compile_program
from atoll.optimize.plan import Plan, fits, level_values, unserved
from atoll.optimize.program.build import FAMILIES, build
from atoll.optimize.program.linear import linear
from atoll.optimize.scarcity import COST, FIX_TOLERANCE, LIMITS, PREFERENCE, shortfall_level
from atoll.optimize.search import Search
from atoll.optimize.sets import Sets
from atoll.optimize.space import Choice
from atoll.optimize.start import rounded


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an experiment found.

    Attributes:
        cost: US$/h, shortfall that has a price included.
        nodes: in use by supply.
        shortfall: requests/s not served, by demand.
        slack: what a plan over the same choices could still cost less, US$/h.
    """

    cost: float
    nodes: dict[Supply, int]
    shortfall: dict[DemandKey, float]
    slack: float = 0.0


def with_at_least(ground: Ground, demand: int, line: int, replicas: int, effort: Effort) -> Answer | None:
    """The cheapest plan in which a demand has so many replicas of a template; nothing where none is found.

    Shortfall and soft limits are held at what the allocation has; the budget is left open, for its cost is asked.

    Args:
        ground: the allocation.
        demand: which.
        line: template within its menu.
        replicas: at least so many.
        effort: how long it may take.
    """
    space = ground.space
    allowed = np.flatnonzero(space.menus[demand].allowed[line])
    wanted: list[Choice] = [(demand, line, int(place)) for place in allowed]
    sets = sets_over(space, ground.moved_freely, list(dict.fromkeys([*wanted, *ground.choices()])))

    def add_forced(program: pyo.ConcreteModel, sets: Sets) -> None:
        row = [
            (1.0, x)
            for column, x in zip(sets.columns, program.x.values(), strict=True)
            if column.choice[:2] == (demand, line)
        ]
        program.forced = pyo.Constraint(expr=linear(row) >= float(replicas))

    matrix = compile_program(build(sets, (*FAMILIES, add_forced)))
    upper = matrix.upper.copy()
    levels = {level.name: level.value for level in ground.allocation.levels}
    for variable, priority in zip(matrix.columns["penalty"], sets.priorities, strict=True):
        upper[variable] = levels.get(shortfall_level(priority), 0.0) + FIX_TOLERANCE
    for name, level in (("breach", LIMITS), ("preference", PREFERENCE)):
        upper[matrix.columns[name]] = levels.get(level, 0.0) + FIX_TOLERANCE
    outcome = Solver(matrix).minimise(matrix.objectives["cost"], matrix.lower, upper, effort.slice(1.0))
    if outcome.values is None:
        return None
    plan = rounded(matrix, outcome.values)
    if not fits(sets, plan):
        return None
    answer = _answer(sets, plan)
    return replace(answer, slack=max(0.0, answer.cost - outcome.bound))


def improved(ground: Ground, effort: Effort, further: Sequence[Choice] = ()) -> Answer:
    """The best plan that is found from an allocation on, or from a greedy one where the allocation has too much.

    Args:
        ground: the allocation on that problem.
        effort: how long it may take.
        further: choices to offer beside those of least reduced cost.
    """
    sets = sets_over(ground.space, ground.moved_freely, list(dict.fromkeys([*further, *ground.choices()])))
    plan = plan_of(sets, ground.allocation)
    search = Search(sets, effort)
    return _answer(sets, search.best(search.run([greedy(sets) if plan is None else plan])))


def _answer(sets: Sets, plan: Plan) -> Answer:
    missing = unserved(sets, plan.counts)
    return Answer(
        cost=level_values(sets, plan)[COST],
        nodes={supply: int(count) for supply, count in zip(sets.supplies, plan.nodes, strict=True) if count},
        shortfall={wanted.key: float(missing[n]) * wanted.rate for n, wanted in enumerate(sets.demands) if missing[n]},
    )
