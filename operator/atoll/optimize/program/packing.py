"""Constraint family: stage pods fit the nodes in use."""

import pyomo.environ as pyo

from atoll.optimize.program.linear import linear
from atoll.optimize.sets import Sets


def add_packing(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``sum_(tp >= s) (tp / s) N[tp] + held <= sum_p floor(G[p] / s) y[p]`` for each group and width s in use.

    In slots of s GPUs. A group is a GPU kind in a domain and capacity class; N[tp] counts the stage pods of width tp
    that the x ask for there. Exact for power-of-two widths on nodes of any size, partly used ones too (design
    section 5): no variable says which node hosts which pod.
    """
    terms: list[list[tuple[float, object]]] = [[] for _ in sets.rows]
    for load, variable in zip(sets.loads, program.x.values(), strict=True):
        for row, amount in load.items():
            terms[row].append((amount, variable))
    for number, variable in enumerate(program.y.values()):
        for row in sets.rows_of_group[sets.supply_group[number]]:
            if sets.slots[number, row]:
                terms[row].append((-sets.slots[number, row], variable))
    names = []
    for group, width in sets.rows:
        place = sets.groups[group]
        names.append((place.gpu_kind, place.domain.region, place.domain.zone, str(place.capacity_type), width))
    program.packing = pyo.Constraint(names)
    for packed, name, asked in zip(sets.rows, names, terms, strict=True):
        program.packing[name] = linear(asked) <= 0.0 - sets.held.get(packed, 0.0)
