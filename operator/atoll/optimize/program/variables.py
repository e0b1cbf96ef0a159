"""The variables of the program; each constraint family adds the auxiliary ones that it needs."""

import pyomo.environ as pyo

from atoll.optimize.sets import Sets


def add_variables(program: pyo.ConcreteModel, sets: Sets) -> None:
    """Replicas x and nodes y, with what can be had as their upper bounds.

    ``0 <= x[c] <= upper[c]`` replicas of column c, integer; ``0 <= y[p] <= A[p]`` nodes of supply p, integer
    (the limits rows of design section 5, as bounds); ``0 <= unserved[m] <= 1`` share of demand m not met (the u of
    the design over D, so that rows of demands of any size are alike to the solver); ``there[m, k]`` binary, whether
    there are replicas of size k of a demand that is to survive the loss of one.
    """
    wanted = [str(demand.key) for demand in sets.demands]
    columns = [(wanted[c.demand], c.label, c.domain.region, c.domain.zone, str(c.capacity_type)) for c in sets.columns]
    program.x = pyo.Var(columns, domain=pyo.NonNegativeIntegers)
    for variable, column in zip(program.x.values(), sets.columns, strict=True):
        variable.setub(column.upper)
    supplies = [(str(supply.offering), number) for number, supply in enumerate(sets.supplies)]
    program.y = pyo.Var(supplies, domain=pyo.NonNegativeIntegers)
    for variable, supply in zip(program.y.values(), sets.supplies, strict=True):
        variable.setub(supply.obtainable)
    program.unserved = pyo.Var(wanted, domain=pyo.NonNegativeReals, bounds=(0.0, 1.0))
    sizes = [(wanted[size.demand], number) for number, size in enumerate(sets.sizes)]
    program.there = pyo.Var(sizes, domain=pyo.Binary)
