"""Constraint family: requests of a demand's size classes are shared out among its templates."""

import pyomo.environ as pyo

from atoll.optimize.program.linear import linear
from atoll.optimize.program.terms import capacity
from atoll.optimize.sets import Sets


def add_size_classes(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``sum_b D[m] routed[m, b, t] / rate[b, t] <= sum_(c of t) x[c]`` and ``sum_t routed[m, b, t] <= D[m, b] / D[m]``.

    In shares of the demand, for each template t of a demand with size classes b: a replica spends its time on requests
    of all classes that the router sends it (design section 5, size classes). And, to lift the relaxation, ``sum_b
    routed[m, b, t] <= sum_(c of t) share[c] x[c]`` with the most that one replica serves of such a demand. One set of
    variables for each view: all columns of a demand, and those that count for one of its limits.
    """
    names: list[tuple[str, str, int, int]] = []
    room: dict[tuple[str, str, int], list[tuple[float, float, object]]] = {}
    for view in sets.views:
        wanted = sets.demands[view.demand]
        for number in view.columns if wanted.classes else ():
            column = sets.columns[number]
            place = (str(wanted.key), view.name, column.template)
            if place not in room:
                rates = wanted.class_shares(column.template)
                names += [(*place, b) for b, rate in enumerate(rates) if rate > 0.0 and wanted.classes[b] > 0.0]
            replicas = capacity(program, sets, view, number)
            room.setdefault(place, []).extend((sign, sign * min(column.share, 1.0), x) for sign, x in replicas)
    program.routed = pyo.Var(names, domain=pyo.NonNegativeReals, bounds=(0.0, 1.0))
    of_key = {str(wanted.key): wanted for wanted in sets.demands}
    of_place: dict[tuple[str, str, int], list[int]] = {place: [] for place in room}
    of_class: dict[tuple[str, str, int], list[object]] = {}
    for key, view_name, template, b in names:
        of_place[key, view_name, template].append(b)
        of_class.setdefault((key, view_name, b), []).append(program.routed[key, view_name, template, b])
    program.class_time = pyo.Constraint(list(room))
    program.class_share = pyo.Constraint(list(room))
    for place, terms in room.items():
        rates = of_key[place[0]].class_shares(place[2])
        flows = [(b, program.routed[(*place, b)]) for b in of_place[place]]
        busy = [(1.0 / rates[b], flow) for b, flow in flows]
        program.class_time[place] = linear([*busy, *((-sign, x) for sign, _, x in terms)]) <= 0.0
        program.class_share[place] = linear([*((1.0, f) for _, f in flows), *((-s, x) for _, s, x in terms)]) <= 0.0
    program.class_demand = pyo.Constraint(list(of_class))
    for (key, view_name, b), flows_of in of_class.items():
        program.class_demand[key, view_name, b] = linear([(1.0, f) for f in flows_of]) <= of_key[key].classes[b]
