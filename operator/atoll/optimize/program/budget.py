"""Constraint family: the fleet's budget."""

import math

import pyomo.environ as pyo

from atoll.optimize.program.linear import linear
from atoll.optimize.sets import Sets


def add_budget(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``sum_p c[p] y[p] - over_budget <= budget`` in US$/h, where a budget is set.

    ``over_budget`` is the breach: the budget is a soft limit at a level below shortfall (design section 5,
    scarcity), so it never takes service away, it is only reported.
    """
    program.over_budget = pyo.Var(domain=pyo.NonNegativeReals)
    if math.isfinite(sets.budget):
        row = [(supply.price_per_hour, y) for supply, y in zip(sets.supplies, program.y.values(), strict=True)]
        program.budget = pyo.Constraint(expr=linear([*row, (-1.0, program.over_budget)]) <= sets.budget)
