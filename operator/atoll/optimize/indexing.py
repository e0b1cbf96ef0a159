"""The sets of a program over some of the choices of a space."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from atoll.domain.demand import DemandKey, Loss
from atoll.domain.pool import Supply
from atoll.domain.problem import Problem
from atoll.domain.strategy import Strategy, Template
from atoll.optimize.columns import Column
from atoll.optimize.sets import Sets
from atoll.optimize.space import Choice, Floats, Place, Space, Wanted, space_of

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
    supplies_of: list[list[Supply]] = [[] for _ in space.groups]
    for number, supply in zip(space.group_of.tolist(), space.supplies, strict=True):
        supplies_of[number].append(supply)
    place_number = {place: number for number, place in enumerate(space.places)}
    group_at = {
        (place_number[Place(domain=group.domain, capacity_type=group.capacity_type)], group.gpu_kind): number
        for number, group in enumerate(space.groups)
    }
    kept: Counter[tuple[DemandKey, Strategy]] = Counter()
    for running in problem.running:
        kept[running.demand, running.strategy] += running.count
    pods_at: dict[tuple[int, int], int] = {}
    useful: dict[tuple[int, int], int] = {}
    columns = []
    for demand, line, number in choices:
        wanted, menu, place = space.demands[demand], space.menus[demand], space.places[number]
        index, share = int(menu.templates[line]), float(menu.share[line])
        template = wanted.templates[index]
        strategy, width = template.strategy, template.strategy.tp
        need = {group_at[number, kind]: count for kind, count in strategy.need.items()}
        for group in need:
            if (group, width) not in pods_at:
                pods_at[group, width] = _most_pods(supplies_of[group], width)
        if (demand, line) not in useful:
            least = max(_enough(wanted, share, index), wanted.placement.min_replicas, 1)
            useful[demand, line] = max(least, kept[wanted.key, strategy])
        most = min(pods_at[group, width] // count for group, count in need.items())
        columns.append(
            Column(
                demand=demand,
                label=strategy.id,
                template=index,
                choice=(demand, line, number),
                domain=place.domain,
                capacity_type=place.capacity_type,
                share=share,
                pods=tuple((group, width, count) for group, count in need.items()),
                upper=min(most, useful[demand, line]),
                start_charge=_start_charge(template, need, supplies_of, problem.policy.horizon_hours)
                if problem.running
                else 0.0,
            )
        )
    return _assemble(space, columns, problem, held)


def _enough(wanted: Wanted, share: float, template: int) -> int:
    """Replicas of a template of which no more are of use, for the demand and for what it is to survive."""
    alone = 1.0 / share
    if wanted.classes:
        shares = zip(wanted.class_shares(template), wanted.classes, strict=True)
        alone = sum(size / each for each, size in shares if each > 0.0)
    spare = 0 if wanted.placement.survive is not Loss.REPLICA else 1
    least = wanted.placement.survive_share if spare and wanted.is_plain else 1.0
    return max(int(np.ceil(alone - 1e-12)), spare + int(np.ceil(least * alone - 1e-12)))


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
    template: Template, need: Mapping[int, int], supplies_of: Sequence[Sequence[Supply]], horizon_hours: float
) -> float:
    """Cost of a start at the cheapest, quickest supplies of the groups, spread over the horizon, US$/h."""
    width = template.strategy.tp
    price = seconds = 0.0
    for group, count in need.items():
        fitting = [supply for supply in supplies_of[group] if supply.gpus >= width]
        price += count * width * min(supply.price_per_hour / supply.gpus for supply in fitting)
        seconds = max(seconds, min(supply.startup_seconds for supply in fitting))
    return price * (template.startup_seconds + seconds) / SECONDS_PER_HOUR / horizon_hours


def _assemble(space: Space, columns: list[Column], problem: Problem, held: Floats | None) -> Sets:
    narrowest: dict[int, int] = {}
    for column in columns:
        for group, width, _ in column.pods:
            narrowest[group] = min(width, narrowest.get(group, width))
    taken = _held(space, set(narrowest), held)
    for group, width in taken:
        narrowest[group] = min(width, narrowest[group])
    group_of = space.group_of.tolist()
    used = [
        number
        for number, (group, supply) in enumerate(zip(group_of, space.supplies, strict=True))
        if supply.gpus >= narrowest.get(group, supply.gpus + 1)
    ]
    found = Sets(
        demands=space.demands,
        groups=space.groups,
        columns=tuple(columns),
        supplies=tuple(space.supplies[number] for number in used),
        supply_group=tuple(group_of[number] for number in used),
        numbers=tuple(used),
        held=taken,
        budget=problem.policy.budget_per_hour,
        quotas=dict(space.quotas),
    )
    return found.with_running(problem.running)


def _held(space: Space, touched: set[int], held: Floats | None) -> Mapping[tuple[int, int], float]:
    """Slots taken by replicas that are not looked at, by group and width, where columns can come beside them."""
    if held is None:
        return {}
    place_number = {place: number for number, place in enumerate(space.places)}
    found = {}
    for group in touched:
        spec = space.groups[group]
        place = place_number[Place(domain=spec.domain, capacity_type=spec.capacity_type)]
        for row, (kind, width) in enumerate(space.rows):
            if kind == spec.gpu_kind and held[place, row] > 0.0:
                found[group, width] = float(held[place, row])
    return found
