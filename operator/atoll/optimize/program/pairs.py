"""Constraint family: prefill and decode replicas serve in pairs."""

import pyomo.environ as pyo

from atoll.domain.strategy import Phase
from atoll.optimize.program.linear import linear
from atoll.optimize.program.terms import capacity
from atoll.optimize.sets import Sets


def add_pairs(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``paired[m, z, v] <= sum_(prefill c of v in z) rate[c] x[c] / D`` and the same with decode.

    In shares of the demand, for each domain z and variant v (engine, quantisation, widths, form of KV) that has both
    sides: a request is prefilled on one replica and decoded on another that can read its KV (design section 5, pairs).
    Coefficients are clipped to 1, for no more is of use. One set of variables for each view: all columns of a demand,
    and those that count for one of its limits.
    """
    sides: dict[tuple[str, str, str, str, str], dict[Phase, list[tuple[float, object]]]] = {}
    for view in sets.views:
        wanted = sets.demands[view.demand]
        if not wanted.is_paired:
            continue
        for number in view.columns:
            column = sets.columns[number]
            template = wanted.templates[column.template]
            if template.strategy.phase is not None:
                key = (str(wanted.key), view.name, column.domain.region, column.domain.zone, template.strategy.variant)
                share = min(template.rate / wanted.rate, 1.0)
                sides.setdefault(key, {}).setdefault(template.strategy.phase, []).extend(
                    (share * sign, variable) for sign, variable in capacity(program, sets, view, number)
                )
    both = {key: side for key, side in sides.items() if len(side) == len(Phase)}
    program.paired = pyo.Var(list(both), domain=pyo.NonNegativeReals, bounds=(0.0, 1.0))
    program.prefilled = pyo.Constraint(list(both))
    program.decoded = pyo.Constraint(list(both))
    for key, side in both.items():
        for rows, phase in ((program.prefilled, Phase.PREFILL), (program.decoded, Phase.DECODE)):
            asked = [(-share, variable) for share, variable in side[phase]]
            rows[key] = linear([(1.0, program.paired[key]), *asked]) <= 0.0
