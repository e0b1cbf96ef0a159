"""The joint problem in one piece, by brute force: every multiset of replicas, every set of nodes.

Knows nothing of packing rows, dominance or programs: replicas are placed on nodes pod by pod.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement, product

from atoll.domain.strategy import Template

Pods = tuple[tuple[str, int], ...]
"""Stage pods as (GPU kind, width), sorted."""


@dataclass(frozen=True)
class NodeType:
    kind: str
    gpus: int
    price: float
    most: int


def cheapest(
    demands: Sequence[tuple[float, Sequence[Template]]], nodes: Sequence[NodeType], most_replicas: int
) -> float:
    """Least US$/h at which all demands are served; infinity where they cannot be."""
    covers = [sorted(_covers(rate, templates, most_replicas)) for rate, templates in demands]
    together = {tuple(sorted(sum(chosen, ()))) for chosen in product(*covers)}
    return min((_cost(pods, tuple(nodes)) for pods in together), default=float("inf"))


def _covers(rate: float, templates: Sequence[Template], most_replicas: int) -> set[Pods]:
    """Pods of every multiset of replicas that serves the demand."""
    covers = set()
    for count in range(1, most_replicas + 1):
        for chosen in combinations_with_replacement(templates, count):
            if sum(template.rate for template in chosen) >= rate * (1 - 1e-9):
                pods = [
                    (stage.gpu_kind, template.strategy.tp) for template in chosen for stage in template.strategy.stages
                ]
                covers.add(tuple(sorted(pods)))
    return covers


def _cost(pods: Pods, nodes: tuple[NodeType, ...]) -> float:
    total = 0.0
    for kind in {kind for kind, _ in pods}:
        widths = tuple(sorted((width for of, width in pods if of == kind), reverse=True))
        total += _cost_of_kind(widths, tuple(node for node in nodes if node.kind == kind))
    return total


@cache
def _cost_of_kind(widths: tuple[int, ...], nodes: tuple[NodeType, ...]) -> float:
    best = float("inf")
    for counts in product(*(range(node.most + 1) for node in nodes)):
        price = sum(count * node.price for count, node in zip(counts, nodes, strict=True))
        free = tuple(sorted(node.gpus for count, node in zip(counts, nodes, strict=True) for _ in range(count)))
        if price < best and _fit(widths, free):
            best = price
    return best


@cache
def _fit(widths: tuple[int, ...], free: tuple[int, ...]) -> bool:
    """Whether the pods can be put on the nodes, trying every node for each."""
    if not widths:
        return True
    return any(
        _fit(widths[1:], tuple(sorted((*free[:place], gpus - widths[0], *free[place + 1 :]))))
        for place, gpus in _distinct(free)
        if gpus >= widths[0]
    )


def _distinct(free: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    seen: set[int] = set()
    for place, gpus in enumerate(free):
        if gpus not in seen:
            seen.add(gpus)
            yield place, gpus
