"""Plans as values of the program's integer variables and back: what HiGHS is given to begin with, and what it finds."""

import numpy as np

from atoll.optimize.matrix import Matrix
from atoll.optimize.plan import Plan
from atoll.optimize.sets import Floats, Sets


def start_values(sets: Sets, matrix: Matrix, plan: Plan) -> dict[int, float]:
    """Values of the integer variables by number: x, y, sizes that are there, replicas kept at their sites."""
    values = dict(zip(matrix.columns["x"].tolist(), plan.counts.astype(float).tolist(), strict=True))
    values.update(zip(matrix.columns["y"].tolist(), plan.nodes.astype(float).tolist(), strict=True))
    values.update(zip(matrix.columns["kept"].tolist(), map(float, kept_counts(sets, plan)), strict=True))
    there = [float(plan.counts[list(size.columns)].any()) for size in sets.sizes]
    values.update(zip(matrix.columns["there"].tolist(), there, strict=True))
    return values


def rounded(matrix: Matrix, values: Floats) -> Plan:
    """A solution as a plan of whole replicas and nodes; whether it fits is for the caller to see."""
    return Plan(
        counts=np.rint(values[matrix.columns["x"]]).astype(np.int64),
        nodes=np.rint(values[matrix.columns["y"]]).astype(np.int64),
        origin="program",
    )


def decision_value(sets: Sets, matrix: Matrix, plan: Plan) -> float:
    """Nodes, starts and ties of a plan, US$/h: what is minimised once all levels above are held."""
    decision = matrix.objectives["decision"]
    return float(sum(decision[number] * value for number, value in start_values(sets, matrix, plan).items()))


def kept_counts(sets: Sets, plan: Plan) -> list[int]:
    """How many of each running group a plan can keep at its site, first come first kept."""
    left = {running.column: int(plan.counts[running.column]) for running in sets.running}
    nodes_of: dict[object, list[int]] = {}
    for number, supply in enumerate(sets.supplies):
        nodes_of.setdefault(supply.offering, []).append(number)
    used: dict[tuple[object, int], int] = {}
    widths = sorted({running.group.strategy.tp for running in sets.running})
    kept = []
    for running in sets.running:
        tp = running.group.strategy.tp
        most = min(running.group.count, left[running.column])
        offerings = running.group.site.offerings
        for offering in set(offerings):
            need = offerings.count(offering)
            for width in (w for w in widths if w <= tp):
                slots = sum(int(plan.nodes[p]) * (sets.supplies[p].gpus // width) for p in nodes_of[offering])
                most = min(most, (slots - used.get((offering, width), 0)) // (need * (tp // width)))
        most = max(most, 0)
        for offering in set(offerings):
            for width in (w for w in widths if w <= tp):
                taken = most * offerings.count(offering) * (tp // width)
                used[offering, width] = used.get((offering, width), 0) + taken
        left[running.column] -= most
        kept.append(most)
    return kept
