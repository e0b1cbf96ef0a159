"""Constraint family: the penalty of what is not served, by priority."""

import pyomo.environ as pyo

from atoll.optimize.program.linear import linear
from atoll.optimize.scarcity import BREAKS, SLOPES
from atoll.optimize.sets import Sets


def add_shortfall_levels(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``unserved[m] = sum_i piece[m, i]`` and ``penalty[k] = sum_(m of priority k) sum_i slope[i] piece[m, i]``.

    Dimensionless. Each piece is at most the width between two breaks (5, 10, 25, 50, 100 % unserved); slopes rise,
    so pieces fill in order. ``penalty[k]`` is minimised and then held, priority by priority (design section 5,
    scarcity).
    """
    widths = [limit - below for limit, below in zip(BREAKS, (0.0, *BREAKS), strict=False)]
    names = list(program.unserved)
    program.piece = pyo.Var(
        names, range(len(BREAKS)), domain=pyo.NonNegativeReals, bounds=lambda _, _name, i: (0.0, widths[i])
    )
    program.pieces = pyo.Constraint(names)
    for name in names:
        row = [(1.0, program.piece[name, i]) for i in range(len(BREAKS))]
        program.pieces[name] = linear([*row, (-1.0, program.unserved[name])]) == 0.0
    program.penalty = pyo.Var(sets.priorities, domain=pyo.NonNegativeReals)
    program.penalties = pyo.Constraint(sets.priorities)
    for priority in sets.priorities:
        members = [str(w.key) for w in sets.demands if w.priority == priority and not w.is_priced]
        row = [(slope, program.piece[name, i]) for name in members for i, slope in enumerate(SLOPES)]
        program.penalties[priority] = linear([*row, (-1.0, program.penalty[priority])]) == 0.0
