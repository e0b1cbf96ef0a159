"""Constraint family: at least so many replicas of a demand."""

import pyomo.environ as pyo

from atoll.optimize.program.linear import linear
from atoll.optimize.sets import Sets


def add_least_replicas(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``sum_c x[c] + missing_replicas[m] >= min_replicas[m]`` for each demand that asks for any.

    In replicas (design section 5, others). ``missing_replicas`` is the breach of the soft limit.
    """
    limited = {
        str(wanted.key): (number, wanted.placement.min_replicas)
        for number, wanted in enumerate(sets.demands)
        if wanted.placement.min_replicas > 0
    }
    program.missing_replicas = pyo.Var(
        list(limited), domain=pyo.NonNegativeReals, bounds=lambda _, name: (0.0, limited[name][1])
    )
    program.least_replicas = pyo.Constraint(list(limited))
    of_demand: list[list[tuple[float, object]]] = [[] for _ in sets.demands]
    for column, variable in zip(sets.columns, program.x.values(), strict=True):
        of_demand[column.demand].append((1.0, variable))
    for name, (number, least) in limited.items():
        row = [*of_demand[number], (1.0, program.missing_replicas[name])]
        program.least_replicas[name] = linear(row) >= least
