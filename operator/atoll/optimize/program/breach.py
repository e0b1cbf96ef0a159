"""Constraint family: broken soft limits, summed."""

import pyomo.environ as pyo

from atoll.optimize.program.linear import linear
from atoll.optimize.sets import Sets


def add_breach_level(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``breach = sum_m spot_excess + missing_replicas / least + missing_domains / least + exposed / share``.

    Dimensionless: each soft limit counts by the share of it that is missing. One level, below shortfall and above
    budget and cost (design section 5, scarcity).
    """
    row: list[tuple[float, object]] = []
    for wanted in sets.demands:
        name, placement = str(wanted.key), wanted.placement
        if name in program.spot_excess:
            row.append((1.0, program.spot_excess[name]))
        if name in program.missing_replicas:
            row.append((1.0 / placement.min_replicas, program.missing_replicas[name]))
        if name in program.missing_domains:
            row.append((1.0 / placement.min_domains, program.missing_domains[name]))
        if name in program.exposed:
            row.append((1.0 / placement.survive_share, program.exposed[name]))
    program.breach = pyo.Var(domain=pyo.NonNegativeReals)
    program.breaches = pyo.Constraint(expr=linear([*row, (-1.0, program.breach)]) == 0.0)
