"""Constraint family: what is left when a replica, a spot pool or a zone is lost."""

import numpy as np
import pyomo.environ as pyo

from atoll.domain.demand import Loss
from atoll.optimize.program.linear import linear
from atoll.optimize.program.terms import carried_terms, view_of
from atoll.optimize.sets import Sets


def add_survival(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``sum_(c not in F) min(rate[c] / D, s) x[c] + exposed[m] >= s`` for each loss F that a demand is to survive.

    In shares of the demand: what is outside F carries the share s of it (design section 5, uncertainty). F is a zone,
    or the spot nodes of one GPU kind in a zone, for these are lost together. ``exposed`` is the soft limit's breach.

    Where F is any one replica, which one is largest depends on the plan: with replicas of equal share in a size k of
    share w, ``sum_c min(rate[c] / D, s) x[c] - w[k] there[m, k] + exposed[m] >= s`` and ``x[c] <= upper[c]
    there[m, k]``, ``there`` binary. Sizes are of shares clipped to s: lossless, for what is left is clipped alike.
    """
    hardened = {
        str(wanted.key): (number, wanted.placement.survive_share)
        for number, wanted in enumerate(sets.demands)
        if wanted.placement.survive is not Loss.NONE
    }
    program.exposed = pyo.Var(list(hardened), domain=pyo.NonNegativeReals, bounds=(0.0, 1.0))
    # The loss of nothing is there too: also where nothing can be lost, the share is to be served.
    lost: dict[tuple[str, str], set[int]] = {(name, "nothing"): set() for name in hardened}
    for name, (demand, _) in hardened.items():
        for number in sets.columns_of[demand].tolist():
            for loss in sets.losses[number]:
                lost.setdefault((name, "_".join(loss)), set()).add(number)
    program.survival = pyo.Constraint(sorted(lost))
    for (name, what), columns in sorted(lost.items()):
        demand, least = hardened[name]
        own = sets.columns_of[demand]
        row = carried_terms(program, sets, view_of(demand, what, own[~np.isin(own, list(columns))]), least)
        program.survival[name, what] = linear([*row, (1.0, program.exposed[name])]) >= least
    _add_largest(program, sets)


def _add_largest(program: pyo.ConcreteModel, sets: Sets) -> None:
    x = list(program.x.values())
    sizes = list(program.there)
    program.survival_of_largest = pyo.Constraint(sizes)
    program.there_where_replicas = pyo.Constraint([column for size in sets.sizes for column in size.columns])
    for (name, number), size in zip(sizes, sets.sizes, strict=True):
        there = program.there[name, number]
        wanted, own = sets.demands[size.demand], sets.columns_of[size.demand]
        least = wanted.placement.survive_share
        row = carried_terms(program, sets, view_of(size.demand, f"less{size.columns[0]}", own), least)
        if wanted.is_plain:
            row.append((-size.share, there))
        program.survival_of_largest[name, number] = linear([*row, (1.0, program.exposed[name])]) >= least
        for column in size.columns:
            upper = float(sets.columns[column].upper)
            program.there_where_replicas[column] = linear([(1.0, x[column]), (-upper, there)]) <= 0.0
