"""An allocation of a plan, with everything that is published about it, and a plan of an allocation."""

import numpy as np

from atoll.domain.demand import DemandKey
from atoll.domain.problem import Allocation
from atoll.domain.reason import Reason
from atoll.optimize.placement import Placed, place
from atoll.optimize.plan import Plan, fits, level_values, missing_of, unserved
from atoll.optimize.scarcity import BUDGET, FIX_TOLERANCE
from atoll.optimize.search import Found, levels_of
from atoll.optimize.sets import Sets


def allocation_of(sets: Sets, found: Found, plan: Plan, gap: float, seconds: float) -> Allocation:
    """A plan, placed and with everything that is published about it.

    Args:
        sets: what the plan is over.
        found: bounds.
        plan: that fits.
        gap: at which cost counts as proven, as a share.
        seconds: spent so far.
    """
    placed = place(sets, plan)
    settled = _as_placed(sets, plan, placed)
    levels = levels_of(sets, found, settled, gap)
    missing = unserved(sets, settled.counts)
    return Allocation(
        replicas=placed.replicas,
        nodes=placed.nodes,
        shortfall={
            wanted.key: float(missing[number]) * wanted.rate
            for number, wanted in enumerate(sets.demands)
            if missing[number] > 0.0
        },
        cost_per_hour=(price := price_of(placed)),
        bound_per_hour=min(price, levels[-1].bound),
        levels=levels,
        unmet=_unmet(sets, settled),
        solver=plan.origin,
        solve_seconds=seconds,
    )


def plan_of(sets: Sets, allocation: Allocation) -> Plan | None:
    """An allocation as a plan of these sets; nothing where it uses what they do not have."""
    counts = np.zeros(len(sets.columns), dtype=np.int64)
    nodes = np.zeros(len(sets.supplies), dtype=np.int64)
    region_of = {supply.offering: supply.region for supply in sets.supplies}
    column_of = {
        (sets.demands[c.demand].key, c.label, c.domain.region, c.domain.zone, c.capacity_type): number
        for number, c in enumerate(sets.columns)
    }
    supply_of = {supply: number for number, supply in enumerate(sets.supplies)}
    for group in allocation.replicas:
        first = group.site.offerings[0]
        where = (region_of.get(first, ""), first.zone, first.capacity_type)
        column = column_of.get((group.demand, group.strategy.id, *where))
        if column is None:
            return None
        counts[column] += group.count
    for use in allocation.nodes:
        if use.supply not in supply_of:
            return None
        nodes[supply_of[use.supply]] += use.nodes
    plan = Plan(counts=counts, nodes=nodes, origin="program")
    return plan if (counts <= sets.upper).all() and fits(sets, plan) else None


def price_of(placed: Placed) -> float:
    """Of all nodes in use, US$/h."""
    return sum(use.nodes * use.supply.price_per_hour for use in placed.nodes)


def _as_placed(sets: Sets, plan: Plan, placed: Placed) -> Plan:
    """The plan without nodes that nothing was put on."""
    number_of = {supply: number for number, supply in enumerate(sets.supplies)}
    nodes = np.zeros_like(plan.nodes)
    for use in placed.nodes:
        nodes[number_of[use.supply]] += use.nodes
    return Plan(counts=plan.counts, nodes=nodes, origin=plan.origin)


def _unmet(sets: Sets, plan: Plan) -> dict[DemandKey, tuple[str, ...]]:
    """Limits that are broken or take service away; a budget is the fleet's and named on every demand that costs."""
    over = level_values(sets, plan)[BUDGET] > FIX_TOLERANCE
    stopped = _stopped_by_quota(sets, plan)
    unmet = {}
    for number, wanted in enumerate(sets.demands):
        missing = missing_of(sets, plan.counts, number)
        reasons = [
            reason
            for reason, broken in (
                (Reason.QUOTA_REACHED, number in stopped),
                (Reason.SPOT_SHARE_UNMET, missing.spot > 0.0),
                (Reason.MIN_REPLICAS_UNMET, missing.replicas > 0),
                (Reason.MIN_DOMAINS_UNMET, missing.domains > 0),
                (Reason.SURVIVE_UNMET, missing.exposed > 0.0),
                (Reason.OVER_BUDGET, over and bool(plan.counts[sets.demand_of == number].any())),
            )
            if broken
        ]
        if reasons:
            unmet[wanted.key] = tuple(map(str, reasons))
    return unmet


def _stopped_by_quota(sets: Sets, plan: Plan) -> set[int]:
    """Demands that fall short where a further replica would find nodes, or none was looked for, but no quota."""
    missing, left = unserved(sets, plan.counts), sets.quota_left(plan.counts)
    spare = sets.obtainable @ sets.slots - sets.load_of(plan.counts)
    stopped = set()
    for number, wanted in enumerate(sets.demands):
        rest = left.get(wanted.key.namespace)
        if rest is None or missing[number] <= 0.0:
            continue
        least = min((template.strategy.gpus for template in wanted.templates), default=0)
        columns = np.flatnonzero((sets.demand_of == number) & (sets.gpus > rest)).tolist()
        if least > rest or any(all(spare[r] >= n for r, n in sets.loads[column].items()) for column in columns):
            stopped.add(number)
    return stopped
