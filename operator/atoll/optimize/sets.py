"""The sets of a program: columns x, supplies y and the packing rows between them, as small integers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from atoll.domain.demand import Loss
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import Supply
from atoll.domain.problem import Problem
from atoll.domain.strategy import Template
from atoll.optimize.columns import Column, Group, Running, Size, View
from atoll.optimize.space import Bools, Choice, Domain, Floats, Ints, Place, Space, Wanted, space_of

__all__ = [
    "Column",
    "Domain",
    "Floats",
    "Group",
    "Ints",
    "Running",
    "Sets",
    "Size",
    "View",
    "Wanted",
    "sets_of",
    "sets_over",
]

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Sets:
    """Everything that the program is indexed by; see the attributes of its parts.

    Attributes:
        demands: demands above zero.
        groups: packing groups.
        columns: the x of the program.
        supplies: the y of the program.
        supply_group: packing group of each supply.
        numbers: of the supplies within the space.
        held: slots that others take, by group and width.
        running: replicas that run now and can be kept.
        budget: most that the fleet may cost, US$/h.
        quotas: most GPUs of a namespace's demands, where it has a quota.
    """

    demands: tuple[Wanted, ...]
    groups: tuple[Group, ...]
    columns: tuple[Column, ...]
    supplies: tuple[Supply, ...]
    supply_group: tuple[int, ...]
    numbers: tuple[int, ...] = ()
    held: Mapping[tuple[int, int], float] = field(default_factory=dict)
    running: tuple[Running, ...] = ()
    budget: float = field(default=float("inf"))
    quotas: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def priorities(self) -> tuple[int, ...]:
        """Priorities that occur among demands whose shortfall has no price, high to low."""
        return tuple(sorted({wanted.priority for wanted in self.demands if not wanted.is_priced}, reverse=True))

    @cached_property
    def rows(self) -> tuple[tuple[int, int], ...]:
        """Packing rows as (group, width): one for each width in use in the group."""
        return tuple(sorted({(group, width) for c in self.columns for group, width, _ in c.pods} | set(self.held)))

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
    def raw(self) -> Floats:
        """Share of its demand that one replica of each column serves: of its own phase, where that is one of two."""
        raw = self.share.copy()
        for number, column in enumerate(self.columns):
            wanted = self.demands[column.demand]
            if wanted.is_paired:
                raw[number] = wanted.templates[column.template].rate / wanted.rate
        return raw

    @cached_property
    def upper(self) -> Ints:
        """Most replicas of each column."""
        return np.array([column.upper for column in self.columns], dtype=np.int64)

    @cached_property
    def spot(self) -> Bools:
        """Whether each column is on spot."""
        return np.array([column.capacity_type is CapacityType.SPOT for column in self.columns], dtype=bool)

    @cached_property
    def rank(self) -> Ints:
        """Place of each column's capacity type in its demand's order of preference, 0 = first choice."""
        return np.array([self.demands[c.demand].placement.rank(c.capacity_type) for c in self.columns], dtype=np.int64)

    @cached_property
    def losses(self) -> tuple[tuple[tuple[str, ...], ...], ...]:
        """Names of the losses that take the replicas of each column with them, of those its demand is to survive."""
        found: list[tuple[tuple[str, ...], ...]] = []
        for column in self.columns:
            where = (column.domain.region, column.domain.zone)
            loss = self.demands[column.demand].placement.survive
            if loss is Loss.ZONE:
                found.append((where,))
            elif loss is Loss.SPOT_POOL and column.capacity_type is CapacityType.SPOT:
                found.append(tuple((*where, self.groups[group].gpu_kind) for group, _, _ in column.pods))
            else:
                found.append(())
        return tuple(found)

    @cached_property
    def sizes(self) -> tuple[Size, ...]:
        """Sizes of replicas of the demands that are to survive the loss of one."""
        found: dict[tuple[int, float, int], list[int]] = {}
        for number, column in enumerate(self.columns):
            placement = self.demands[column.demand].placement
            if placement.survive is Loss.REPLICA:
                share = min(column.share, placement.survive_share)
                apart = -1 if self.demands[column.demand].is_plain else number
                found.setdefault((column.demand, share, apart), []).append(number)
        return tuple(
            Size(demand=demand, share=share, columns=tuple(columns))
            for (demand, share, _), columns in sorted(found.items())
        )

    @cached_property
    def columns_of(self) -> tuple[Ints, ...]:
        """Columns of each demand."""
        return tuple(np.flatnonzero(self.demand_of == number) for number in range(len(self.demands)))

    @cached_property
    def views(self) -> tuple[View, ...]:
        """Columns that rows of demands that are not plain count: all, and those that count for each limit."""
        found = []
        for demand, wanted in enumerate(self.demands):
            if wanted.is_plain:
                continue
            own, placement = self.columns_of[demand], wanted.placement
            named = {"all": own, "nothing": own, "steady": own[~self.spot[own]]}
            named |= {f"first{step}": own[self.rank[own] < step] for step, _ in placement.steps}
            for loss in sorted({loss for number in own.tolist() for loss in self.losses[number]}):
                named["_".join(loss)] = np.array(
                    [n for n in own.tolist() if loss not in self.losses[n]], dtype=np.int64
                )
            found += [View(demand=demand, name=name, columns=tuple(cs.tolist())) for name, cs in named.items()]
            if placement.survive is Loss.REPLICA:
                every = tuple(own.tolist())
                found += [View(demand=demand, name=f"less{n}", columns=every, less=n) for n in every]
        return tuple(found)

    @cached_property
    def gpus(self) -> Ints:
        """GPUs of one replica of each column."""
        return np.array([column.gpus for column in self.columns], dtype=np.int64)

    @cached_property
    def quota_rows(self) -> tuple[tuple[str, Ints], ...]:
        """Namespaces with a quota, and GPUs of one replica of each column there; 0 for columns of other namespaces."""
        names = np.array([wanted.key.namespace for wanted in self.demands])
        return tuple((name, np.where(names[self.demand_of] == name, self.gpus, 0)) for name in sorted(self.quotas))

    def quota_left(self, counts: Ints) -> Mapping[str, int]:
        """GPUs that each namespace with a quota may use beside these replicas; below 0 where they are too many."""
        return {name: self.quotas[name] - int(row @ counts) for name, row in self.quota_rows}

    def load_of(self, counts: Ints) -> Floats:
        """Left side of each packing row at these replica counts, with what others hold."""
        load = np.array([self.held.get(row, 0.0) for row in self.rows])
        for number in np.flatnonzero(counts):
            for row, amount in self.loads[number].items():
                load[row] += amount * counts[number]
        return load


def sets_of(problem: Problem, *, prune: bool = True) -> Sets:
    """Everything that can be chosen from in a problem.

    Args:
        problem: what is to be decided.
        prune: leave out dominated templates (lossless; off only to test that it is).
    """
    space = space_of(problem, prune=prune)
    return sets_over(space, problem, space.choices())


def sets_over(space: Space, problem: Problem, choices: Sequence[Choice], held: Floats | None = None) -> Sets:
    """The sets over some of the choices, demands that have none among them included.

    Args:
        space: of the problem.
        problem: for what runs, the price of a start, and the budget.
        choices: in the order of the columns.
        held: (Q, R) slots that are taken already by replicas that are not looked at.
    """
    by_group: dict[Group, list[Supply]] = {}
    for supply in space.supplies:
        by_group.setdefault(group_of(supply), []).append(supply)
    groups = tuple(sorted(by_group))
    number_of = {group: number for number, group in enumerate(groups)}
    kept = {(group.demand, group.strategy): 0 for group in problem.running}
    for group in problem.running:
        kept[group.demand, group.strategy] += group.count
    columns = []
    for demand, line, number in choices:
        wanted, menu, place = space.demands[demand], space.menus[demand], space.places[number]
        template = wanted.templates[menu.templates[line]]
        strategy = template.strategy
        need = {
            Group(gpu_kind=kind, domain=place.domain, capacity_type=place.capacity_type): count
            for kind, count in strategy.need.items()
        }
        most = min(_most_pods(by_group[g], strategy.tp) // n for g, n in need.items())
        share = float(menu.share[line])
        useful = max(_enough(wanted, share, int(menu.templates[line])), wanted.placement.min_replicas, 1)
        columns.append(
            Column(
                demand=demand,
                label=strategy.id,
                template=int(menu.templates[line]),
                choice=(demand, line, number),
                domain=place.domain,
                capacity_type=place.capacity_type,
                share=share,
                pods=tuple((number_of[g], strategy.tp, n) for g, n in need.items()),
                upper=min(most, max(useful, kept.get((wanted.key, strategy), 0))),
                start_charge=_start_charge(template, need, by_group, problem.policy.horizon_hours)
                if problem.running
                else 0.0,
            )
        )
    return _assemble(space, groups, columns, problem, held)


def _enough(wanted: Wanted, share: float, template: int) -> int:
    """Replicas of a template of which no more are of use, for the demand and for what it is to survive."""
    alone = 1.0 / share
    if wanted.classes:
        shares = zip(wanted.class_shares(template), wanted.classes, strict=True)
        alone = sum(size / each for each, size in shares if each > 0.0)
    spare = 0 if wanted.placement.survive is not Loss.REPLICA else 1
    least = wanted.placement.survive_share if spare and wanted.is_plain else 1.0
    return max(int(np.ceil(alone - 1e-12)), spare + int(np.ceil(least * alone - 1e-12)))


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


def _assemble(
    space: Space, groups: tuple[Group, ...], columns: list[Column], problem: Problem, held: Floats | None
) -> Sets:
    narrowest: dict[int, int] = {}
    for column in columns:
        for group, width, _ in column.pods:
            narrowest[group] = min(width, narrowest.get(group, width))
    taken = _held(space, groups, set(narrowest), held)
    for group, width in taken:
        narrowest[group] = min(width, narrowest[group])
    number_of = {group: number for number, group in enumerate(groups)}
    used = [
        (number, s)
        for number, s in enumerate(space.supplies)
        if s.gpus >= narrowest.get(number_of[group_of(s)], s.gpus + 1)
    ]
    column_of = {
        (space.demands[c.demand].key, c.label, c.domain.zone, c.capacity_type, c.domain.region): number
        for number, c in enumerate(columns)
    }
    region_of = {supply.offering: supply.region for _, supply in used}
    running = []
    for replicas in problem.running:
        first = replicas.site.offerings[0]
        place = (replicas.demand, replicas.strategy.id, first.zone, first.capacity_type, region_of.get(first, ""))
        if place in column_of and all(offering in region_of for offering in replicas.site.offerings):
            running.append(Running(column=column_of[place], group=replicas))
    return Sets(
        demands=space.demands,
        groups=groups,
        columns=tuple(columns),
        supplies=tuple(supply for _, supply in used),
        supply_group=tuple(number_of[group_of(supply)] for _, supply in used),
        numbers=tuple(number for number, _ in used),
        held=taken,
        running=tuple(running),
        budget=problem.policy.budget_per_hour,
        quotas=dict(space.quotas),
    )


def _held(
    space: Space, groups: tuple[Group, ...], touched: set[int], held: Floats | None
) -> Mapping[tuple[int, int], float]:
    """Slots taken by replicas that are not looked at, by group and width, where columns can come beside them."""
    if held is None:
        return {}
    place_number = {place: number for number, place in enumerate(space.places)}
    found = {}
    for group in touched:
        spec = groups[group]
        place = place_number[Place(domain=spec.domain, capacity_type=spec.capacity_type)]
        for row, (kind, width) in enumerate(space.rows):
            if kind == spec.gpu_kind and held[place, row] > 0.0:
                found[group, width] = float(held[place, row])
    return found
