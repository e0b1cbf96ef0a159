"""The sets of a program: columns x, supplies y and the packing rows between them, as small integers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from atoll.domain.demand import Loss
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import OfferingKey, Supply
from atoll.domain.problem import ReplicaGroup
from atoll.optimize.columns import Column, Running, Size, View
from atoll.optimize.space import Bools, Domain, Floats, Group, Ints, Wanted

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
]


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

    def with_running(self, groups: Iterable[ReplicaGroup]) -> "Sets":
        """The same where these run, as far as there are columns and nodes for them."""
        column_of = {
            (self.demands[c.demand].key, c.label, c.domain.zone, c.capacity_type, c.domain.region): number
            for number, c in enumerate(self.columns)
        }
        region_of = {supply.offering: supply.region for supply in self.supplies}
        running = []
        for replicas in groups:
            first = replicas.site.offerings[0]
            place = (replicas.demand, replicas.strategy.id, first.zone, first.capacity_type, region_of.get(first, ""))
            if place in column_of and all(offering in region_of for offering in replicas.site.offerings):
                running.append(Running(column=column_of[place], group=replicas))
        return replace(self, running=tuple(running))

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
    def supplies_of_offering(self) -> Mapping[OfferingKey, Ints]:
        """Supplies of each offering."""
        found: dict[OfferingKey, list[int]] = {}
        for number, supply in enumerate(self.supplies):
            found.setdefault(supply.offering, []).append(number)
        return {offering: np.array(numbers, dtype=np.int64) for offering, numbers in found.items()}

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
    def is_limited(self) -> tuple[bool, ...]:
        """Whether each demand has soft limits or preferences: most have none, and are asked for often."""
        return tuple(
            each.spot_share < 1.0
            or each.min_replicas > 0
            or each.min_domains > 1
            or each.survive is not Loss.NONE
            or bool(each.steps)
            for each in (wanted.placement for wanted in self.demands)
        )

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
