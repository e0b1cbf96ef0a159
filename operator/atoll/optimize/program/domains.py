"""Constraint family: a demand's replicas are spread over at least so many domains."""

import pyomo.environ as pyo

from atoll.optimize.program.linear import linear
from atoll.optimize.sets import Domain, Sets


def add_least_domains(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``present[m, z] <= sum_(c in z) x[c]`` and ``sum_z present[m, z] + missing_domains[m] >= min_domains[m]``.

    In domains (zones), for each demand that asks for two or more (design section 5, others). ``present`` is at most
    1 and needs no integrality: x is integer. ``missing_domains`` is the breach of the soft limit.
    """
    limited = {
        str(wanted.key): (number, wanted.placement.min_domains)
        for number, wanted in enumerate(sets.demands)
        if wanted.placement.min_domains > 1
    }
    inside: dict[tuple[int, Domain], list[tuple[float, object]]] = {}
    for column, variable in zip(sets.columns, program.x.values(), strict=True):
        inside.setdefault((column.demand, column.domain), []).append((-1.0, variable))
    names = {
        (name, domain.region, domain.zone): columns
        for name, (number, _) in limited.items()
        for (of, domain), columns in sorted(inside.items(), key=lambda item: item[0])
        if of == number
    }
    program.present = pyo.Var(list(names), domain=pyo.NonNegativeReals, bounds=(0.0, 1.0))
    program.present_where_replicas = pyo.Constraint(list(names))
    for place, columns in names.items():
        program.present_where_replicas[place] = linear([(1.0, program.present[place]), *columns]) <= 0.0
    program.missing_domains = pyo.Var(
        list(limited), domain=pyo.NonNegativeReals, bounds=lambda _, name: (0.0, limited[name][1])
    )
    program.least_domains = pyo.Constraint(list(limited))
    for name, (_, least) in limited.items():
        row = [(1.0, program.present[place]) for place in names if place[0] == name]
        program.least_domains[name] = linear([*row, (1.0, program.missing_domains[name])]) >= least
