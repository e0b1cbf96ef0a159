"""A plan: replica counts by column and nodes by supply, and what it is worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from atoll.domain.demand import Loss
from atoll.optimize.carried import carried
from atoll.optimize.scarcity import (
    BUDGET,
    COST,
    COVER_TOLERANCE,
    FIX_TOLERANCE,
    LIMITS,
    PREFERENCE,
    penalty,
    shortfall_level,
)
from atoll.optimize.sets import Floats, Ints, Sets


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A point of the program.

    Attributes:
        counts: replicas by column.
        nodes: nodes by supply.
        origin: one word for what found it.
    """

    counts: Ints
    nodes: Ints
    origin: str


def served(sets: Sets, counts: Ints) -> Floats:
    """Share of each demand that these replicas serve; above 1 where they serve more."""
    weights = counts * sets.share
    share = np.bincount(sets.demand_of, weights=weights, minlength=len(sets.demands)).astype(np.float64)
    for number, wanted in enumerate(sets.demands):
        if not wanted.is_plain:
            share[number] = carried(sets, counts, number, sets.columns_of[number])
    return share


def unserved(sets: Sets, counts: Ints) -> Floats:
    """Share of each demand not served, exactly 0 within the tolerance of rows."""
    missing = np.maximum(1.0 - served(sets, counts), 0.0)
    missing[missing <= COVER_TOLERANCE] = 0.0
    return missing


class Missing(NamedTuple):
    """What a demand's soft limits lack; all 0 where it lacks nothing.

    Attributes:
        spot: share of the demand that is on spot beyond the largest allowed.
        replicas: below the least.
        domains: below the least.
        exposed: share of the demand that is not served after the worst loss, though it is to be.
        spilled: part that is not on capacity types preferred to others, 0 to 1 (see ``program.preference``).
    """

    spot: float
    replicas: int
    domains: int
    exposed: float
    spilled: float


_NOTHING = Missing(spot=0.0, replicas=0, domains=0, exposed=0.0, spilled=0.0)


def missing_of(sets: Sets, counts: Ints, demand: int) -> Missing:
    """What a demand's soft limits lack at these replica counts."""
    if not sets.is_limited[demand]:
        return _NOTHING
    placement = sets.demands[demand].placement
    used = np.flatnonzero((counts > 0) & (sets.demand_of == demand))
    excess = 0.0
    if placement.spot_share < 1.0:
        lacking = max(0.0, 1.0 - carried(sets, counts, demand, used))
        steady = carried(sets, counts, demand, used[~sets.spot[used]])
        excess = max(0.0, (1.0 - placement.spot_share) * (1.0 - lacking) - steady)
        excess = excess if excess > COVER_TOLERANCE else 0.0
    replicas = max(0, placement.min_replicas - int(counts[used].sum()))
    spread = len({sets.columns[number].domain for number in used})
    domains = max(0, placement.min_domains - spread) if placement.min_domains > 1 else 0
    exposed = 0.0
    if placement.survive is not Loss.NONE:
        exposed = placement.survive_share - carried_after_loss(sets, counts, demand)[0]
    return Missing(
        spot=excess,
        replicas=replicas,
        domains=domains,
        exposed=exposed if exposed > COVER_TOLERANCE else 0.0,
        spilled=_spilled(sets, counts, demand, used),
    )


def carried_after_loss(sets: Sets, counts: Ints, demand: int) -> tuple[float, tuple[str, ...]]:
    """Share of a demand that is left after the worst loss that it is to survive, and that loss, empty for a replica."""
    used = np.flatnonzero((counts > 0) & (sets.demand_of == demand))
    if not sets.demands[demand].is_plain:
        return _mixed_after_loss(sets, counts, demand, used)
    share = counts[used] * sets.share[used]
    total = float(share.sum())
    if sets.demands[demand].placement.survive is Loss.REPLICA:
        return total - float(sets.share[used].max(initial=0.0)), ()
    lost: dict[tuple[str, ...], float] = {}
    for number, part in zip(used.tolist(), share.tolist(), strict=True):
        for loss in sets.losses[number]:
            lost[loss] = lost.get(loss, 0.0) + part
    worst = max(lost, key=lambda loss: (lost[loss], loss), default=())
    return total - lost.get(worst, 0.0), worst


def _spilled(sets: Sets, counts: Ints, demand: int, used: Ints) -> float:
    steps = sets.demands[demand].placement.steps
    if not steps:
        return 0.0
    whole = min(1.0, carried(sets, counts, demand, used))
    spilled = [due * whole - carried(sets, counts, demand, used[sets.rank[used] < step]) for step, due in steps]
    return sum(part for part in spilled if part > COVER_TOLERANCE) / len(steps)


def _mixed_after_loss(sets: Sets, counts: Ints, demand: int, used: Ints) -> tuple[float, tuple[str, ...]]:
    """The same where replicas serve less than their sum: one loss after the other is tried."""
    left: list[tuple[float, tuple[str, ...]]] = [(carried(sets, counts, demand, used), ())]
    if sets.demands[demand].placement.survive is Loss.REPLICA:
        for number in used.tolist():
            fewer = counts.copy()
            fewer[number] -= 1
            left.append((carried(sets, fewer, demand, used), ()))
    for loss in sorted({loss for number in used.tolist() for loss in sets.losses[number]}):
        safe = [number for number in used.tolist() if loss not in sets.losses[number]]
        left.append((carried(sets, counts, demand, np.array(safe, dtype=np.int64)), loss))
    return min(left)


def breach(sets: Sets, counts: Ints) -> float:
    """Broken soft limits, summed as in ``program.breach``."""
    total = 0.0
    for number, wanted in enumerate(sets.demands):
        missing = missing_of(sets, counts, number)
        total += missing.spot + missing.replicas / max(wanted.placement.min_replicas, 1)
        total += missing.domains / max(wanted.placement.min_domains, 1)
        total += missing.exposed / wanted.placement.survive_share
    return total


def cost(sets: Sets, nodes: Ints) -> float:
    """US$/h of the nodes."""
    return float(nodes @ sets.price)


def level_values(sets: Sets, plan: Plan) -> dict[str, float]:
    """Value of each level, in the order in which they are minimised."""
    missing = unserved(sets, plan.counts)
    values = {
        shortfall_level(priority): sum(
            penalty(float(missing[number]))
            for number, wanted in enumerate(sets.demands)
            if wanted.priority == priority and not wanted.is_priced
        )
        for priority in sets.priorities
    }
    values[LIMITS] = breach(sets, plan.counts)
    price = cost(sets, plan.nodes)
    values[BUDGET] = max(0.0, price - sets.budget)
    values[PREFERENCE] = sum(missing_of(sets, plan.counts, number).spilled for number in range(len(sets.demands)))
    values[COST] = price + sum(
        wanted.shortfall_cost * float(missing[number]) for number, wanted in enumerate(sets.demands) if wanted.is_priced
    )
    return values


def rank_of(values: Mapping[str, float]) -> tuple[float, ...]:
    """Levels in their order, those above cost as coarse as they are held: the lesser of two plans is the better."""
    above = [round(value / (10 * FIX_TOLERANCE)) for name, value in values.items() if name != COST]
    return (*above, values[COST])


def fits(sets: Sets, plan: Plan) -> bool:
    """Whether the nodes hold the replicas and can be had, and no namespace uses more than its quota."""
    return bool(
        (plan.nodes <= sets.obtainable).all()
        and (plan.nodes >= 0).all()
        and (plan.counts >= 0).all()
        and (sets.load_of(plan.counts) <= plan.nodes @ sets.slots + 1e-9).all()
        and min(sets.quota_left(plan.counts).values(), default=0) >= 0
    )
