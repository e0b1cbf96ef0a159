"""Constraint family: no more of a demand on spot than its owner allows."""

import pyomo.environ as pyo

from atoll.optimize.program.linear import linear
from atoll.optimize.program.terms import carried_terms, view_of
from atoll.optimize.sets import Sets


def add_spot_share(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``sum_(c not on spot) min(rate[c] / D, 1 - s) x[c] + spot_excess + (1 - s) unserved >= 1 - s``.

    In shares of the demand, for each demand whose largest share s on spot is below 1 (design section 5, spot): what
    is not on spot carries 1 - s of what is served. ``spot_excess`` is the soft limit's breach, 0 to 1.
    """
    limited = {
        str(wanted.key): (number, 1.0 - wanted.placement.spot_share)
        for number, wanted in enumerate(sets.demands)
        if wanted.placement.spot_share < 1.0
    }
    program.spot_excess = pyo.Var(list(limited), domain=pyo.NonNegativeReals, bounds=(0.0, 1.0))
    program.spot = pyo.Constraint(list(limited))
    for name, (number, least) in limited.items():
        own = sets.columns_of[number]
        row = carried_terms(program, sets, view_of(number, "steady", own[~sets.spot[own]]), least)
        row += [(1.0, program.spot_excess[name]), (least, program.unserved[name])]
        program.spot[name] = linear(row) >= least
