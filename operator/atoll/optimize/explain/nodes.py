"""What one more node of an offering is worth: its shadow price, and what is found with one more."""

from dataclasses import replace

import numpy as np

from atoll.domain.explanation import Basis, NodeWorth
from atoll.domain.pool import Supply
from atoll.domain.problem import DemandRow
from atoll.optimize.effort import Effort
from atoll.optimize.explain.ground import Ground
from atoll.optimize.explain.prices import priced
from atoll.optimize.explain.resolve import improved
from atoll.optimize.space import Choice, space_of

_ROUND = 1e-6


def worths(ground: Ground) -> list[tuple[Supply, NodeWorth]]:
    """Offerings that the allocation uses up and whose nodes the relaxation would pay more for, dearest first.

    An offering that the allocation leaves nodes of is worth nothing more, whatever the relaxation says. Where something
    is short cost is not what matters first: see ``wished_for``.
    """
    if ground.allocation.shortfall:
        return []
    used, found = ground.nodes(), []
    for supply, rent in zip(ground.space.supplies, ground.prices.rents.tolist(), strict=True):
        if used[supply] < supply.obtainable or rent <= _ROUND * max(1.0, supply.price_per_hour):
            continue
        worth = NodeWorth(
            offering=supply.offering,
            obtainable=supply.obtainable,
            saves_per_hour=rent,
            most_per_hour=float("inf"),
            basis=Basis.PRICES,
        )
        found.append((supply, worth))
    return sorted(found, key=lambda pair: (-pair[1].saves_per_hour, pair[1].offering))


def wished_for(ground: Ground) -> list[tuple[Supply, NodeWorth]]:
    """Offerings of which no node is left that a demand which falls short could use, most requests/s first.

    What shortfall is worth has no price: nothing is told of these before they are sought, but in which order.
    """
    used, wishes = ground.nodes(), []
    for supply in ground.problem.supplies:
        if used[supply] < supply.obtainable or supply.gpus <= 0:
            continue
        serves = max((_could_serve(ground, row, supply) for row in ground.problem.demands), default=0.0)
        if serves > 0.0:
            worth = NodeWorth(
                offering=supply.offering,
                obtainable=supply.obtainable,
                saves_per_hour=0.0,
                most_per_hour=float("inf"),
                basis=Basis.PRICES,
            )
            wishes.append((serves, supply, worth))
    ordered = sorted(wishes, key=lambda item: (-item[0], item[1].price_per_hour, item[1].offering))
    return [(supply, worth) for _, supply, worth in ordered]


def _could_serve(ground: Ground, row: DemandRow, supply: Supply) -> float:
    """Requests/s that a node could carry of what a demand falls short of, by the template that suits it best."""
    placement = row.placement
    if not (
        (not placement.regions or supply.region in placement.regions)
        and (not placement.gpu_kinds or supply.gpu_kind in placement.gpu_kinds)
        and (not placement.capacity_types or supply.capacity_type in placement.capacity_types)
    ):
        return 0.0
    rates = (
        supply.gpus // item.strategy.tp * item.rate / item.strategy.need[supply.gpu_kind]
        for item in row.templates
        if supply.gpu_kind in item.strategy.need
    )
    return min(ground.allocation.shortfall.get(row.key, 0.0), max(rates, default=0.0))


def resolved(ground: Ground, supply: Supply, worth: NodeWorth, effort: Effort) -> NodeWorth:
    """The same with what is found to be saved with one more node.

    Where something is short the first thing that a node does is to serve more of it, and that may cost more.
    """
    more = replace(supply, obtainable=supply.obtainable + 1)
    supplies = tuple(more if item == supply else item for item in ground.problem.supplies)
    problem = replace(ground.problem, supplies=supplies)
    there = ground.onto(problem, space_of(problem), supply, more)
    answer = improved(there, effort, _on(there, supply))
    serves = sum(ground.allocation.shortfall.values()) - sum(answer.shortfall.values())
    saves = ground.value - answer.cost
    if serves > _ROUND:
        return replace(worth, saves_per_hour=saves, most_per_hour=float("inf"), serves=serves, basis=Basis.RESOLVED)
    # Not the bound less the rent: one more node may admit replicas that did not fit before.
    bound = priced(there.space, there.prices.needs, there.prices.slots).bound
    most = max(ground.value - bound, saves, 0.0)
    return replace(worth, saves_per_hour=max(0.0, saves), most_per_hour=most, basis=Basis.RESOLVED)


def _on(ground: Ground, supply: Supply) -> list[Choice]:
    """The choices of least price per share that a node of this supply could hold a part of: some for each demand."""
    space = ground.space
    place = next(
        number
        for number, item in enumerate(space.places)
        if (item.domain.region, item.domain.zone, item.capacity_type)
        == (supply.region, supply.zone, supply.capacity_type)
    )
    own = np.array([kind == supply.gpu_kind for kind, _ in space.rows], dtype=bool)
    each = max(1, _OFFERED // max(1, len(space.demands)))
    choices: list[Choice] = []
    for demand, menu in enumerate(space.menus):
        price = menu.load @ ground.prices.slots[place] / np.minimum(menu.share, 1.0)
        fits = menu.allowed[:, place] & menu.load[:, own].any(axis=1)
        lines = np.flatnonzero(fits)
        choices += [(demand, int(line), place) for line in lines[np.argsort(price[lines], kind="stable")[:each]]]
    return choices


_OFFERED = 60
"""Choices on the node's place that are offered beside those of least reduced cost, all demands."""
