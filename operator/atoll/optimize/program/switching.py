"""Constraint family: which running replicas are kept, so that only new ones are charged."""

import pyomo.environ as pyo

from atoll.domain.pool import OfferingKey
from atoll.optimize.program.linear import linear
from atoll.optimize.sets import Sets


def add_switching(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``sum_(r of c) kept[r] <= x[c]`` and, per offering o and width s, ``pods kept on o <= slots of its nodes``.

    ``0 <= kept[r] <= count[r]`` replicas, integer: a running replica is kept only at its own site. Its pods are
    bound to their offerings, so they need room there: ``sum_(tp >= s) (tp / s) kept pods <= sum_(p of o)
    floor(G[p] / s) y[p]``, in slots of s GPUs. Replicas beyond the kept ones are new and charged in the decision's
    objective (design section 5, stability). These rows are necessary, not sufficient: a narrow pod that is kept may
    stand where a wide new one must go, and then ``placement`` moves it after all and the move is charged in full.
    """
    names = list(range(len(sets.running)))
    program.kept = pyo.Var(names, domain=pyo.NonNegativeIntegers)
    x = list(program.x.values())
    y = list(program.y.values())
    of_column: dict[int, list[tuple[float, object]]] = {}
    pods: dict[tuple[OfferingKey, int], list[tuple[float, object]]] = {}
    widths: dict[OfferingKey, set[int]] = {}
    for running in sets.running:
        for offering in running.group.site.offerings:
            widths.setdefault(offering, set()).add(running.group.strategy.tp)
    for name, running in enumerate(sets.running):
        kept = program.kept[name]
        kept.setub(running.group.count)
        of_column.setdefault(running.column, []).append((1.0, kept))
        tp = running.group.strategy.tp
        for offering in set(running.group.site.offerings):
            stages = running.group.site.offerings.count(offering)
            for width in widths[offering]:
                if width <= tp:
                    pods.setdefault((offering, width), []).append((stages * tp // width, kept))
    program.kept_of_column = pyo.Constraint(sorted(of_column))
    for column, row in sorted(of_column.items()):
        program.kept_of_column[column] = linear([*row, (-1.0, x[column])]) <= 0.0
    places = {(str(offering), width): (offering, width) for offering, width in sorted(pods)}
    program.kept_at_offering = pyo.Constraint(list(places))
    for place, (offering, width) in places.items():
        nodes = [
            (-float(supply.gpus // width), y[number])
            for number, supply in enumerate(sets.supplies)
            if supply.offering == offering and supply.gpus >= width
        ]
        program.kept_at_offering[place] = linear([*pods[offering, width], *nodes]) <= 0.0
