"""What experiments start from: the allocation as a plan of the space, and the choices worth offering beside its own."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from atoll.domain.demand import DemandKey
from atoll.domain.pool import Supply
from atoll.domain.problem import Allocation, Problem, ReplicaGroup
from atoll.optimize.explain.prices import Prices
from atoll.optimize.scarcity import COST, FIX_TOLERANCE, PREFERENCE, most_unserved, shortfall_level
from atoll.optimize.space import Choice, Domain, Floats, Place, Space, space_of

OFFERED = 240
"""Choices offered in an experiment beside the allocation's own, all demands: a neighbourhood's (``improve``)."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """One allocation of one problem, with prices.

    Attributes:
        problem: as it was solved.
        allocation: the answer.
        space: of the problem.
        prices: over the space.
        known: cost of another plan that is known to serve as much, US$/h; infinity for none.
    """

    problem: Problem
    allocation: Allocation
    space: Space
    prices: Prices
    known: float = float("inf")

    @property
    def cost(self) -> float:
        """Cost of the allocation, shortfall that has a price included, US$/h."""
        levels = {level.name: level.value for level in self.allocation.levels}
        return levels.get(COST, self.allocation.cost_per_hour)

    @property
    def value(self) -> float:
        """Cost of the best plan known, US$/h: the allocation's, unless something cheaper is not worth the move."""
        return min(self.known, self.cost)

    @property
    def moved_freely(self) -> Problem:
        """The problem with nothing running: experiments ask what plans cost, not what it costs to get there."""
        return replace(self.problem, running=())

    @property
    def bound(self) -> float:
        """No plan that serves as much costs less, US$/h."""
        return max(self.prices.bound, self.allocation.bound_per_hour)

    def number_of(self, key: DemandKey) -> int | None:
        """Number of a demand in the space; nothing where it wants nothing."""
        return next((n for n, wanted in enumerate(self.space.demands) if wanted.key == key), None)

    @cached_property
    def counts(self) -> Counter[Choice]:
        """Replicas of the allocation by choice."""
        return counts_of(self.space, self.allocation.replicas)

    def nodes(self) -> Counter[Supply]:
        """Nodes of the allocation by supply."""
        used: Counter[Supply] = Counter()
        for use in self.allocation.nodes:
            used[use.supply] += use.nodes
        return used

    def choices(self) -> list[Choice]:
        """The allocation's own, and for every demand those of least reduced cost."""
        each = max(1, OFFERED // max(1, len(self.space.demands)))
        found = list(self.counts)
        for demand, menu in enumerate(self.space.menus):
            reduced = np.where(menu.allowed, menu.load @ self.prices.slots.T, np.inf)
            worth = reduced / np.minimum(menu.share, 1.0)[:, None]
            order = np.argsort(worth, axis=None, kind="stable")[:each]
            lines, places = np.unravel_index(order, worth.shape)
            found += [
                (demand, int(line), int(place))
                for line, place in zip(lines, places, strict=True)
                if menu.allowed[line, place]
            ]
        return list(dict.fromkeys(found))

    def onto(
        self, problem: Problem, space: Space, supply: Supply | None = None, more: Supply | None = None
    ) -> "Ground":
        """The same allocation on another problem of the same demands.

        Args:
            problem: the other one.
            space: of it.
            supply: that is another there.
            more: what it is there.
        """
        slots = np.zeros((len(space.places), len(space.rows)))
        known = {place: number for number, place in enumerate(self.space.places)}
        for number, place in enumerate(space.places):
            if place in known:
                slots[number] = self.prices.slots[known[place]]
        nodes = self.allocation.nodes
        if supply is not None and more is not None:
            nodes = tuple(replace(use, supply=more) if use.supply == supply else use for use in nodes)
        return Ground(
            problem=problem,
            allocation=replace(self.allocation, nodes=nodes),
            space=space,
            prices=replace(self.prices, space=space, slots=slots),
        )


def space_for(problem: Problem, allocation: Allocation) -> Space:
    """The space of a problem; where preferences are kept, without what is no demand's first choice.

    Any plan that keeps them as well costs no less without its other replicas (``decomposition``).
    """
    space = space_of(problem)
    levels = {level.name: level.value for level in allocation.levels}
    return space.within(space.first_choice) if levels.get(PREFERENCE, 0.0) <= FIX_TOLERANCE else space


def needs_of(space: Space, allocation: Allocation) -> Floats:
    """Share of each demand that any plan serves which is no worse in the levels above cost than the allocation."""
    levels = {level.name: level.value for level in allocation.levels}
    needs = np.ones(len(space.demands))
    for number, wanted in enumerate(space.demands):
        if not wanted.is_priced:
            needs[number] -= most_unserved(levels.get(shortfall_level(wanted.priority), 0.0))
    return needs


def counts_of(space: Space, groups: Iterable[ReplicaGroup]) -> Counter[Choice]:
    """Replicas by choice, as far as they are choices of the space."""
    demand_of = {wanted.key: number for number, wanted in enumerate(space.demands)}
    region_of = {supply.offering: supply.region for supply in space.supplies}
    place_of = {place: number for number, place in enumerate(space.places)}
    counts: Counter[Choice] = Counter()
    for group in groups:
        first = group.site.offerings[0]
        domain = Domain(region=region_of.get(first, ""), zone=first.zone)
        place = place_of.get(Place(domain=domain, capacity_type=first.capacity_type))
        demand = demand_of.get(group.demand)
        if place is None or demand is None:
            continue
        menu, templates = space.menus[demand], space.demands[demand].templates
        for line, number in enumerate(menu.templates.tolist()):
            if templates[number].strategy == group.strategy and menu.allowed[line, place]:
                counts[demand, line, place] += group.count
    return counts
