"""Constraint family: every demand is covered or counted as unserved."""

import pyomo.environ as pyo

from atoll.optimize.program.linear import linear
from atoll.optimize.program.terms import carried_terms, view_of
from atoll.optimize.sets import Sets


def add_demand(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``sum_c min(rate[c] / D[m], 1) x[c] + unserved[m] >= 1`` for each demand m (design section 5, demand).

    In shares of the demand; of one with pairs or size classes the flows stand for x. A coefficient above the right
    side is clipped to it: lossless in a covering row, and the linear relaxation rises (measured 150.6 to 169.7 US$/h
    on one instance, solver.md).
    """
    program.demand = pyo.Constraint(program.unserved.index_set())
    for number, (name, unserved) in enumerate(program.unserved.items()):
        row = carried_terms(program, sets, view_of(number, "all", sets.columns_of[number]), 1.0)
        program.demand[name] = linear([*row, (1.0, unserved)]) >= 1.0
