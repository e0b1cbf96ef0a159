"""The objectives: cost of nodes alone, which the bound bounds, and the decision's, which also charges starts."""

import pyomo.environ as pyo

from atoll.optimize.program.linear import linear
from atoll.optimize.sets import Sets

TIE_SHARE = 1e-4
"""Price of a GPU in ties, as a share of the mean list price of a GPU: where nodes are paid for anyway, take few."""


def add_objectives(program: pyo.ConcreteModel, sets: Sets) -> None:
    """``cost = sum_p c[p] y[p]``; ``decision = cost + sum_c charge[c] x[c] - sum_r charge[r] kept[r] + ties``.

    US$/h. Where shortfall has a price, ``cost`` counts ``price[m] unserved[m]`` too. ``charge`` is the cost of one
    start spread over the horizon; with nothing running every plan starts all it has, and the charge is left out.
    ``ties`` counts GPUs at a ten-thousandth of their mean price where some nodes are free of charge (design section
    5: ties go to the fewest GPUs).
    """
    nodes = [(supply.price_per_hour, y) for supply, y in zip(sets.supplies, program.y.values(), strict=True)]
    nodes += [(w.shortfall_cost, program.unserved[str(w.key)]) for w in sets.demands if w.is_priced]
    program.cost = pyo.Objective(expr=linear(nodes))
    moves: list[tuple[float, object]] = []
    tie = tie_per_gpu(sets)
    for column, variable in zip(sets.columns, program.x.values(), strict=True):
        charge = (column.start_charge if sets.running else 0.0) + tie * column.gpus
        if charge:
            moves.append((charge, variable))
    for running, kept in zip(sets.running, program.kept.values(), strict=True):
        if charge := sets.columns[running.column].start_charge:
            moves.append((-charge, kept))
    program.decision = pyo.Objective(expr=linear([*nodes, *moves]))
    program.decision.deactivate()


def tie_per_gpu(sets: Sets) -> float:
    """US$/h that a GPU counts in ties: nothing where every node has its price, for then cost decides."""
    if all(supply.price_per_hour > 0.0 for supply in sets.supplies):
        return 0.0
    prices = [supply.price_per_hour / supply.gpus for supply in sets.supplies if supply.price_per_hour > 0.0]
    return TIE_SHARE * (sum(prices) / len(prices) if prices else 1.0)
