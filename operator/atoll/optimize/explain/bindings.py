"""Which limits of a demand keep the fleet from a cheaper plan: each is left out, and the problem solved again."""

from collections.abc import Iterator
from dataclasses import replace

from atoll.domain.demand import DemandKey, Loss, Placement
from atoll.domain.explanation import Bind, Binding
from atoll.domain.problem import DemandRow
from atoll.domain.reason import Reason
from atoll.optimize.effort import Effort
from atoll.optimize.explain.ground import Ground, space_for
from atoll.optimize.explain.resolve import improved

_ROUND = 1e-6

UNMET = {
    Reason.SPOT_SHARE_UNMET.value: Bind.SPOT_SHARE,
    Reason.MIN_REPLICAS_UNMET.value: Bind.MIN_REPLICAS,
    Reason.MIN_DOMAINS_UNMET.value: Bind.MIN_DOMAINS,
    Reason.SURVIVE_UNMET.value: Bind.SURVIVE,
    Reason.OVER_BUDGET.value: Bind.BUDGET,
    Reason.QUOTA_REACHED.value: Bind.QUOTA,
}
"""Limits that bind in any case: soft ones that are not kept, and quotas that leave a demand short."""


def told(ground: Ground, key: DemandKey) -> list[Binding]:
    """What binds as far as the allocation and prices tell, with nothing solved again."""
    found = [Binding(limit=UNMET[name]) for name in ground.allocation.unmet.get(key, ()) if name in UNMET]
    dear = {s.offering for s, rent in zip(ground.space.supplies, ground.prices.rents, strict=True) if rent > _ROUND}
    used = {o for group in ground.allocation.replicas if group.demand == key for o in group.site.offerings}
    if used & dear or ground.allocation.shortfall.get(key, 0.0) > 0.0:
        found.insert(0, Binding(limit=Bind.AVAILABILITY))
    return found


def loosened(row: DemandRow) -> Iterator[tuple[Bind, Placement]]:
    """Each limit that a demand has, with its placement without that limit."""
    placement = row.placement
    if placement.spot_share < 1.0:
        yield Bind.SPOT_SHARE, replace(placement, spot_share=1.0)
    if placement.min_replicas > 1:
        yield Bind.MIN_REPLICAS, replace(placement, min_replicas=0)
    if placement.min_domains > 1:
        yield Bind.MIN_DOMAINS, replace(placement, min_domains=0)
    if placement.preference:
        yield Bind.PREFERENCE, replace(placement, preference=())
    if placement.survive is not Loss.NONE:
        yield Bind.SURVIVE, replace(placement, survive=Loss.NONE)
    if placement.regions:
        yield Bind.REGIONS, replace(placement, regions=frozenset())
    if placement.capacity_types:
        yield Bind.CAPACITY_TYPES, replace(placement, capacity_types=frozenset())


def resolved(ground: Ground, key: DemandKey, limit: Bind, placement: Placement, effort: Effort) -> Binding | None:
    """A limit and what the fleet saves without it; nothing where it is not found to save anything."""
    rows = tuple(replace(row, placement=placement) if row.key == key else row for row in ground.problem.demands)
    problem = replace(ground.problem, demands=rows)
    answer = improved(ground.onto(problem, space_for(problem, ground.allocation)), effort)
    if ground.value - answer.cost <= _ROUND * max(1.0, ground.value):
        return None
    return Binding(limit=limit, saves_per_hour=ground.value - answer.cost)
