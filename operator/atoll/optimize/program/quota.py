"""Constraint family: no more GPUs for the demands of a namespace than its quota."""

import pyomo.environ as pyo

from atoll.optimize.program.linear import linear
from atoll.optimize.sets import Sets


def add_quotas(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``sum_(c of demands in namespace n) gpus[c] x[c] <= quota[n]`` for each namespace with a quota.

    In GPUs. Hard: what a quota does not admit is a shortfall, unlike the soft limits (design section 5, others).
    """
    rows: dict[str, list[tuple[float, object]]] = {}
    for column, variable in zip(sets.columns, program.x.values(), strict=True):
        namespace = sets.demands[column.demand].key.namespace
        if namespace in sets.quotas:
            rows.setdefault(namespace, []).append((column.gpus, variable))
    program.quota = pyo.Constraint(sorted(rows))
    for namespace, row in sorted(rows.items()):
        program.quota[namespace] = linear(row) <= sets.quotas[namespace]
