"""The sets of the program: columns x, supplies y and the packing rows between them, as arrays.

A problem is reduced here without loss: demands at rate zero, templates that another dominates, columns that no node
can hold and supplies that no column needs are left out. What remains is indexed by small integers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from atoll.domain.demand import DemandKey, Placement
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import Supply
from atoll.domain.problem import DemandRow, Problem, ReplicaGroup
from atoll.domain.strategy import Strategy, Template

SECONDS_PER_HOUR = 3600.0

Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Domain:
    """The topology that a replica may not cross: a zone of a region."""

    region: str
    zone: str


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
    """

    key: DemandKey
    rate: float
    priority: int
    placement: Placement
    templates: tuple[Template, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One x[m,t,z,a]: replicas of a template in a domain and capacity class.

    Attributes:
        demand: index of the demand.
        label: readable name of the template within the demand, its strategy's id.
        template: index of the template within the demand.
        domain: where.
        capacity_type: on which terms.
        share: share of the demand that one replica serves, 1 = all of it; may exceed 1.
        pods: stage pods as (group, width in GPUs, count).
        upper: more replicas than this are never of use.
        start_charge: cost of starting one replica, spread over the horizon, US$/h.
    """

    demand: int
    label: str
    template: int
    domain: Domain
    capacity_type: CapacityType
    share: float
    pods: tuple[tuple[int, int, int], ...]
    upper: int
    start_charge: float

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return sum(width * count for _, width, count in self.pods)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Replicas that run now and that a plan can keep.

    Attributes:
        column: index of the column that they are of.
        group: the replicas.
    """

    column: int
    group: ReplicaGroup


@dataclass(frozen=True, kw_only=True)
class Sets:
    """Everything that the program is indexed by; see the attributes of its parts.

    Attributes:
        demands: demands above zero.
        groups: packing groups.
        columns: the x of the program.
        supplies: the y of the program.
        supply_group: packing group of each supply.
        running: replicas that run now and can be kept.
        budget: most that the fleet may cost, US$/h.
    """

    demands: tuple[Wanted, ...]
    groups: tuple[Group, ...]
    columns: tuple[Column, ...]
    supplies: tuple[Supply, ...]
    supply_group: tuple[int, ...]
    running: tuple[Running, ...] = ()
    budget: float = field(default=float("inf"))

    @cached_property
    def priorities(self) -> tuple[int, ...]:
        """Priorities that occur, high to low."""
        return tuple(sorted({wanted.priority for wanted in self.demands}, reverse=True))

    @cached_property
    def rows(self) -> tuple[tuple[int, int], ...]:
        """Packing rows as (group, width): one for each width in use in the group."""
        return tuple(sorted({(group, width) for column in self.columns for group, width, _ in column.pods}))

    @cached_property
    def row_index(self) -> Mapping[tuple[int, int], int]:
        """Number of a packing row."""
        return {row: number for number, row in enumerate(self.rows)}

    @cached_property
    def rows_of_group(self) -> tuple[tuple[int, ...], ...]:
        """Packing rows of each group, narrow to wide."""
        found: list[list[int]] = [[] for _ in self.groups]
        for number, (group, _) in enumerate(self.rows):
            found[group].append(number)
        return tuple(tuple(rows) for rows in found)

    @cached_property
    def supplies_of_group(self) -> tuple[tuple[int, ...], ...]:
        """Supplies of each group."""
        found: list[list[int]] = [[] for _ in self.groups]
        for number, group in enumerate(self.supply_group):
            found[group].append(number)
        return tuple(tuple(supplies) for supplies in found)

    @cached_property
    def slots(self) -> Floats:
        """floor(G_p / s) by supply and packing row; 0 where the supply is of another group."""
        slots = np.zeros((len(self.supplies), len(self.rows)))
        for number, supply in enumerate(self.supplies):
            for row in self.rows_of_group[self.supply_group[number]]:
                slots[number, row] = supply.gpus // self.rows[row][1]
        return slots

    @cached_property
    def loads(self) -> tuple[Mapping[int, float], ...]:
        """What one replica of each column asks of each packing row: sum over its pods of tp / s for s up to tp."""
        loads = []
        for column in self.columns:
            load: dict[int, float] = {}
            for group, width, count in column.pods:
                for row in self.rows_of_group[group]:
                    if (narrow := self.rows[row][1]) <= width:
                        load[row] = load.get(row, 0.0) + count * (width // narrow)
            loads.append(load)
        return tuple(loads)

    @cached_property
    def price(self) -> Floats:
        """US$ per node and hour of each supply."""
        return np.array([supply.price_per_hour for supply in self.supplies], dtype=float)

    @cached_property
    def obtainable(self) -> Ints:
        """Most nodes of each supply."""
        return np.array([supply.obtainable for supply in self.supplies], dtype=np.int64)

    @cached_property
    def demand_of(self) -> Ints:
        """Demand of each column."""
        return np.array([column.demand for column in self.columns], dtype=np.int64)

    @cached_property
    def share(self) -> Floats:
        """Share of its demand that one replica of each column serves."""
        return np.array([column.share for column in self.columns], dtype=float)

    @cached_property
    def upper(self) -> Ints:
        """Most replicas of each column."""
        return np.array([column.upper for column in self.columns], dtype=np.int64)

    @cached_property
    def spot(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Whether each column is on spot."""
        return np.array([column.capacity_type is CapacityType.SPOT for column in self.columns], dtype=bool)

    @cached_property
    def gpus(self) -> Ints:
        """GPUs of one replica of each column."""
        return np.array([column.gpus for column in self.columns], dtype=np.int64)

    def load_of(self, counts: Ints) -> Floats:
        """Left side of each packing row at these replica counts."""
        load = np.zeros(len(self.rows))
        for number in np.flatnonzero(counts):
            for row, amount in self.loads[number].items():
                load[row] += amount * counts[number]
        return load


def sets_of(problem: Problem, *, prune: bool = True) -> Sets:
    """Index a problem.

    Args:
        problem: what is to be decided.
        prune: leave out dominated templates (lossless; off only to test that it is).
    """
    demands = tuple(_wanted(row) for row in problem.demands if row.rate > 0.0)
    supplies = tuple(supply for supply in problem.supplies if supply.obtainable > 0 and supply.gpus > 0)
    by_group: dict[Group, list[Supply]] = {}
    for supply in supplies:
        by_group.setdefault(group_of(supply), []).append(supply)
    kept = {(group.demand, group.strategy): 0 for group in problem.running}
    for group in problem.running:
        kept[group.demand, group.strategy] += group.count
    groups = tuple(sorted(by_group))
    number_of = {group: number for number, group in enumerate(groups)}
    places = sorted({(group.domain, group.capacity_type) for group in groups})
    columns: list[Column] = []
    for index, wanted in enumerate(demands):
        usable = _undominated(wanted, kept) if prune else range(len(wanted.templates))
        fitting = [number for number in usable if _is_sound(wanted.templates[number], wanted.placement)]
        for domain, capacity_type in places:
            if not _admits(wanted.placement, domain, capacity_type):
                continue
            for number in fitting:
                template = wanted.templates[number]
                strategy = template.strategy
                need = {
                    Group(gpu_kind=kind, domain=domain, capacity_type=capacity_type): count
                    for kind, count in strategy.need.items()
                }
                most = min((_most_pods(by_group.get(g, []), strategy.tp) // n for g, n in need.items()), default=0)
                if most < 1:
                    continue
                share = template.rate / wanted.rate
                useful = max(int(np.ceil(1.0 / share - 1e-12)), wanted.placement.min_replicas, 1)
                columns.append(
                    Column(
                        demand=index,
                        label=strategy.id,
                        template=number,
                        domain=domain,
                        capacity_type=capacity_type,
                        share=share,
                        pods=tuple((number_of[g], strategy.tp, n) for g, n in need.items()),
                        upper=min(most, max(useful, kept.get((wanted.key, strategy), 0))),
                        start_charge=_start_charge(template, need, by_group, problem.policy.horizon_hours),
                    )
                )
    return _assemble(demands, groups, columns, supplies, problem)


def group_of(supply: Supply) -> Group:
    """The packing group of a supply."""
    domain = Domain(region=supply.region, zone=supply.zone)
    return Group(gpu_kind=supply.gpu_kind, domain=domain, capacity_type=supply.capacity_type)


def start_cost(template: Template, site: Iterable[Supply]) -> float:
    """Cost of starting one replica: its share of its nodes' price while nothing is served, US$.

    Nodes come up and pods start side by side, so the slowest node counts, then image, weights and engine
    (design section 5, stability: a start is charged by its phases).
    """
    stages = tuple(site)
    seconds = template.startup_seconds + max(supply.startup_seconds for supply in stages)
    price = sum(supply.price_per_hour * template.strategy.tp / supply.gpus for supply in stages)
    return price * seconds / SECONDS_PER_HOUR


def _wanted(row: DemandRow) -> Wanted:
    templates = tuple({template.strategy: template for template in reversed(row.templates)}.values())[::-1]
    return Wanted(key=row.key, rate=row.rate, priority=row.priority, placement=row.placement, templates=templates)


def _admits(placement: Placement, domain: Domain, capacity_type: CapacityType) -> bool:
    return (not placement.regions or domain.region in placement.regions) and (
        not placement.capacity_types or capacity_type in placement.capacity_types
    )


def _is_sound(template: Template, placement: Placement) -> bool:
    """Packing rows are exact for power-of-two widths only; a template without rate serves nobody."""
    strategy = template.strategy
    return (
        template.rate > 0.0
        and strategy.tp > 0
        and strategy.tp & (strategy.tp - 1) == 0
        and (not placement.gpu_kinds or placement.gpu_kinds.issuperset(strategy.need))
    )


def _most_pods(supplies: Iterable[Supply], width: int) -> int:
    return sum(supply.obtainable * (supply.gpus // width) for supply in supplies)


def _start_charge(
    template: Template, need: Mapping[Group, int], by_group: Mapping[Group, list[Supply]], horizon_hours: float
) -> float:
    """Cost of a start at the cheapest, quickest supplies of the groups, spread over the horizon, US$/h."""
    width = template.strategy.tp
    price = seconds = 0.0
    for group, count in need.items():
        fitting = [supply for supply in by_group[group] if supply.gpus >= width]
        price += count * width * min(supply.price_per_hour / supply.gpus for supply in fitting)
        seconds = max(seconds, min(supply.startup_seconds for supply in fitting))
    return price * (template.startup_seconds + seconds) / SECONDS_PER_HOUR / horizon_hours


def _undominated(wanted: Wanted, kept: Mapping[tuple[DemandKey, Strategy], int]) -> list[int]:
    """Templates for which no other delivers at least as much for no more of anything.

    With one width per strategy the cumulative need at width s is count x tp for s up to tp, so another dominates
    if it is no wider and asks for no more GPUs of any kind. Equal templates keep the first.
    """
    templates = wanted.templates
    kinds = sorted({kind for template in templates for kind in template.strategy.need})
    gpus = np.array([[t.strategy.need.get(kind, 0) * t.strategy.tp for kind in kinds] for t in templates], dtype=float)
    width = np.array([template.strategy.tp for template in templates], dtype=float)
    rate = np.array([template.rate for template in templates], dtype=float)
    startup = np.array([template.startup_seconds for template in templates], dtype=float)
    survivors = []
    for number, template in enumerate(templates):
        if (wanted.key, template.strategy) in kept:
            survivors.append(number)
            continue
        no_worse = (
            (rate >= rate[number])
            & (width <= width[number])
            & (startup <= startup[number])
            & (gpus <= gpus[number]).all(axis=1)
        )
        better = (
            (rate > rate[number])
            | (width < width[number])
            | (startup < startup[number])
            | (gpus < gpus[number]).any(axis=1)
            | (np.arange(len(templates)) < number)
        )
        if not (no_worse & better).any():
            survivors.append(number)
    return survivors


def _assemble(
    demands: tuple[Wanted, ...],
    groups: tuple[Group, ...],
    columns: list[Column],
    supplies: tuple[Supply, ...],
    problem: Problem,
) -> Sets:
    narrowest: dict[int, int] = {}
    for column in columns:
        for group, width, _ in column.pods:
            narrowest[group] = min(width, narrowest.get(group, width))
    number_of = {group: number for number, group in enumerate(groups)}
    used = [s for s in supplies if s.gpus >= narrowest.get(number_of[group_of(s)], s.gpus + 1)]
    column_of = {
        (demands[c.demand].key, c.label, c.domain.zone, c.capacity_type, c.domain.region): number
        for number, c in enumerate(columns)
    }
    region_of = {supply.offering: supply.region for supply in used}
    running = []
    for replicas in problem.running:
        first = replicas.site.offerings[0]
        place = (replicas.demand, replicas.strategy.id, first.zone, first.capacity_type, region_of.get(first, ""))
        if place in column_of and all(offering in region_of for offering in replicas.site.offerings):
            running.append(Running(column=column_of[place], group=replicas))
    return Sets(
        demands=demands,
        groups=groups,
        columns=tuple(columns),
        supplies=tuple(used),
        supply_group=tuple(number_of[group_of(supply)] for supply in used),
        running=tuple(running),
        budget=problem.policy.budget_per_hour,
    )
