"""What one more node of an offering is worth: its shadow price, and what is found with one more."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from atoll.domain.explanation import Basis, NodeWorth
from atoll.domain.pool import Supply
from atoll.domain.problem import DemandRow
from atoll.optimize.effort import Effort
from atoll.optimize.explain.ground import Ground, space_for
from atoll.optimize.explain.prices import priced
from atoll.optimize.explain.resolve import improved
from atoll.optimize.space import Choice

_ROUND = 1e-6


def worths(ground: Ground, rows: Sequence[DemandRow]) -> list[tuple[Supply, NodeWorth]]:
    """Offerings that the allocation uses up and whose nodes the relaxation would pay more for, dearest first.

    An offering that the allocation leaves nodes of is worth nothing more, whatever the relaxation says. Where something
    is short cost is not what matters first: see ``wished_for``.

    Args:
        ground: the allocation, with prices.
        rows: demands that are asked about: only what one of them could use is named.
    """
    if ground.allocation.shortfall:
        return []
    used, found = ground.nodes(), []
    for supply, rent in zip(ground.space.supplies, ground.prices.rents.tolist(), strict=True):
        if used[supply] < supply.obtainable or rent <= _ROUND * max(1.0, supply.price_per_hour):
            continue
        if any(_is_of_use(row, supply) for row in rows):
            found.append((rent, supply))
    ordered = sorted(found, key=lambda item: (-item[0], item[1].offering))
    return [(supply, _estimate(supply, rent)) for rent, supply in ordered]


def wished_for(ground: Ground, rows: Sequence[DemandRow]) -> list[tuple[Supply, NodeWorth]]:
    """Offerings of which no node is left that a demand which falls short could use, most requests/s first.

    What shortfall is worth has no price. How much of it a node could carry is an estimate: that of one demand alone,
    on a node of its own.

    Args:
        ground: the allocation.
        rows: demands that are asked about.
    """
    short = [(row, missing) for row in rows if (missing := ground.allocation.shortfall.get(row.key, 0.0)) > 0.0]
    used, wishes = ground.nodes(), []
    for supply in ground.problem.supplies:
        if used[supply] >= supply.obtainable and supply.gpus > 0:
            serves = max((min(missing, _could_serve(row, supply)) for row, missing in short), default=0.0)
            wishes += [(serves, supply)] if serves > 0.0 else []
    ordered = sorted(wishes, key=lambda item: (-item[0], item[1].price_per_hour, item[1].offering))
    return [(supply, _estimate(supply, -supply.price_per_hour, serves)) for serves, supply in ordered]


def _estimate(supply: Supply, rent: float, serves: float = 0.0) -> NodeWorth:
    return NodeWorth(
        offering=supply.offering,
        obtainable=supply.obtainable,
        saves_per_hour=rent,
        most_per_hour=float("inf"),
        serves=serves,
        basis=Basis.PRICES,
    )


def _is_of_use(row: DemandRow, supply: Supply) -> bool:
    allowed = row.placement.allows(supply.region, supply.gpu_kind, supply.capacity_type)
    return allowed and any(supply.gpu_kind in item.strategy.need for item in row.templates)


def _could_serve(row: DemandRow, supply: Supply) -> float:
    """Requests/s of a demand that whole replicas on one node could carry, by the template that suits it best."""
    if not row.placement.allows(supply.region, supply.gpu_kind, supply.capacity_type):
        return 0.0
    rates = (
        supply.gpus // item.strategy.gpus * item.rate
        for item in row.templates
        if set(item.strategy.need) == {supply.gpu_kind}
    )
    return max(rates, default=0.0)


def resolved(ground: Ground, supply: Supply, worth: NodeWorth, effort: Effort) -> NodeWorth:
    """The same with what is found to be saved with one more node.

    Where something is short the first thing that a node does is to serve more of it, and that may cost more.
    """
    more = replace(supply, obtainable=supply.obtainable + 1)
    supplies = tuple(more if item == supply else item for item in ground.problem.supplies)
    problem = replace(ground.problem, supplies=supplies)
    there = ground.onto(problem, space_for(problem, ground.allocation), supply, more)
    answer = improved(there, effort, _on(there, supply))
    serves = sum(ground.allocation.shortfall.values()) - sum(answer.shortfall.values())
    saves = ground.value - answer.cost
    if serves > _ROUND or worth.serves:
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
