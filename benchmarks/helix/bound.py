"""Upper bounds of the throughput of any placement, tokens/s."""

from itertools import pairwise

import highspy
import numpy as np

from benchmarks.helix.instance import Instance

GRID = 2000
"""Steps into which the target is divided for pricing; throughputs are rounded up, so the bound stays valid."""

_Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def bisection_bound(instance: Instance) -> float:
    """Largest F with ``sum_i max_k k min(T_i(k), F) >= L F``.

    Each of L layers must be crossed by F tokens/s, and a node with k layers gives at most ``min(T(k), F)`` to each of
    them. Between two neighbouring values of T the left side is convex and the right one linear, so the difference
    changes its sign at most once from the last such value at which it is not negative.
    """
    if sum(kind.nodes * kind.most_layers for kind in instance.kinds) < instance.layers:
        return 0.0
    values = sorted({value for kind in instance.kinds for value in kind.throughput if value > 0.0})

    def spare(target: float) -> float:
        given = sum(
            kind.nodes * max(k * min(value, target) for k, value in enumerate(kind.throughput, start=1))
            for kind in instance.kinds
        )
        return given - instance.layers * target

    # Up to the least throughput every node gives all its layers, which was found to be enough.
    steps = [*values, 2.0 * sum(kind.nodes * max(kind.throughput) for kind in instance.kinds)]
    yes, no = next(
        (low, high)
        for low, high in reversed(list(pairwise(steps)))
        if low == values[0] or spare(low) >= -1e-9 * instance.layers * low
    )
    while no - yes > 1e-9 * no:
        middle = (yes + no) / 2.0
        yes, no = (middle, no) if spare(middle) >= 0.0 else (yes, middle)
    return no


def cover_bound(instance: Instance, most: float, *, least: float = 0.0, accuracy: float = 1e-7) -> float:
    """Largest F for which the layers can be covered when each takes its nodes by the share of a layer.

    A layer is crossed by F only if the nodes that hold it have at least F together: it takes a *pattern*, a multiset of
    (kind, k) with ``sum T >= F``. The linear program over patterns maximises the layers covered when n nodes of a kind
    that hold k layers give k n to the patterns (Gilmore and Gomory's relaxation of bin covering). Where it covers fewer
    than L, no placement reaches F. Never above ``bisection_bound``, which lets a layer take fractions of nodes.

    Args:
        instance: to bound.
        most: known upper bound; zero where nothing can be placed.
        least: known value: nothing below it is tried.
        accuracy: relative, at which the bisection ends.
    """
    if most <= least or coverable(instance, most):
        return most
    low, high = least, most
    while high - low > accuracy * high:
        middle = (low + high) / 2.0
        low, high = (middle, high) if coverable(instance, middle) else (low, middle)
        if low == least and middle <= least * (1.0 + 1e-6):
            break
    return high


def coverable(instance: Instance, target: float) -> bool:
    """Whether the linear program over patterns covers all layers at a target; true in doubt."""
    arcs = [(number, k) for number, kind in enumerate(instance.kinds) for k in range(1, len(kind.throughput) + 1)]
    throughput = np.array([instance.kinds[number].throughput[k - 1] for number, k in arcs])
    share = _steps(throughput, target)
    master = _Master(instance, arcs)
    for arc in np.flatnonzero(share):
        master.add({int(arc): -(-GRID // int(share[arc]))})
    for _ in range(500):
        covered, price, nodes_price = master.solve()
        if covered >= instance.layers * (1.0 - 1e-9):
            return True
        cheapest, pattern = _cheapest(price, share)
        # Prices over the cheapest pattern's are feasible for the dual, so they prove what can be covered at most.
        if cheapest > 0.0 and nodes_price / cheapest < instance.layers * (1.0 - 1e-7):
            return False
        if cheapest >= 1.0 - 1e-9:
            return False
        master.add(pattern)
    return True


def _steps(throughput: _Floats, target: float) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Throughputs in steps of the target: rounded up, but what is below the target alone stays below it.

    That is still a relaxation: a cover with such an arc has another one, which is at least one step.
    """
    steps = np.ceil(throughput / target * GRID - 1e-12).astype(np.int64)
    return np.where(throughput >= target, GRID, np.minimum(steps, GRID - 1))


class _Master:
    """Maximise layers covered; rows: k n[a] for each arc, nodes for each kind."""

    def __init__(self, instance: Instance, arcs: list[tuple[int, int]]) -> None:
        self._instance, self._arcs = instance, arcs
        highs = highspy.Highs()  # type: ignore[no-untyped-call]  # highspy has no annotations there
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        infinity = highspy.kHighsInf
        for _ in arcs:
            highs.addRow(-infinity, 0.0, 0, [], [])
        for kind in instance.kinds:
            highs.addRow(-infinity, float(kind.nodes), 0, [], [])
        for row, (kind_number, k) in enumerate(arcs):
            highs.addCol(0.0, 0.0, infinity, 2, [row, len(arcs) + kind_number], [-float(k), 1.0])
        highs.changeObjectiveSense(highspy.ObjSense.kMaximize)
        self._highs = highs

    def add(self, pattern: dict[int, int]) -> None:
        """One more pattern: how many of which arc cross a layer."""
        rows, counts = list(pattern), [float(count) for count in pattern.values()]
        self._highs.addCol(1.0, 0.0, highspy.kHighsInf, len(rows), rows, counts)

    def solve(self) -> tuple[float, _Floats, float]:
        """Layers covered; price of one node-layer of each arc; what all nodes are worth at these prices."""
        self._highs.run()
        price = np.maximum(np.array(self._highs.getSolution().row_dual)[: len(self._arcs)], 0.0)
        best: dict[int, float] = {}
        for (kind, k), each in zip(self._arcs, price, strict=True):
            best[kind] = max(best.get(kind, 0.0), k * float(each))
        worth = sum(self._instance.kinds[kind].nodes * value for kind, value in best.items())
        return self._highs.getInfo().objective_function_value, price, worth


def _cheapest(price: _Floats, share: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> tuple[float, dict[int, int]]:
    """The cheapest multiset of arcs that makes up the target: covering knapsack by dynamic programming."""
    cost = np.zeros(GRID + 1)
    choice = np.zeros(GRID + 1, dtype=np.int64)
    usable = np.flatnonzero(share)
    step, each = share[usable], price[usable]
    for need in range(1, GRID + 1):
        totals = cost[np.maximum(need - step, 0)] + each
        best = int(np.argmin(totals))
        cost[need], choice[need] = totals[best], usable[best]
    pattern: dict[int, int] = {}
    need = GRID
    while need > 0:
        arc = int(choice[need])
        pattern[arc] = pattern.get(arc, 0) + 1
        need -= int(share[arc])
    return float(cost[GRID]), pattern
