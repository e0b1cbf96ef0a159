"""What a placement carries, found from its nodes alone: the judge of what the search says."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.helix.instance import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A node and the layers that it holds.

    Attributes:
        kind: its number in the instance.
        start: first layer, from 0.
        layers: how many, at least 1.
    """

    kind: int
    start: int
    layers: int


class PlacementError(ValueError):
    """A placement uses nodes that there are not, or layers that a node cannot hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a placement carries.

    Attributes:
        throughput: most tokens/s.
        mean_hops: nodes that a token passes on average in the flow found; 0 without flow.
    """

    throughput: float
    mean_hops: float


def carried(instance: Instance, placement: Sequence[Held]) -> Carried:
    """Maximum flow from layer 0 to L through nodes, each from its first layer to behind its last.

    That is Helix's flow: tokens pass from a node to another where the one ends and the other begins. Links within a
    site carry more than nodes; each link between nodes of two sites carries ``instance.link``. By shortest augmenting
    paths.

    Raises:
        PlacementError: the placement is none of this instance.
    """
    _refuse(instance, placement)
    capacity: _Graph = {}
    for number, held in enumerate(placement):
        kind, end = instance.kinds[held.kind], held.start + held.layers
        _link(capacity, ("at", held.start, kind.site), ("in", number), math.inf)
        _link(capacity, ("in", number), ("out", number), kind.throughput[held.layers - 1])
        _link(capacity, ("out", number), ("at", end, kind.site), math.inf)
        if held.start == 0:
            _link(capacity, _SOURCE, ("at", 0, kind.site), math.inf)
        if end == instance.layers:
            _link(capacity, ("at", end, kind.site), _SINK, math.inf)
        for other, after in enumerate(placement):
            if after.start == end and instance.kinds[after.kind].site != kind.site:
                _link(capacity, ("out", number), ("in", other), instance.link)
    left = {tail: dict(heads) for tail, heads in capacity.items()}
    total = 0.0
    while path := _path(left):
        amount = min(left[tail][head] for tail, head in path)
        total += amount
        for tail, head in path:
            rest = left[tail][head] - amount
            left[tail][head] = rest if rest > 1e-9 * amount else 0.0
            _link(left, head, tail, left.get(head, {}).get(tail, 0.0) + amount)
    passed = sum(left[("out", number)].get(("in", number), 0.0) for number in range(len(placement)))
    return Carried(throughput=total, mean_hops=passed / total if total else 0.0)


_Vertex = tuple[str | int, ...]
_Graph = dict[_Vertex, dict[_Vertex, float]]
_SOURCE: _Vertex = ("source",)
_SINK: _Vertex = ("sink",)


def _refuse(instance: Instance, placement: Sequence[Held]) -> None:
    for number, kind in enumerate(instance.kinds):
        used = sum(held.kind == number for held in placement)
        if used > kind.nodes:
            raise PlacementError(f"{used} nodes of {kind.name}: there are {kind.nodes}")
    for held in placement:
        kind, end = instance.kinds[held.kind], held.start + held.layers
        if not 0 <= held.start < end <= instance.layers or held.layers > len(kind.throughput):
            raise PlacementError(f"{kind.name} cannot hold layers {held.start} to {end - 1} of {instance.layers}")


def _link(graph: _Graph, tail: _Vertex, head: _Vertex, capacity: float) -> None:
    graph.setdefault(tail, {})[head] = capacity
    graph.setdefault(head, {})


def _path(left: Mapping[_Vertex, Mapping[_Vertex, float]]) -> list[tuple[_Vertex, _Vertex]]:
    """Shortest path with something left; empty where there is none."""
    reached: dict[_Vertex, _Vertex] = {_SOURCE: _SOURCE}
    queue = deque([_SOURCE])
    while queue and _SINK not in reached:
        tail = queue.popleft()
        for head, amount in left.get(tail, {}).items():
            if amount > 0.0 and head not in reached:
                reached[head] = tail
                queue.append(head)
    if _SINK not in reached:
        return []
    path, head = [], _SINK
    while head != _SOURCE:
        path.append((reached[head], head))
        head = reached[head]
    return path[::-1]
