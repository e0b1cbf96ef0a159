"""A feasible plan within tens of milliseconds: cheapest nodes per unit of demand, then limits, then trimming."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from atoll.domain.demand import Loss
from atoll.optimize.nodes import close_nodes, nodes_for, open_nodes
from atoll.optimize.plan import Plan, carried_after_loss, missing_of, served
from atoll.optimize.scarcity import COVER_TOLERANCE
from atoll.optimize.sets import Floats, Ints, Sets

FREE_SLOT = 1e-3
"""Price of a slot on a node already in use, as a share of its usual price: filling free GPUs comes first."""


@dataclass(slots=True, kw_only=True)
class _Build:
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

    def copy(self) -> "_Build":
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
            score = price / np.minimum(sets.share[columns], lacking)
            best = int(columns[int(np.argmin(score))])
            if not np.isfinite(score.min()):
                return
            room = int(sets.upper[best] - self.counts[best])
            count = min(room, max(1, int(lacking / sets.share[best] + 1e-9)))
            while count and not self.add(best, count):
                count //= 2
            if not count:
                self.barred[best] = True
                continue
            lacking -= count * float(sets.share[best])


def greedy(
    sets: Sets,
    *,
    start: Plan | None = None,
    choices: Sequence[Sequence[Ints]] | None = None,
    origin: str = "greedy",
) -> Plan:
    """A plan by cheapest nodes per unit of demand, highest priority first.

    Args:
        sets: what can be had.
        start: a plan that fits, of which nothing is taken out.
        choices: per demand, sets of columns of which one may be used; nothing for all columns.
        origin: one word for the plan.
    """
    width = max((len(column.pods) for column in sets.columns), default=1)
    pod_row: Ints = np.full((len(sets.columns), width), len(sets.rows), dtype=np.int64)
    pod_count: Floats = np.zeros((len(sets.columns), width))
    for number, column in enumerate(sets.columns):
        for place, (group, pod_width, count) in enumerate(column.pods):
            pod_row[number, place] = sets.row_index[group, pod_width]
            pod_count[number, place] = count
    begin = nothing(sets) if start is None else start
    build = _Build(
        sets=sets,
        counts=begin.counts.copy(),
        nodes=begin.nodes.copy(),
        load=sets.load_of(begin.counts),
        pod_row=pod_row,
        pod_count=pod_count,
        barred=np.zeros(len(sets.columns), dtype=bool),
    )
    for number in sorted(range(len(sets.demands)), key=lambda number: -sets.demands[number].priority):
        if choices is None:
            _serve(build, number, np.flatnonzero(sets.demand_of == number))
        elif choices[number]:
            tried: list[tuple[float, float, int, _Build]] = []
            for own in choices[number]:
                trial = build.copy()
                _serve(trial, number, own)
                lacking = max(0.0, 1.0 - float(served(sets, trial.counts)[number]))
                tried.append((lacking, float(trial.nodes @ sets.price), len(tried), trial))
            build = min(tried, key=lambda item: item[:3])[3]
    return trimmed(sets, Plan(counts=build.counts, nodes=build.nodes, origin=origin), begin)


def nothing(sets: Sets) -> Plan:
    """No replicas on no nodes."""
    return Plan(
        counts=np.zeros(len(sets.columns), dtype=np.int64),
        nodes=np.zeros(len(sets.supplies), dtype=np.int64),
        origin="greedy",
    )


def _serve(build: _Build, demand: int, own: Ints) -> None:
    """Cover a demand from its own columns, its steady part and first choices first, then what its limits lack."""
    sets = build.sets
    placement = sets.demands[demand].placement
    if placement.spot_share < 1.0:
        steady = own[~sets.spot[own]]
        _cover(build, steady, 1.0 - placement.spot_share, placement.steps)
    _cover(build, own, 1.0, placement.steps)
    for _ in range(placement.min_replicas + placement.min_domains):
        missing = missing_of(sets, build.counts, demand)
        if not (missing.replicas or missing.domains or missing.spot):
            break
        allowed = own[build.counts[own] < sets.upper[own]]
        if missing.domains:
            taken = {sets.columns[number].domain for number in own if build.counts[number]}
            allowed = np.array([number for number in allowed if sets.columns[number].domain not in taken], dtype=int)
        price = (build.prices[build.pod_row[allowed]] * build.pod_count[allowed]).sum(axis=1)
        for place in np.argsort(price, kind="stable")[:20]:
            if np.isfinite(price[place]) and build.add(int(allowed[place]), 1):
                break
        else:
            break
    _harden(build, demand, own)


def _harden(build: _Build, demand: int, own: Ints) -> None:
    """Add what is missing after the worst loss that a demand is to survive, loss after loss."""
    sets, placement = build.sets, build.sets.demands[demand].placement
    if placement.survive is Loss.NONE:
        return
    for _ in range(len(own) + 1):
        carried, worst = carried_after_loss(sets, build.counts, demand)
        lacking = placement.survive_share - carried
        if placement.survive is Loss.REPLICA:
            largest = float(sets.share[own[build.counts[own] > 0]].max(initial=0.0))
            safe = own[sets.share[own] <= largest]
        else:
            safe = np.array([number for number in own.tolist() if worst not in sets.losses[number]], dtype=np.int64)
        before = int(build.counts.sum())
        build.fill(safe, lacking)
        if int(build.counts.sum()) == before:
            return


def _cover(build: _Build, columns: Ints, least: float, steps: Sequence[tuple[int, float]]) -> None:
    """Have columns carry a share of their demand, those of a rank below each step first."""
    sets = build.sets
    for step, due in (*steps, (np.inf, 1.0)):
        own = columns[sets.rank[columns] < step]
        lacking = least - float((build.counts[columns] * sets.share[columns]).sum())
        build.fill(own, min(lacking, due - float((build.counts[own] * sets.share[own]).sum())))


def trimmed(sets: Sets, plan: Plan, floor: Plan) -> Plan:
    """Take out replicas that nothing needs, dearest first, and the nodes that are then empty.

    Args:
        sets: what can be had.
        plan: that fits.
        floor: replicas and nodes that stay.
    """
    counts, share = plan.counts.copy(), served(sets, plan.counts)
    for number in sorted(np.flatnonzero(counts > floor.counts), key=lambda column: -sets.gpus[column]):
        demand = int(sets.demand_of[number])
        while counts[number] > floor.counts[number]:
            if share[demand] - sets.share[number] < 1.0 - COVER_TOLERANCE / 2:
                break
            before = missing_of(sets, counts, demand)
            counts[number] -= 1
            if any(now > was for now, was in zip(missing_of(sets, counts, demand), before, strict=True)):
                counts[number] += 1
                break
            share[demand] -= sets.share[number]
    load = sets.load_of(counts)
    nodes = plan.nodes.copy()
    close_nodes(sets, nodes, load, floor.nodes)
    again = nodes_for(sets, load) if not floor.nodes.any() else None
    if again is not None and again @ sets.price < nodes @ sets.price - 1e-12:
        nodes = again
    return Plan(counts=counts, nodes=nodes, origin=plan.origin)
