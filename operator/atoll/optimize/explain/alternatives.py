"""What else a demand could run as: by reduced cost, one for each set of GPU kinds, and what it would take to win."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from atoll.domain.explanation import Alternative, Basis, WinningPrice
from atoll.domain.pool import Supply
from atoll.optimize.effort import Effort
from atoll.optimize.explain.ground import Ground
from atoll.optimize.explain.resolve import with_at_least
from atoll.optimize.space import Floats, Ints

SLACK_SHARE = 0.1
LEAST_SLACK = 0.01
"""How far an experiment may be from its end, as a share of the difference that it found, and US$/h, to be believed."""

_ROUND = 1e-6
_CENT = 0.005
"""Difference from which on there is something to win, US$/h."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An alternative, and which template of which demand it is.

    Attributes:
        demand: number of the demand.
        line: template within its menu.
        alternative: what is known of it.
    """

    demand: int
    line: int
    alternative: Alternative


def candidates(ground: Ground, demand: int, most: int) -> list[Candidate]:
    """The alternatives of least reduced cost, at most one for each set of GPU kinds, by prices.

    Args:
        ground: the allocation, with prices.
        demand: number of the demand.
        most: how many.
    """
    space, prices = ground.space, ground.prices
    menu, wanted = space.menus[demand], space.demands[demand]
    if not np.isfinite(prices.covers[demand]) or prices.needs[demand] <= _ROUND:
        return []
    forced = prices.forced(demand)
    has: dict[int, int] = {}
    for (of, line, _), count in ground.counts.items():
        if of == demand:
            has[line] = has.get(line, 0) + count
    found: dict[frozenset[str], Candidate] = {}
    for line in np.argsort(forced.reduced, kind="stable").tolist():
        reduced, replicas = float(forced.reduced[line]), int(forced.replicas[line])
        if not np.isfinite(reduced) or len(found) == most:
            break
        strategy = wanted.templates[menu.templates[line]].strategy
        kinds = frozenset(strategy.need)
        if kinds in found or has.get(line, 0) >= replicas:
            continue
        place = int(forced.place[line])
        alternative = Alternative(
            strategy=strategy,
            replicas=replicas,
            zone=space.places[place].domain.zone,
            more_per_hour=max(0.0, reduced),
            least_per_hour=max(prices.bound + reduced, ground.bound) - ground.cost,
            basis=Basis.PRICES,
            wins_below=_by_prices(ground, place, replicas * menu.load[line], reduced),
        )
        found[kinds] = Candidate(demand=demand, line=line, alternative=alternative)
    return list(found.values())


def resolved(ground: Ground, candidate: Candidate, effort: Effort) -> Candidate:
    """The same with what a plan with it really costs, where that is found in time; as it was where it is not."""
    known = candidate.alternative
    answer = with_at_least(ground, candidate.demand, candidate.line, known.replicas, effort)
    if answer is None:
        return candidate
    more = answer.cost - ground.cost
    if answer.slack > max(LEAST_SLACK, SLACK_SHARE * abs(more)):
        return candidate
    alternative = replace(
        known,
        more_per_hour=more,
        least_per_hour=min(known.least_per_hour, more),
        basis=Basis.RESOLVED,
        wins_below=_by_plan(ground, set(known.strategy.need), answer.nodes, more),
    )
    return replace(candidate, alternative=alternative)


def _by_prices(ground: Ground, place: int, load: Floats, reduced: float) -> WinningPrice | None:
    """The node price at which the reduced cost is zero, of the GPU kind that it pays most for.

    Where all nodes of the kind are in use a lower price of theirs only raises their rent: they would still not be had.
    """
    space, slots = ground.space, ground.prices.slots[place]
    parts: dict[str, float] = {}
    for (kind, _), paid in zip(space.rows, load * slots, strict=True):
        parts[kind] = parts.get(kind, 0.0) + float(paid)
    kind = max(parts, key=lambda name: parts[name])
    here = np.flatnonzero(space.place_of == place)
    own: Ints = np.array([n for n in here if space.supplies[n].gpu_kind == kind], dtype=np.int64)
    worth = (space.slots[own] * slots).sum(axis=1)
    free = own[np.abs(worth - space.price[own]) <= _ROUND * np.maximum(1.0, space.price[own])]
    if not free.size or reduced <= _CENT or reduced >= parts[kind]:
        return None
    supply = space.supplies[int(free[0])]
    return _winning(supply, supply.price_per_hour * (1.0 - reduced / parts[kind]))


def _by_plan(ground: Ground, kinds: set[str], nodes: Mapping[Supply, int], more: float) -> WinningPrice | None:
    """The node price at which the plan found costs as much as the allocation: for each node that it has more of."""
    used = ground.nodes()
    extra = {s: n - used[s] for s, n in nodes.items() if s.gpu_kind in kinds and n > used[s] and s.price_per_hour > 0.0}
    if not extra or more <= _CENT:
        return None
    supply = max(extra, key=lambda item: extra[item] * item.price_per_hour)
    below = supply.price_per_hour - more / extra[supply]
    return _winning(supply, below)


def _winning(supply: Supply, below: float) -> WinningPrice | None:
    if below < _CENT:
        return None  # it would not win as a gift
    return WinningPrice(offering=supply.offering, price_per_hour=supply.price_per_hour, below_per_hour=below)
