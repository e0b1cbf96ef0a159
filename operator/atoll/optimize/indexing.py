"""The sets of a program over some of the choices of a space."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from atoll.domain.demand import Loss
from atoll.domain.pool import Supply
from atoll.domain.problem import Problem
from atoll.domain.strategy import Template
from atoll.optimize.columns import Column, Group
from atoll.optimize.sets import Sets
from atoll.optimize.space import Choice, Domain, Floats, Place, Space, Wanted, space_of

SECONDS_PER_HOUR = 3600.0


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
    found = Sets(
        demands=space.demands,
        groups=groups,
        columns=tuple(columns),
        supplies=tuple(supply for _, supply in used),
        supply_group=tuple(number_of[group_of(supply)] for _, supply in used),
        numbers=tuple(number for number, _ in used),
        held=taken,
        budget=problem.policy.budget_per_hour,
        quotas=dict(space.quotas),
    )
    return found.with_running(problem.running)


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
