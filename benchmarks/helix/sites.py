"""Placements over several sites whose links are slower than nodes.

Tokens visit sites one after the other, each once. Between two sites they pass from the last block of the one to the
first of the other: a nodes beside each other there, b here, over a b links. Such a block is flat (all its nodes hold
the same layers) and a node in it carries at most what its links do. Orders of sites and numbers a, b that suffice for
the target are few, and for each of them the integer program of ``blocks`` has one more row for each crossing block.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import pyomo.environ as pyo

from atoll.optimize.highs import Limits, Solver
from atoll.optimize.matrix import compile_program
from atoll.optimize.program.linear import linear
from benchmarks.helix.blocks import Blocks, Shape
from benchmarks.helix.instance import Instance
from benchmarks.helix.placement import Held

ACCURACY = 1e-4
"""Relative, at which the bisection ends; the value of the answer itself is exact."""

MOST_BESIDE = 4
"""Most nodes beside each other in a crossing block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """The flat block on one side of a crossing.

    Attributes:
        site: of its nodes.
        nodes: beside each other.
        others: on the other side.
    """

    site: int
    nodes: int
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A block of the plan: its nodes, its layers, and whether it is a crossing block."""

    site: int
    shape: Shape
    layers: int
    flat: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Sites in order, and the crossing blocks at the beginning and end of each; None at both ends of the route."""

    sites: tuple[int, ...]
    first: tuple[Crossing | None, ...]
    last: tuple[Crossing | None, ...]


def placed(instance: Instance, most: float) -> tuple[Held, ...]:
    """Nodes of the best placement found; nothing where none is.

    Args:
        instance: with several sites.
        most: known upper bound, tokens/s.
    """
    blocks = {site: Blocks.of(instance.at(site)) for site in instance.sites}
    low, high, best = 0.0, most, tuple[Held, ...]()
    while high - low > ACCURACY * high:
        middle = (low + high) / 2.0
        inner = {
            site: [
                Piece(site=site, shape=shape, layers=layers, flat=False)
                for shape, layers in blocks[site].most_layers(middle).items()
            ]
            for site in instance.sites
        }
        plans = (_plan(blocks, inner, route, middle, instance.link) for route in _routes(instance, middle))
        found = next((plan for plan in plans if plan), None)
        if found:
            low, best = middle, _held(instance, blocks, found)
        else:
            high = middle
    return best


def _routes(instance: Instance, target: float) -> Iterator[Route]:
    """Orders of some of the sites (one of each two that are each other's reverse) with least numbers of nodes."""
    need = math.ceil(target / instance.link) if instance.link > 0.0 else MOST_BESIDE**2 + 1
    counts = [(a, b) for a in range(1, MOST_BESIDE + 1) if (b := math.ceil(need / a)) <= MOST_BESIDE]
    for length in range(1, len(instance.sites) + 1):
        for sites in permutations(instance.sites, length):
            if sites > sites[::-1]:
                continue
            for chosen in product(counts, repeat=length - 1):
                steps = list(zip(chosen, sites, sites[1:], strict=False))
                yield Route(
                    sites=sites,
                    first=(None, *(Crossing(site=to, nodes=b, others=a) for (a, b), _, to in steps)),
                    last=(*(Crossing(site=of, nodes=a, others=b) for (a, b), of, _ in steps), None),
                )


def _plan(
    blocks: Mapping[int, Blocks], inner: Mapping[int, list[Piece]], route: Route, target: float, link: float
) -> list[Piece]:
    """Blocks in the order of their layers that cover all of them at the target; nothing where none do."""
    options: list[list[Piece]] = []
    for site, first, last in zip(route.sites, route.first, route.last, strict=True):
        ends = [[] if crossing is None else _flat(blocks[site], crossing, target, link) for crossing in (first, last)]
        options += [ends[0], inner[site], ends[1]]
    crossings = [crossing for pair in zip(route.first, route.last, strict=True) for crossing in pair]
    if any(crossing is not None and not options[3 * (n // 2) + 2 * (n % 2)] for n, crossing in enumerate(crossings)):
        return []
    pieces = [(group, piece) for group, each in enumerate(options) for piece in each]
    program = pyo.ConcreteModel(name="sites")
    program.z = pyo.Var(range(len(pieces)), domain=pyo.NonNegativeIntegers)
    variables = list(program.z.values())
    program.once = pyo.Constraint(range(len(options)))
    for group, each in enumerate(options):
        if group % 3 != 1 and each:
            row = [(1.0, v) for (g, _), v in zip(pieces, variables, strict=True) if g == group]
            program.once[group] = linear(row) == 1.0
    program.nodes = pyo.Constraint(range(len(route.sites)), range(max(len(b.instance.kinds) for b in blocks.values())))
    for place, site in enumerate(route.sites):
        for number, kind in enumerate(blocks[site].instance.kinds):
            row = [
                (float(piece.shape[number]), v)
                for (_, piece), v in zip(pieces, variables, strict=True)
                if piece.site == site and piece.shape[number]
            ]
            if row:
                program.nodes[place, number] = linear(row) <= float(kind.nodes)
    covered = [(-float(piece.layers), v) for (_, piece), v in zip(pieces, variables, strict=True)]
    if not covered:
        return []
    program.covered = pyo.Objective(expr=linear(covered))
    matrix = compile_program(program)
    upper = np.minimum(matrix.upper, float(sum(k.nodes for b in blocks.values() for k in b.instance.kinds)))
    outcome = Solver(matrix).minimise(matrix.objectives["covered"], matrix.lower, upper, Limits(seconds=2.0, gap=0.0))
    layers = next(iter(blocks.values())).instance.layers
    if outcome.values is None or -outcome.objective < layers - 0.5:
        return []
    counts = np.rint(outcome.values).astype(int)
    return _trimmed([piece for (_, piece), n in zip(pieces, counts, strict=True) for _ in range(n)], layers)


def _flat(blocks: Blocks, crossing: Crossing, target: float, link: float) -> list[Piece]:
    """Crossing blocks with so many nodes, each with the most layers at which it still reaches the target."""
    most = crossing.others * link
    found = []
    for shape in blocks.throughput:
        if sum(shape) != crossing.nodes:
            continue
        deepest = min(len(kind.throughput) for kind, n in zip(blocks.instance.kinds, shape, strict=True) if n)
        for k in range(min(deepest, blocks.instance.layers), 0, -1):
            each = zip(blocks.instance.kinds, shape, strict=True)
            if sum(n * min(kind.throughput[k - 1], most) for kind, n in each if n) >= target:
                found.append(Piece(site=crossing.site, shape=shape, layers=k, flat=True))
                break
    return found


def _trimmed(pieces: Sequence[Piece], layers: int) -> list[Piece]:
    """The same with as many layers as there are: fewer in a block only make it faster."""
    over = sum(piece.layers for piece in pieces) - layers
    kept = []
    for piece in pieces:
        less = min(over, piece.layers - (1 if piece.flat else 0))
        over -= less
        if piece.layers > less:
            kept.append(Piece(site=piece.site, shape=piece.shape, layers=piece.layers - less, flat=piece.flat))
    return kept if over == 0 else []


def _held(instance: Instance, blocks: Mapping[int, Blocks], plan: Sequence[Piece]) -> tuple[Held, ...]:
    """Nodes with their layers, kinds numbered as in the whole instance."""
    held: list[Held] = []
    start = 0
    for piece in plan:
        numbers = [number for number, kind in enumerate(instance.kinds) if kind.site == piece.site]
        if piece.flat:
            held += [
                Held(kind=numbers[local], start=start, layers=piece.layers)
                for local, count in enumerate(piece.shape)
                for _ in range(count)
            ]
        else:
            inner = blocks[piece.site].arranged(piece.shape, piece.layers, start)
            held += [Held(kind=numbers[each.kind], start=each.start, layers=each.layers) for each in inner]
        start += piece.layers
    return tuple(held)
