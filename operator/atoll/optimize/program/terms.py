"""What columns carry of a demand, as terms of a row: replicas themselves, or the flows through them."""

from typing import Any

import pyomo.environ as pyo

from atoll.optimize.sets import Sets, View
from atoll.optimize.space import Ints

Terms = list[tuple[float, Any]]


def view_of(demand: int, name: str, columns: Ints) -> View:
    """Some columns of a demand, for a row of that name."""
    return View(demand=demand, name=name, columns=tuple(columns.tolist()))


def carried_terms(program: pyo.ConcreteModel, sets: Sets, view: View, least: float) -> Terms:
    """Terms of a covering row: what some columns of a demand carry of it, in shares.

    Args:
        program: with x and the flows.
        sets: that it is of.
        view: the columns; where the demand has flows, one of ``sets.views`` by its name.
        least: right side of the row, to which coefficients are clipped: lossless in a covering row.
    """
    wanted, x = sets.demands[view.demand], list(program.x.values())
    if wanted.is_plain:
        return [(min(sets.columns[number].share, least), x[number]) for number in view.columns]
    name = (str(wanted.key), view.name)
    if wanted.classes:
        return [(1.0, flow) for key, flow in program.routed.items() if key[:2] == name]
    own = next(each for each in sets.views if (each.demand, each.name) == (view.demand, view.name))
    whole: Terms = []
    for number in own.columns:
        template = wanted.templates[sets.columns[number].template]
        if template.strategy.phase is None:
            share = min(template.rate / wanted.rate, least)
            whole += [(share * sign, variable) for sign, variable in capacity(program, sets, own, number)]
    return [*whole, *((1.0, flow) for key, flow in program.paired.items() if key[:2] == name)]


def capacity(program: pyo.ConcreteModel, sets: Sets, view: View, column: int) -> Terms:
    """Replicas of a column in a view: all, less the one that is lost where this is the column that loses it."""
    there = [] if view.less != column else [(-1.0, _there(program, sets, column))]
    return [(1.0, list(program.x.values())[column]), *there]


def _there(program: pyo.ConcreteModel, sets: Sets, column: int) -> Any:
    number = next(number for number, size in enumerate(sets.sizes) if size.columns == (column,))
    return list(program.there.values())[number]
