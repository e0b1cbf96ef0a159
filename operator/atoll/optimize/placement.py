"""A plan placed on nodes: every stage pod on one, kept replicas where they are."""

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from atoll.domain.pool import OfferingKey
from atoll.domain.problem import NodeUse, ReplicaGroup, ReplicaSite
from atoll.optimize.plan import Plan
from atoll.optimize.sets import Floats, Running, Sets


@dataclass(slots=True, kw_only=True)
class _Node:
    """A node with what is free on it, as aligned blocks: 7 GPUs are blocks of 4, 2 and 1."""

    supply: int
    group: int
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
        replicas: groups with their sites.
        nodes: nodes in use.
        kept: of the replicas, how many run already at the same site.
    """

    replicas: tuple[ReplicaGroup, ...]
    nodes: tuple[NodeUse, ...]
    kept: int


def place(sets: Sets, plan: Plan) -> Placed:
    """Pack a plan's stage pods onto its nodes.

    Running replicas of the plan keep their sites as far as its nodes have room there and everything else still fits.
    Then the rest, widest pods first, each on the smallest block that holds it: exact for power-of-two widths, so
    pods that satisfy the packing rows always find room.

    Args:
        sets: what the plan is over.
        plan: that fits.

    Raises:
        ValueError: the plan does not fit.
    """
    seating = _Seating(sets, plan)
    placed: Counter[tuple[int, tuple[OfferingKey, ...]]] = Counter()
    for running in sorted(sets.running, key=lambda running: -running.group.strategy.tp):
        for _ in range(running.group.count):
            if not seating.keep(running):
                break
            placed[running.column, running.group.site.offerings] += 1
    kept = placed.total()
    placed.update(seating.seat_the_rest())
    replicas = tuple(_group(sets, column, offerings, count) for (column, offerings), count in sorted(placed.items()))
    in_use = Counter(seating.nodes[number].supply for number in seating.used)
    return Placed(
        replicas=replicas,
        nodes=tuple(NodeUse(supply=sets.supplies[p], nodes=count) for p, count in sorted(in_use.items())),
        kept=kept,
    )


class _Seating:
    """Stage pods being seated on the nodes of a plan.

    ``spare`` is the slack of each packing row, over what is free and what is not yet seated: while none is below
    zero, all that is left can be seated.
    """

    def __init__(self, sets: Sets, plan: Plan) -> None:
        self.sets = sets
        self.nodes = [
            _Node(supply=number, group=sets.supply_group[number], blocks=_blocks(sets.supplies[number].gpus))
            for number, count in enumerate(plan.nodes)
            for _ in range(count)
        ]
        self.used: set[int] = set()
        self.left = {number: int(count) for number, count in enumerate(plan.counts) if count}
        self.spare = plan.nodes @ sets.slots - sets.load_of(plan.counts)
        self.of_offering: dict[OfferingKey, list[int]] = {}
        for number, node in enumerate(self.nodes):
            self.of_offering.setdefault(sets.supplies[node.supply].offering, []).append(number)

    def keep(self, running: Running) -> bool:
        """Seat one running replica at its site; false, and nothing changed, where that leaves others without room."""
        if not self.left.get(running.column):
            return False
        width = running.group.strategy.tp
        spare = self.spare.copy()
        before: dict[int, list[int]] = {}
        for offering in running.group.site.offerings:
            best = _smallest(self.nodes, self.of_offering.get(offering, []), width)
            if best is None:
                self._restore(before)
                self.spare = spare
                return False
            node = self.nodes[best]
            before.setdefault(best, list(node.blocks))
            self.spare -= self._room(node)
            node.take(width)
            self.spare += self._room(node)
        for row, amount in self.sets.loads[running.column].items():
            self.spare[row] += amount
        if (self.spare < -0.5).any():
            self._restore(before)
            self.spare = spare
            return False
        self.left[running.column] -= 1
        self.used.update(before)
        return True

    def seat_the_rest(self) -> Counter[tuple[int, tuple[OfferingKey, ...]]]:
        """Seat the stage pods of all other replicas, widest first; returns replicas by column and site."""
        columns = self.sets.columns
        wanted = sorted(
            (
                (width, column, group, count * self.left[column])
                for column in self.left
                for group, width, count in columns[column].pods
            ),
            key=lambda pod: (-pod[0], pod[1]),
        )
        seats: dict[tuple[int, int], deque[int]] = {}
        free = _FreeBlocks(self.nodes)
        for width, column, group, count in wanted:
            own = seats.setdefault((column, group), deque())
            for _ in range(count):
                best = free.take(group, width)
                if best is None:
                    raise ValueError(f"pods of {columns[column].label} do not fit their nodes")
                self.used.add(best)
                own.append(best)
        return Counter((column, self._site(column, seats)) for column in self.left for _ in range(self.left[column]))

    def _site(self, column: int, seats: dict[tuple[int, int], deque[int]]) -> tuple[OfferingKey, ...]:
        """The next replica's offerings in the order of its stages."""
        spec = self.sets.columns[column]
        group_of = {self.sets.groups[group].gpu_kind: group for group, _, _ in spec.pods}
        stages = self.sets.demands[spec.demand].templates[spec.template].strategy.stages
        chosen = [seats[column, group_of[stage.gpu_kind]].popleft() for stage in stages]
        return tuple(self.sets.supplies[self.nodes[number].supply].offering for number in chosen)

    def _room(self, node: _Node) -> Floats:
        """Slots free on a node by packing row."""
        room = np.zeros(len(self.sets.rows))
        for row in self.sets.rows_of_group[node.group]:
            width = self.sets.rows[row][1]
            room[row] = sum(block // width for block in node.blocks if block >= width)
        return room

    def _restore(self, blocks: dict[int, list[int]]) -> None:
        for number, before in blocks.items():
            self.nodes[number].blocks = before


class _FreeBlocks:
    """Free blocks of all nodes by group and size: thousands of pods are seated without a look at every node."""

    def __init__(self, nodes: Sequence[_Node]) -> None:
        self._nodes = nodes
        self._heaps: dict[int, dict[int, list[int]]] = {}
        for number, node in enumerate(nodes):
            for block in node.blocks:
                self._heaps.setdefault(node.group, {}).setdefault(block, []).append(number)

    def take(self, group: int, width: int) -> int | None:
        """Take the smallest block that is wide enough, on the first node that has one; returns the node's number."""
        heaps = self._heaps.get(group, {})
        block = min((size for size, heap in heaps.items() if size >= width and heap), default=None)
        if block is None:
            return None
        number = heapq.heappop(heaps[block])
        self._nodes[number].take(width)
        while block > width:
            block //= 2
            heapq.heappush(heaps.setdefault(block, []), number)
        return number


def packs(pods: Iterable[int], nodes: Iterable[int]) -> bool:
    """Whether pods of power-of-two widths fit nodes of these free GPUs."""
    free = _FreeBlocks([_Node(supply=0, group=0, blocks=_blocks(gpus)) for gpus in nodes])
    return all(free.take(0, width) is not None for width in sorted(pods, reverse=True))


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


def _group(sets: Sets, column: int, offerings: tuple[OfferingKey, ...], count: int) -> ReplicaGroup:
    spec = sets.columns[column]
    wanted = sets.demands[spec.demand]
    return ReplicaGroup(
        demand=wanted.key,
        strategy=wanted.templates[spec.template].strategy,
        site=ReplicaSite(offerings=offerings),
        count=count,
    )
