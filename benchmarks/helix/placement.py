"""What a placement carries, found from its nodes alone: the judge of what the search says."""

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
    """Maximum flow from layer 0 to L, in which every node leads from its first layer to behind its last.

    That is Helix's flow: tokens pass from a node to another where the one ends and the other begins, and links carry
    more than nodes. By shortest augmenting paths.

    Raises:
        PlacementError: the placement is none of this instance.
    """
    for number, kind in enumerate(instance.kinds):
        used = sum(held.kind == number for held in placement)
        if used > kind.nodes:
            raise PlacementError(f"{used} nodes of {kind.name}: there are {kind.nodes}")
    capacity: dict[int, dict[int, float]] = {}
    for held in placement:
        kind, end = instance.kinds[held.kind], held.start + held.layers
        if not 0 <= held.start < end <= instance.layers or held.layers > len(kind.throughput):
            raise PlacementError(f"{kind.name} cannot hold layers {held.start} to {end - 1} of {instance.layers}")
        out = capacity.setdefault(held.start, {})
        out[end] = out.get(end, 0.0) + kind.throughput[held.layers - 1]
        capacity.setdefault(end, {})
    left = {tail: dict(heads) for tail, heads in capacity.items()}
    total = 0.0
    while path := _path(left, instance.layers):
        amount = min(left[tail][head] for tail, head in path)
        total += amount
        for tail, head in path:
            left[tail][head] -= amount
            if left[tail][head] <= 1e-9 * amount:
                left[tail][head] = 0.0
            left[head][tail] = left[head].get(tail, 0.0) + amount
    passed = sum(
        max(0.0, amount - left[tail][head]) for tail, heads in capacity.items() for head, amount in heads.items()
    )
    return Carried(throughput=total, mean_hops=passed / total if total else 0.0)


def _path(left: Mapping[int, Mapping[int, float]], goal: int) -> list[tuple[int, int]]:
    """Shortest path from layer 0 with something left; empty where there is none."""
    reached: dict[int, int] = {0: 0}
    queue = deque([0])
    while queue and goal not in reached:
        tail = queue.popleft()
        for head, amount in left.get(tail, {}).items():
            if amount > 0.0 and head not in reached:
                reached[head] = tail
                queue.append(head)
    if goal not in reached:
        return []
    path, head = [], goal
    while head:
        path.append((reached[head], head))
        head = reached[head]
    return path[::-1]
