"""A plan under construction: replicas are added one sort after the other, with the nodes that they need."""

from dataclasses import dataclass, field, replace

import numpy as np

from atoll.domain.strategy import Phase
from atoll.optimize.carried import carried, shared_out
from atoll.optimize.nodes import open_nodes
from atoll.optimize.scarcity import COVER_TOLERANCE
from atoll.optimize.sets import Floats, Ints, Sets
from atoll.optimize.space import alone

FREE_SLOT = 1e-3
"""Price of a slot on a node already in use, as a share of its usual price: filling free GPUs comes first."""


@dataclass(slots=True, kw_only=True)
class Build:
    """A plan under construction."""

    sets: Sets
    counts: Ints
    nodes: Ints
    load: Floats
    pod_row: Ints
    pod_count: Floats
    barred: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    prices: Floats = field(init=False)
    quota_left: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.quota_left = dict(self.sets.quota_left(self.counts))
        self.prices = np.zeros(len(self.sets.rows) + 1)
        for group in range(len(self.sets.groups)):
            self.reprice(group)

    def copy(self) -> "Build":
        """The same, to be built on apart."""
        return replace(
            self, counts=self.counts.copy(), nodes=self.nodes.copy(), load=self.load.copy(), barred=self.barred.copy()
        )

    def reprice(self, group: int) -> None:
        """Price of one pod by width: of the cheapest node slot to be had, or next to nothing where one is free."""
        sets = self.sets
        supplies = np.array(sets.supplies_of_group[group], dtype=np.int64)
        rows = sets.rows_of_group[group]
        if not rows or not supplies.size:
            return
        spare = {row: float(self.nodes[supplies] @ sets.slots[supplies, row]) - self.load[row] for row in rows}
        left = sets.obtainable[supplies] > self.nodes[supplies]
        for row in rows:
            width = sets.rows[row][1]
            slots = sets.slots[supplies, row]
            usable = left & (slots > 0.0)
            price = float((sets.price[supplies[usable]] / slots[usable]).min()) if usable.any() else np.inf
            if all(spare[narrow] >= width // sets.rows[narrow][1] for narrow in rows if sets.rows[narrow][1] <= width):
                usual = sets.price[supplies[slots > 0.0]] / slots[slots > 0.0]
                price = min(price, FREE_SLOT * float(usual.min()) + 1e-9 * width)
            self.prices[row] = price

    def price(self, column: int) -> float:
        """Of one replica of a column as things stand, US$/h; infinity where no node can be had."""
        return float((self.prices[self.pod_row[column]] * self.pod_count[column]).sum())

    def unit_price(self, columns: list[int]) -> float:
        """Of a share of the demand by the cheapest of some columns, US$/h."""
        return min((self.price(number) / float(self.sets.raw[number]) for number in columns), default=float("inf"))

    def add(self, column: int, count: int) -> bool:
        """Add replicas and the nodes that they need; leave everything as it was where those cannot be had.

        Neither is done where the quota of the demand's namespace does not admit them.
        """
        namespace = self.sets.demands[self.sets.columns[column].demand].key.namespace
        gpus = int(self.sets.gpus[column]) * count
        if gpus > self.quota_left.get(namespace, gpus):
            return False
        load = self.load.copy()
        for row, amount in self.sets.loads[column].items():
            load[row] += amount * count
        groups = {group for group, _, _ in self.sets.columns[column].pods}
        nodes = self.nodes.copy()
        if not open_nodes(self.sets, nodes, load, groups):
            return False
        self.nodes, self.load = nodes, load
        self.counts[column] += count
        if namespace in self.quota_left:
            self.quota_left[namespace] -= gpus
        for group in groups:
            self.reprice(group)
        return True

    def fill(self, columns: Ints, lacking: float) -> None:
        """Add replicas of these columns, cheapest per share of what is lacking, until nothing is or nothing fits."""
        sets = self.sets
        while lacking > COVER_TOLERANCE and columns.size:
            columns = columns[~self.barred[columns] & (self.counts[columns] < sets.upper[columns])]
            if not columns.size:
                return
            price = (self.prices[self.pod_row[columns]] * self.pod_count[columns]).sum(axis=1)
            score = price / np.minimum(sets.raw[columns], lacking)
            best = int(columns[int(np.argmin(score))])
            if not np.isfinite(score.min()):
                return
            room = int(sets.upper[best] - self.counts[best])
            count = min(room, max(1, int(lacking / sets.raw[best] + 1e-9)))
            while count and not self.add(best, count):
                count //= 2
            if not count:
                self.barred[best] = True
                continue
            lacking -= count * float(sets.raw[best])


def fill(build: Build, demand: int, columns: Ints, lacking: float) -> None:
    """Have columns of a demand carry so much more of it, cheapest first, as far as nodes can be had."""
    wanted = build.sets.demands[demand]
    if wanted.is_plain:
        build.fill(columns, lacking)
    elif wanted.classes:
        _fill_classes(build, demand, columns, lacking)
    else:
        _fill_pairs(build, demand, columns, lacking)


def _fill_pairs(build: Build, demand: int, columns: Ints, lacking: float) -> None:
    """Whole replicas, or both sides of the pairs of one domain and variant, whichever are cheapest for their share."""
    sets = build.sets
    sorts: dict[tuple[str, ...], dict[Phase | None, list[int]]] = {}
    for number in columns.tolist():
        column = sets.columns[number]
        strategy = sets.demands[demand].templates[column.template].strategy
        place = (column.domain.region, column.domain.zone, strategy.variant) if strategy.phase else ()
        sorts.setdefault(place, {}).setdefault(strategy.phase, []).append(number)
    usable = {place for place, sides in sorts.items() if not place or len(sides) == len(Phase)}
    while usable and lacking > COVER_TOLERANCE:
        before = carried(sets, build.counts, demand, columns)
        best = min(usable, key=lambda place: (sum(build.unit_price(side) for side in sorts[place].values()), place))
        sides = [np.array(side, dtype=np.int64) for side in sorts[best].values()]
        there = [float((build.counts[side] * sets.raw[side]).sum()) for side in sides]
        for side, own in zip(sides, there, strict=True):
            build.fill(side, min(there) + lacking - own)
        lacking -= carried(sets, build.counts, demand, columns) - before
        usable.discard(best)


def _fill_classes(build: Build, demand: int, columns: Ints, lacking: float) -> None:
    """One sort after the other by its price for what it adds, in halves of what is lacking."""
    sets, wanted = build.sets, build.sets.demands[demand]
    usable = [number for number in columns.tolist() if not build.barred[number]]
    while lacking > COVER_TOLERANCE and usable:
        used = columns[build.counts[columns] > 0]
        left = [
            size - part for size, part in zip(wanted.classes, shared_out(sets, build.counts, demand, used), strict=True)
        ]
        adds = {t: alone(left, wanted.class_shares(t)) for t in {sets.columns[number].template for number in usable}}
        usable = [
            number
            for number in usable
            if adds[sets.columns[number].template] > COVER_TOLERANCE
            and build.counts[number] < sets.upper[number]
            and np.isfinite(build.price(number))
        ]
        if not usable:
            return
        best = min(usable, key=lambda number: (build.price(number) / adds[sets.columns[number].template], number))
        before = carried(sets, build.counts, demand, columns)
        count = max(1, int(lacking / adds[sets.columns[best].template] / 2.0))
        count = min(count, int(sets.upper[best] - build.counts[best]))
        while count and not build.add(best, count):
            count //= 2
        gain = carried(sets, build.counts, demand, columns) - before if count else 0.0
        lacking -= gain
        if gain <= COVER_TOLERANCE:
            usable.remove(best)
