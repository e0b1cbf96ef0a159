"""Constraint family of the baseline: one GPU kind per demand."""

import pyomo.environ as pyo

from atoll.optimize.program.linear import linear
from atoll.optimize.sets import Sets


def add_one_kind(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``sum_(c of m on kind g) x[c] <= most[m, g] chosen[m, g]`` and ``sum_g chosen[m, g] <= 1``.

    ``chosen`` is binary; ``most`` is the sum of the columns' upper bounds. Columns on two kinds, which the baseline
    is not given, would count as a kind of their own. Not part of the main program: this is the fleet that people run
    by hand, one GPU kind per served model (Coral's Homo baseline, arXiv 2605.04357).
    """
    on_kind: dict[tuple[str, str], list[tuple[float, object]]] = {}
    most: dict[tuple[str, str], float] = {}
    for column, variable in zip(sets.columns, program.x.values(), strict=True):
        kinds = sorted({sets.groups[group].gpu_kind for group, _, _ in column.pods})
        name = (str(sets.demands[column.demand].key), "+".join(kinds))
        on_kind.setdefault(name, []).append((1.0, variable))
        most[name] = most.get(name, 0.0) + column.upper
    program.chosen = pyo.Var(list(on_kind), domain=pyo.Binary)
    program.on_chosen_kind = pyo.Constraint(list(on_kind))
    for name, columns in on_kind.items():
        program.on_chosen_kind[name] = linear([*columns, (-most[name], program.chosen[name])]) <= 0.0
    demands = sorted({demand for demand, _ in on_kind})
    program.one_kind = pyo.Constraint(demands)
    for demand in demands:
        program.one_kind[demand] = linear([(1.0, v) for (of, _), v in program.chosen.items() if of == demand]) <= 1.0
