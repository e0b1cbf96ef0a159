"""What stage two chooses from, as arrays: templates by place, supplies and the slots that one asks of the other.

A problem is reduced here without loss: demands at rate zero, templates that another dominates, and combinations of
template and place that no nodes can hold are left out. A fleet of 100 served models in 30 regions has more than a
million combinations, so none is an object here: ``sets_over`` makes objects of those that a program is stated over.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from atoll.domain.demand import DemandKey, Placement
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import Supply
from atoll.domain.problem import DemandRow, Problem
from atoll.domain.strategy import Phase, Strategy, Template
from atoll.optimize.unsurpassed import unsurpassed

Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

Choice = tuple[int, int, int]
"""Replicas of one sort: numbers of the demand, of the template in its menu, and of the place."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Domain:
    """The topology that a replica may not cross: a zone of a region."""

    region: str
    zone: str


EVERYWHERE = Domain(region="", zone="")
"""The one domain of a pooled space."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """Where a replica is: a domain and the capacity class of all its nodes."""

    domain: Domain
    capacity_type: CapacityType


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Group:
    """Where stage pods of one GPU kind are interchangeable: nodes of one domain and capacity class."""

    gpu_kind: str
    domain: Domain
    capacity_type: CapacityType


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A demand above zero.

    Attributes:
        key: namespace and name.
        rate: requests/s wanted.
        priority: higher is served first.
        placement: where replicas may run.
        templates: what a replica can be.
        shortfall_cost: US$/h if nothing is served, where that is weighed against cost; infinity where it is not.
        classes: share of each size class; empty where there is one class.
        is_paired: some templates serve one phase only, paired with others.
    """

    key: DemandKey
    rate: float
    priority: int
    placement: Placement
    templates: tuple[Template, ...]
    shortfall_cost: float = float("inf")
    classes: tuple[float, ...] = ()
    is_paired: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether replicas serve the sum of what each serves."""
        return not (self.classes or self.is_paired)

    def class_shares(self, template: int) -> tuple[float, ...]:
        """Share of the demand that one replica of a template serves if it serves one size class alone, by class."""
        own = self.templates[template]
        return tuple(rate / self.rate for rate in own.class_rates or (own.rate,) * len(self.classes))

    @property
    def is_priced(self) -> bool:
        """Whether its shortfall is part of cost instead of a level of its own."""
        return self.shortfall_cost < float("inf")


@dataclass(frozen=True, kw_only=True)
class Menu:
    """What one demand can choose from.

    Attributes:
        templates: (T,) numbers of the templates within the demand's.
        load: (T, R) slots that one replica asks of each row of its place.
        share: (T,) share of the demand that one replica serves, 1 = all of it; may exceed 1.
        allowed: (T, Q) whether a replica can be at a place at all.
    """

    templates: Ints
    load: Floats
    share: Floats
    allowed: Bools


@dataclass(frozen=True, kw_only=True)
class Space:
    """Everything that can be chosen from.

    Attributes:
        demands: demands above zero.
        places: (Q) domains by capacity class.
        rows: (R) GPU kind and width of a stage pod: the packing rows of each place.
        supplies: (P) nodes that can be had.
        place_of: (P,) place of each supply.
        slots: (P, R) pods of a row that a node holds when nothing else is on it: floor(G / s).
        menus: (M) what each demand chooses from.
        quotas: most GPUs of the demands of a namespace; a namespace that is not there has no quota.
    """

    demands: tuple[Wanted, ...]
    places: tuple[Place, ...]
    rows: tuple[tuple[str, int], ...]
    supplies: tuple[Supply, ...]
    place_of: Ints
    slots: Floats
    menus: tuple[Menu, ...]
    quotas: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def price(self) -> Floats:
        """(P,) US$ per node and hour."""
        return np.array([supply.price_per_hour for supply in self.supplies], dtype=float)

    @cached_property
    def obtainable(self) -> Ints:
        """(P,) most nodes."""
        return np.array([supply.obtainable for supply in self.supplies], dtype=np.int64)

    @cached_property
    def classes(self) -> tuple[CapacityType, ...]:
        """Capacity types of the places, in order."""
        return tuple(sorted({place.capacity_type for place in self.places}))

    @cached_property
    def class_of(self) -> Ints:
        """(Q,) number of each place's capacity type."""
        return np.array([self.classes.index(place.capacity_type) for place in self.places], dtype=np.int64)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Packing groups of the supplies, in order."""
        return tuple(sorted({_group_of(supply) for supply in self.supplies}))

    @cached_property
    def group_of(self) -> Ints:
        """(P,) number of each supply's packing group."""
        number_of = {group: number for number, group in enumerate(self.groups)}
        return np.array([number_of[_group_of(supply)] for supply in self.supplies], dtype=np.int64)

    @cached_property
    def size(self) -> int:
        """Number of choices: columns of the whole program."""
        return sum(int(menu.allowed.sum()) for menu in self.menus)

    def gpus(self, demand: int, line: int) -> int:
        """GPUs of one replica of a template of a demand's menu."""
        return self.demands[demand].templates[int(self.menus[demand].templates[line])].strategy.gpus

    def choices(self) -> list[Choice]:
        """All of them, by demand, place and template."""
        return [
            (demand, int(template), int(place))
            for demand, menu in enumerate(self.menus)
            for place, template in np.argwhere(menu.allowed.T)
        ]

    def only(self, demands: Sequence[int]) -> "Space":
        """The same for some of the demands, in this order."""
        return replace(
            self,
            demands=tuple(self.demands[number] for number in demands),
            menus=tuple(self.menus[number] for number in demands),
        )

    def within(self, places: Callable[[Placement], Bools | None]) -> "Space":
        """The same with demands at some of their places only: (Q,) of each placement, nothing for all of them."""
        menus = []
        for wanted, menu in zip(self.demands, self.menus, strict=True):
            own = places(wanted.placement)
            menus.append(menu if own is None else replace(menu, allowed=menu.allowed & own))
        return replace(self, menus=tuple(menus))

    def first_choice(self, placement: Placement) -> Bools | None:
        """(Q,) places of the first choice among capacity types, where that is to carry everything; else nothing."""
        if (1, 1.0) not in placement.steps:
            return None
        return np.array([placement.rank(place.capacity_type) == 0 for place in self.places], dtype=bool)

    def pooled(self) -> "Space":
        """The same with the domains of a capacity class as one: a relaxation, so a bound of it holds here.

        A replica of several stages may there have them in different domains, and regions that a demand does not
        allow serve it all the same (solver.md, aggregated regions).
        """
        classes, class_of = self.classes, self.class_of
        menus = []
        for menu in self.menus:
            allowed = np.zeros((len(menu.share), len(classes)), dtype=bool)
            for number in range(len(classes)):
                allowed[:, number] = menu.allowed[:, class_of == number].any(axis=1)
            menus.append(replace(menu, allowed=allowed))
        return replace(
            self,
            places=tuple(Place(domain=EVERYWHERE, capacity_type=item) for item in classes),
            place_of=class_of[self.place_of] if len(self.supplies) else self.place_of,
            menus=tuple(menus),
        )


def space_of(problem: Problem, *, prune: bool = True) -> Space:
    """Index a problem.

    Args:
        problem: what is to be decided.
        prune: leave out dominated templates (lossless; off only to test that it is).
    """
    demands = tuple(_wanted(row) for row in problem.demands if row.rate > 0.0)
    supplies = tuple(supply for supply in problem.supplies if supply.obtainable > 0 and supply.gpus > 0)
    places = tuple(sorted({place_of(supply) for supply in supplies}))
    number_of = {place: number for number, place in enumerate(places)}
    usable = _usable(problem, demands, prune=prune)
    shapes = {
        (kind, wanted.templates[number].strategy.tp)
        for wanted, numbers in zip(demands, usable, strict=True)
        for number in numbers
        for kind in wanted.templates[number].strategy.need
    }
    rows = tuple(sorted(shapes))
    width = np.array([tp for _, tp in rows], dtype=np.int64)
    slots = np.zeros((len(supplies), len(rows)))
    for number, supply in enumerate(supplies):
        own = np.array([kind == supply.gpu_kind for kind, _ in rows], dtype=bool)
        slots[number, own] = supply.gpus // width[own]
    home = np.array([number_of[place_of(supply)] for supply in supplies], dtype=np.int64)
    most = np.zeros((len(places), len(rows)))
    np.add.at(most, home, slots * np.array([supply.obtainable for supply in supplies], dtype=float)[:, None])
    menus = tuple(
        _menu(wanted, numbers, places, rows, most, share=relaxed_shares(wanted, numbers, supplies))
        for wanted, numbers in zip(demands, usable, strict=True)
    )
    there = {wanted.key.namespace for wanted in demands}
    return Space(
        demands=demands,
        places=places,
        rows=rows,
        supplies=supplies,
        place_of=home,
        slots=slots,
        menus=menus,
        quotas={quota.namespace: quota.gpus for quota in problem.policy.quotas if quota.namespace in there},
    )


def place_of(supply: Supply) -> Place:
    """The place of a supply's nodes."""
    return Place(domain=Domain(region=supply.region, zone=supply.zone), capacity_type=supply.capacity_type)


def _group_of(supply: Supply) -> Group:
    place = place_of(supply)
    return Group(gpu_kind=supply.gpu_kind, domain=place.domain, capacity_type=place.capacity_type)


def _wanted(row: DemandRow) -> Wanted:
    templates = tuple({template.strategy: template for template in reversed(row.templates)}.values())[::-1]
    return Wanted(
        key=row.key,
        rate=row.rate,
        priority=row.priority,
        placement=row.placement,
        templates=templates,
        shortfall_cost=row.shortfall_price * row.rate,
        classes=tuple(rate / sum(row.classes) for rate in row.classes) if sum(row.classes) > 0.0 else (),
        is_paired=not row.classes and any(template.strategy.phase is not None for template in templates),
    )


def _usable(problem: Problem, demands: Sequence[Wanted], *, prune: bool) -> list[list[int]]:
    """Templates of each demand that can be of use: those that no other surpasses, and those that run."""
    stays: dict[DemandKey, set[Strategy]] = {}
    for group in problem.running:
        stays.setdefault(group.demand, set()).add(group.strategy)
    # Demands for the same templates are many in a large fleet, and to compare 700 templates takes 10 ms.
    known: dict[tuple[int, Placement, tuple[float, ...]], list[int]] = {}
    usable = []
    for row, wanted in zip((row for row in problem.demands if row.rate > 0.0), demands, strict=True):
        same = (id(row.templates), row.placement, row.classes)
        if same not in known:
            numbers = unsurpassed(wanted.templates) if prune else range(len(wanted.templates))
            known[same] = [number for number in numbers if _is_sound(wanted.templates[number], wanted)]
        own = stays.get(wanted.key, set())
        runs = [number for number, each in enumerate(wanted.templates) if own and each.strategy in own]
        usable.append(sorted({*known[same], *(n for n in runs if _is_sound(wanted.templates[n], wanted))}))
    return usable


def _menu(
    wanted: Wanted,
    numbers: list[int],
    places: tuple[Place, ...],
    rows: tuple[tuple[str, int], ...],
    most: Floats,
    *,
    share: Floats,
) -> Menu:
    kinds = {kind: number for number, kind in enumerate(dict.fromkeys(kind for kind, _ in rows))}
    need = np.zeros((len(numbers), len(kinds)), dtype=np.int64)
    tp = np.zeros(len(numbers), dtype=np.int64)
    for line, number in enumerate(numbers):
        strategy = wanted.templates[number].strategy
        tp[line] = strategy.tp
        for kind, count in strategy.need.items():
            need[line, kinds[kind]] = count
    width = np.array([width for _, width in rows], dtype=np.int64)
    kind_of = np.array([kinds[kind] for kind, _ in rows], dtype=np.int64)
    load = (need[:, kind_of] * (tp[:, None] // width)).astype(float)
    admitted = np.array([_admits(wanted.placement, place) for place in places], dtype=bool)
    allowed = np.zeros((len(numbers), len(places)), dtype=bool)
    for place in np.flatnonzero(admitted):
        allowed[:, place] = (load <= most[place]).all(axis=1)
    return Menu(templates=np.array(numbers, dtype=np.int64), load=load, share=share, allowed=allowed)


def relaxed_shares(wanted: Wanted, numbers: Sequence[int], supplies: Sequence[Supply]) -> Floats:
    """(T,) share of a demand that one replica serves, such that no replicas together serve more than their sum.

    That is what each serves, except: of a demand with size classes the most that one replica serves of it when it is
    the only one; and of a pair, which serves the lesser of prefill p and decode d, a part w p and a part (1 - w) d,
    for ``min(p, d) <= w p + (1 - w) d``. The weight w is that at which both sides cost the same, as GPUs cost at least.
    """
    templates = [wanted.templates[number] for number in numbers]
    if wanted.classes:
        return np.array([alone(wanted.classes, wanted.class_shares(number)) for number in numbers], dtype=float)
    share = np.array([template.rate / wanted.rate for template in templates], dtype=float)
    if not wanted.is_paired:
        return share
    price: dict[str, float] = {}
    for supply in supplies:
        price[supply.gpu_kind] = min(supply.price_per_hour / supply.gpus, price.get(supply.gpu_kind, np.inf))
    least = dict.fromkeys(Phase, np.inf)
    for template in templates:
        if template.strategy.phase is not None:
            need = template.strategy.need.items()
            cost = sum(count * template.strategy.tp * price.get(kind, np.inf) for kind, count in need) / template.rate
            least[template.strategy.phase] = min(cost, least[template.strategy.phase])
    total = least[Phase.PREFILL] + least[Phase.DECODE]
    weight = float(np.clip(least[Phase.PREFILL] / total, 0.05, 0.95)) if 0.0 < total < np.inf else 0.5
    parts = {None: 1.0, Phase.PREFILL: weight, Phase.DECODE: 1.0 - weight}
    part: Floats = np.array([parts[template.strategy.phase] for template in templates], dtype=float)
    return share * part


def alone(classes: Sequence[float], shares: Sequence[float]) -> float:
    """Share of a demand that one replica serves alone: its time goes to the classes that it serves fastest."""
    left, total = 1.0, 0.0
    for share, size in sorted(zip(shares, classes, strict=True), reverse=True):
        if share > 0.0:
            served = min(size, left * share)
            left, total = left - served / share, total + served
    return total


def _admits(placement: Placement, place: Place) -> bool:
    return (not placement.regions or place.domain.region in placement.regions) and (
        not placement.capacity_types or place.capacity_type in placement.capacity_types
    )


def _is_sound(template: Template, wanted: Wanted) -> bool:
    """Packing rows are exact for power-of-two widths only; a template without rate serves nobody.

    Size classes are for templates that serve both phases and are rated for all of the classes.
    """
    strategy, placement = template.strategy, wanted.placement
    if wanted.classes:
        rated = len(template.class_rates) in {0, len(wanted.classes)} and min(template.class_rates, default=0.0) >= 0.0
        if strategy.phase is not None or not rated or not any(template.class_rates or (template.rate,)):
            return False
    return (
        template.rate > 0.0
        and strategy.tp > 0
        and strategy.tp & (strategy.tp - 1) == 0
        and (not placement.gpu_kinds or placement.gpu_kinds.issuperset(strategy.need))
    )
