"""A plan placed on nodes: every stage pod on one, kept replicas where they are."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from atoll.domain.pool import OfferingKey
from atoll.domain.problem import NodeUse, ReplicaGroup, ReplicaSite
from atoll.optimize.plan import Plan
from atoll.optimize.sets import Sets


@dataclass(slots=True, kw_only=True)
class _Node:
    """A node with what is free on it, as aligned blocks: 7 GPUs are blocks of 4, 2 and 1."""

    supply: int
    blocks: list[int]

    def take(self, width: int) -> None:
        """Take the smallest block that is wide enough and give back its other half, quarter and so on."""
        block = min(block for block in self.blocks if block >= width)
        self.blocks.remove(block)
        while block > width:
            block //= 2
            self.blocks.append(block)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Replicas and the nodes that they are on.

    Attributes:
        replicas: groups with their sites, those kept first.
        nodes: nodes in use.
        kept: of the replicas, how many run already at the same site.
    """

    replicas: tuple[ReplicaGroup, ...]
    nodes: tuple[NodeUse, ...]
    kept: int


def place(sets: Sets, plan: Plan) -> Placed:
    """Pack a plan's stage pods onto its nodes.

    Running replicas of the plan keep their sites as far as its nodes have room there. Then the rest, widest pods
    first, each on the smallest block that holds it: exact for power-of-two widths, so pods that satisfy the packing
    rows always find room.

    Args:
        sets: what the plan is over.
        plan: that fits.
    """
    nodes = [
        _Node(supply=number, blocks=_blocks(sets.supplies[number].gpus))
        for number, count in enumerate(plan.nodes)
        for _ in range(count)
    ]
    left = {number: int(count) for number, count in enumerate(plan.counts) if count}
    placed: Counter[tuple[int, tuple[OfferingKey, ...]]] = Counter()
    used: set[int] = set()
    of_offering: dict[OfferingKey, list[int]] = {}
    for number, node in enumerate(nodes):
        of_offering.setdefault(sets.supplies[node.supply].offering, []).append(number)
    kept = 0
    for running in sorted(sets.running, key=lambda running: -running.group.strategy.tp):
        for _ in range(min(running.group.count, left.get(running.column, 0))):
            chosen = _seat(nodes, running.group.site.offerings, of_offering, running.group.strategy.tp)
            if chosen is None:
                break
            used.update(chosen)
            left[running.column] -= 1
            kept += 1
            placed[running.column, running.group.site.offerings] += 1
    sites = _seat_new(sets, nodes, left, used)
    for column, stages in sites:
        placed[column, stages] += 1
    replicas = tuple(_group(sets, column, offerings, count) for (column, offerings), count in sorted(placed.items()))
    in_use = Counter(nodes[number].supply for number in used)
    return Placed(
        replicas=replicas,
        nodes=tuple(NodeUse(supply=sets.supplies[p], nodes=count) for p, count in sorted(in_use.items())),
        kept=kept,
    )


def packs(pods: Iterable[int], nodes: Iterable[int]) -> bool:
    """Whether pods of power-of-two widths fit nodes of these free GPUs."""
    bins = [_Node(supply=0, blocks=_blocks(gpus)) for gpus in nodes]
    for width in sorted(pods, reverse=True):
        best = _smallest(bins, range(len(bins)), width)
        if best is None:
            return False
        bins[best].take(width)
    return True


def _blocks(gpus: int) -> list[int]:
    return [1 << bit for bit in range(gpus.bit_length()) if gpus >> bit & 1]


def _smallest(nodes: list[_Node], candidates: Iterable[int], width: int) -> int | None:
    """The node with the smallest free block of at least this width."""
    best: tuple[int, int] | None = None
    for number in candidates:
        fitting = [block for block in nodes[number].blocks if block >= width]
        if fitting and (best is None or (min(fitting), number) < best):
            best = (min(fitting), number)
    return None if best is None else best[1]


def _seat(
    nodes: list[_Node], offerings: tuple[OfferingKey, ...], of_offering: Mapping[OfferingKey, list[int]], width: int
) -> list[int] | None:
    """Seat one running replica's stages at their offerings, or nothing of it."""
    chosen: list[int] = []
    before: list[tuple[int, list[int]]] = []
    for offering in offerings:
        best = _smallest(nodes, of_offering.get(offering, []), width)
        if best is None:
            for number, blocks in reversed(before):
                nodes[number].blocks = blocks
            return None
        before.append((best, list(nodes[best].blocks)))
        nodes[best].take(width)
        chosen.append(best)
    return chosen


def _seat_new(
    sets: Sets, nodes: list[_Node], left: Mapping[int, int], used: set[int]
) -> list[tuple[int, tuple[OfferingKey, ...]]]:
    """Seat the stage pods of new replicas, widest first; returns each replica's column and site."""
    of_group: dict[int, list[int]] = {}
    for number, node in enumerate(nodes):
        of_group.setdefault(sets.supply_group[node.supply], []).append(number)
    seats: dict[tuple[int, int], list[int]] = {}
    wanted = sorted(
        (
            (width, column, group, count * left[column])
            for column in left
            for group, width, count in _pods(sets, column)
        ),
        key=lambda pod: (-pod[0], pod[1]),
    )
    for width, column, group, count in wanted:
        for _ in range(count):
            best = _smallest(nodes, of_group.get(group, []), width)
            if best is None:
                raise ValueError(f"pods of {sets.columns[column].label} do not fit their nodes")
            nodes[best].take(width)
            used.add(best)
            seats.setdefault((column, group), []).append(best)
    placed = []
    for column, count in left.items():
        spec = sets.columns[column]
        strategy = sets.demands[spec.demand].templates[spec.template].strategy
        group_of_kind = {sets.groups[group].gpu_kind: group for group, _, _ in spec.pods}
        for _ in range(count):
            stages = tuple(
                sets.supplies[nodes[seats[column, group_of_kind[stage.gpu_kind]].pop(0)].supply].offering
                for stage in strategy.stages
            )
            placed.append((column, stages))
    return placed


def _pods(sets: Sets, column: int) -> tuple[tuple[int, int, int], ...]:
    return sets.columns[column].pods


def _group(sets: Sets, column: int, offerings: tuple[OfferingKey, ...], count: int) -> ReplicaGroup:
    spec = sets.columns[column]
    wanted = sets.demands[spec.demand]
    return ReplicaGroup(
        demand=wanted.key,
        strategy=wanted.templates[spec.template].strategy,
        site=ReplicaSite(offerings=offerings),
        count=count,
    )
