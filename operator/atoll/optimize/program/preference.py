"""Constraint family: capacity types in the order in which a demand's owner prefers them."""

import pyomo.environ as pyo

from atoll.optimize.program.linear import linear
from atoll.optimize.program.terms import carried_terms, view_of
from atoll.optimize.sets import Sets


def add_preference(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``sum_(c of rank below k) min(rate[c] / D, d) x[c] + spilled[m, k] + d unserved[m] >= d`` for each step k.

    In shares of the demand. The rank of a capacity type is its place in the demand's order of preference, 0 for the
    first choice; types that are not named come last (design section 5, others: ordered preference). The first k
    choices are to carry the share d of what is served: all of it, but spot alone no more than it may. ``spilled[m, k]``
    is the part that they do not carry. ``preference`` is the sum over demands of their mean spill over the steps: 0
    where all is on first choices, 1 for each demand that is all on its last. It is a level of its own between budget
    and cost: the first choice is used while it can be had (decision record 12).
    """
    steps = {
        (str(wanted.key), step): (number, due, 1.0 / len(wanted.placement.steps))
        for number, wanted in enumerate(sets.demands)
        for step, due in wanted.placement.steps
    }
    program.spilled = pyo.Var(list(steps), domain=pyo.NonNegativeReals, bounds=(0.0, 1.0))
    program.preferred = pyo.Constraint(list(steps))
    for (name, step), (number, due, _) in steps.items():
        own = sets.columns_of[number]
        row = carried_terms(program, sets, view_of(number, f"first{step}", own[sets.rank[own] < step]), due)
        row += [(1.0, program.spilled[name, step]), (due, program.unserved[name])]
        program.preferred[name, step] = linear(row) >= due
    program.preference = pyo.Var(domain=pyo.NonNegativeReals)
    total = [(weight, program.spilled[step]) for step, (_, _, weight) in steps.items()]
    program.preferences = pyo.Constraint(expr=linear([*total, (-1.0, program.preference)]) == 0.0)
