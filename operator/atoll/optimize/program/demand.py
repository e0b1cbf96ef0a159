"""Constraint family: every demand is covered or counted as unserved."""

import pyomo.environ as pyo

from atoll.optimize.program.linear import linear
from atoll.optimize.sets import Sets


def add_demand(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``sum_c min(rate[c] / D[m], 1) x[c] + unserved[m] >= 1`` for each demand m (design section 5, demand).

    In shares of the demand. A coefficient above the right side is clipped to it: lossless in a covering row, and the
    linear relaxation rises (measured 150.6 to 169.7 US$/h on one instance, solver.md).
    """
    terms: list[list[tuple[float, object]]] = [[] for _ in sets.demands]
    for column, variable in zip(sets.columns, program.x.values(), strict=True):
        terms[column.demand].append((min(column.share, 1.0), variable))
    program.demand = pyo.Constraint(program.unserved.index_set())
    for row, (name, unserved) in zip(terms, program.unserved.items(), strict=True):
        program.demand[name] = linear([*row, (1.0, unserved)]) >= 1.0
