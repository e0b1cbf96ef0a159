"""Placements in blocks: every block of consecutive layers is held by a few nodes, and blocks follow each other.

Within a block, nodes are arranged in series and in parallel: ``T(A then B) = min``, ``T(A beside B) = sum``. The best
throughput of k layers by every small multiset of nodes follows by dynamic programming over these two arrangements. For
a target F a multiset then covers the most layers k at which it still reaches F, and an integer program with one row
for each kind of node finds blocks that cover all L layers. F is found by bisection. There is no big-M and nothing says
at which layer a block begins, so it is solved in a fraction of a second.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product

import numpy as np
import pyomo.environ as pyo

from atoll.optimize.highs import Limits, Solver
from atoll.optimize.matrix import compile_program
from atoll.optimize.program.linear import linear
from benchmarks.helix.instance import Instance
from benchmarks.helix.placement import Held

MOST_SHAPES = 1600
"""Multisets of nodes that are looked at; it decides how many nodes a block may have."""

ACCURACY = 1e-5
"""Relative, at which the bisection ends; the value of the answer itself is exact."""

Shape = tuple[int, ...]
"""How many nodes of each kind a block has."""

Plan = Sequence[tuple[Shape, int]]
"""Blocks one after the other: shape and layers of each."""

_Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Best throughput of every small multiset of nodes.

    Attributes:
        instance: whose nodes they are.
        throughput: of 0, 1, 2, ... layers by shape, tokens/s; 0 where they cannot be held.
    """

    instance: Instance
    throughput: dict[Shape, _Floats]

    @classmethod
    def of_single(cls, instance: Instance) -> "Blocks":
        """Of single nodes only."""
        return cls._of(instance, _shapes(instance, 0))

    @classmethod
    def of(cls, instance: Instance) -> "Blocks":
        """Of as many nodes as ``MOST_SHAPES`` allows."""
        return cls._of(instance, _shapes(instance, MOST_SHAPES))

    @classmethod
    def _of(cls, instance: Instance, shapes: Iterator[Shape]) -> "Blocks":
        """By dynamic programming over shapes, small ones first."""
        found: dict[Shape, _Floats] = {}
        for shape in shapes:
            best = np.zeros(instance.layers + 1)
            if sum(shape) == 1:
                values = instance.kinds[shape.index(1)].throughput[: instance.layers]
                best[1 : len(values) + 1] = values
            for one, other in _splits(shape):
                np.maximum(best, _series(found[one], found[other]), out=best)
                together = found[one] + found[other]
                np.maximum(best, np.where((found[one] > 0) & (found[other] > 0), together, 0.0), out=best)
            found[shape] = best
        return cls(instance=instance, throughput=found)

    def best(self, chain: Plan, most: float) -> Plan:
        """The plan with the highest throughput found.

        Args:
            chain: a first one.
            most: known upper bound, tokens/s.
        """
        low, high, best = self.reached(chain), most, chain
        while high - low > ACCURACY * high:
            middle = (low + high) / 2.0
            found = self._cover(middle)
            if found:
                low, best = max(middle, self.reached(found)), found
            else:
                high = middle
        return best

    def most_layers(self, target: float) -> dict[Shape, int]:
        """Most layers at which a shape reaches a target; only where that is more than its parts do in series."""
        most = {
            shape: int(np.flatnonzero(values >= target).max(initial=0)) for shape, values in self.throughput.items()
        }
        return {
            shape: k
            for shape, k in most.items()
            if k > 0 and all(most[one] + most[other] < k for one, other in _splits(shape))
        }

    def reached(self, plan: Plan) -> float:
        """Throughput of a plan, tokens/s: of its slowest block."""
        return min(float(self.throughput[shape][k]) for shape, k in plan)

    def held(self, plan: Plan) -> tuple[Held, ...]:
        """A plan's nodes, each with its layers."""
        held: list[Held] = []
        start = 0
        for shape, k in plan:
            held += self.arranged(shape, k, start)
            start += k
        return tuple(held)

    def _cover(self, target: float) -> Plan:
        """``maximise sum_U k[U] z[U]``, ``sum_U U[g] z[U] <= nodes[g]``, z whole; blocks if all layers are covered."""
        most = self.most_layers(target)
        useful = list(most)
        if not useful:
            return ()
        kinds = self.instance.kinds
        program = pyo.ConcreteModel(name="blocks")
        program.z = pyo.Var(range(len(useful)), domain=pyo.NonNegativeIntegers)
        for shape, variable in zip(useful, program.z.values(), strict=True):
            variable.setub(min(kind.nodes // use for kind, use in zip(kinds, shape, strict=True) if use))
        program.nodes = pyo.Constraint(range(len(kinds)))
        for number, kind in enumerate(kinds):
            row = [(float(s[number]), v) for s, v in zip(useful, program.z.values(), strict=True) if s[number]]
            if row:
                program.nodes[number] = linear(row) <= float(kind.nodes)
        covered = [(-float(most[shape]), v) for shape, v in zip(useful, program.z.values(), strict=True)]
        program.covered = pyo.Objective(expr=linear(covered))
        matrix = compile_program(program)
        outcome = Solver(matrix).minimise(
            matrix.objectives["covered"], matrix.lower, matrix.upper, Limits(seconds=5.0, gap=0.0)
        )
        if outcome.values is None or -outcome.objective < self.instance.layers - 0.5:
            return ()
        counts = np.rint(outcome.values).astype(int)
        return _filled((useful[number] for number in np.repeat(np.arange(len(useful)), counts)), most, self.instance)

    def arranged(self, shape: Shape, layers: int, start: int) -> list[Held]:
        """Nodes of a shape, arranged as its throughput was found.

        Args:
            shape: of the block.
            layers: that it holds.
            start: the first of them.
        """
        target = float(self.throughput[shape][layers])
        if sum(shape) == 1:
            return [Held(kind=shape.index(1), start=start, layers=layers)]
        for one, other in _splits(shape):
            first, second = self.throughput[one], self.throughput[other]
            if first[layers] > 0 and second[layers] > 0 and first[layers] + second[layers] == target:
                return [*self.arranged(one, layers, start), *self.arranged(other, layers, start)]
            for k in range(1, layers):
                if min(first[k], second[layers - k]) == target:
                    return [*self.arranged(one, k, start), *self.arranged(other, layers - k, start + k)]
        raise AssertionError(f"no arrangement of {shape} gives {target}")


def chain_of(instance: Instance) -> Plan:
    """The best single chain: every node alone with all the layers that it can carry the target on.

    Nothing where the layers cannot be held.
    """
    kinds = range(len(instance.kinds))
    for target in sorted({value for kind in instance.kinds for value in kind.throughput if value > 0.0}, reverse=True):
        most = {
            tuple(int(number == other) for other in kinds): max(
                (k for k, value in enumerate(kind.throughput, start=1) if value >= target), default=0
            )
            for number, kind in enumerate(instance.kinds)
        }
        plan = _filled((s for s in most if most[s] for _ in range(instance.kinds[s.index(1)].nodes)), most, instance)
        if plan:
            return plan
    return ()


def _filled(shapes: Iterable[Shape], most: Mapping[Shape, int], instance: Instance) -> Plan:
    """Shapes with as many layers as they can have, until all layers are held; nothing where some are not."""
    plan, left = [], instance.layers
    for shape in shapes:
        if left > 0:
            plan.append((shape, min(most[shape], left)))
            left -= plan[-1][1]
    return () if left else tuple(plan)


def _shapes(instance: Instance, most: int) -> Iterator[Shape]:
    """Multisets of nodes that there are, by size: all single ones, and all of a size while there are no more."""
    count = 0
    kinds = range(len(instance.kinds))
    for size in range(1, sum(kind.nodes for kind in instance.kinds) + 1):
        every = (
            tuple(chosen.count(number) for number in kinds) for chosen in combinations_with_replacement(kinds, size)
        )
        shapes = [s for s in every if all(n <= kind.nodes for n, kind in zip(s, instance.kinds, strict=True))]
        count += len(shapes)
        if size > 1 and count > most:
            return
        yield from shapes


def _splits(shape: Shape) -> Iterator[tuple[Shape, Shape]]:
    """Two parts, neither empty; in one order only, for both arrangements are the same in the other."""
    for one in product(*(range(count + 1) for count in shape)):
        other = tuple(whole - part for whole, part in zip(shape, one, strict=True))
        if any(one) and one <= other:
            yield one, other


def _series(one: _Floats, other: _Floats) -> _Floats:
    """``max_j min(one[j], other[k - j])`` for each k."""
    best = np.zeros_like(one)
    for j in np.flatnonzero(one).tolist():
        np.maximum(best[j:], np.minimum(one[j], other[: len(one) - j]), out=best[j:])
    return best
