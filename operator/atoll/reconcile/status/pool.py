"""What a GPUNodePool says."""

from collections import Counter
from datetime import datetime
from typing import Any

from atoll.domain.feed import Quoted
from atoll.domain.objects import GPU_NODE_POOL, Action, ObjectLike, Reference
from atoll.domain.pool import NodePool, OfferingKey, Provisioning
from atoll.domain.reason import Reason
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.conditions import Condition, former, status_actions
from atoll.reconcile.moments import format_moment
from atoll.reconcile.status.view import View
from atoll.reconcile.supply import supplies


def pool_status(view: View, ref: Reference, live: ObjectLike) -> tuple[Action, ...]:
    """The status write of one GPUNodePool."""
    snapshot, plan, now = view.snapshot, view.plan, view.now
    faults = snapshot.faults.get(ref)
    if faults:
        fault = faults[0]
        readiness = Condition(type="Ready", status=False, reason=fault.reason, message=str(fault))
        return status_actions(
            GPU_NODE_POOL, live, {}, (readiness, *priced_condition(snapshot.quoted.get(ref.name), live)), now
        )
    pool = snapshot.pools.get(ref.name)
    if pool is None:
        return ()  # of another fleet
    ready = Counter(node.offering for node in snapshot.nodes.values() if node.ready and not node.notice)
    used: Counter[OfferingKey] = Counter()
    for item in plan.nodes if plan else ():
        used[item.offering] += item.nodes
    obtainable: Counter[OfferingKey] = Counter()
    for supply in supplies(snapshot, now):
        obtainable[supply.offering] += supply.obtainable
    offerings = []
    for offering in pool.offerings:
        key = offering.key
        mask = snapshot.masks.get(key)
        entry: dict[str, Any] = {
            "zone": key.zone,
            "capacityType": key.capacity_type.value,
            "readyNodes": ready[key],
            "usedNodes": used[key],
            "obtainableNodes": obtainable[key],
            "pricePerHour": offering.price_per_hour,
            "priceSource": offering.price_source.value,
        }
        if mask is not None:
            entry |= {"maskedUntil": format_moment(mask.until), "maskedReason": mask.reason, "strikes": mask.strikes}
        offerings.append(entry)
    fields = {
        "readyNodes": sum(item["readyNodes"] for item in offerings),
        "usedNodes": sum(item["usedNodes"] for item in offerings),
        "obtainableNodes": sum(item["obtainableNodes"] for item in offerings),
        "costPerHour": sum(item["usedNodes"] * item["pricePerHour"] for item in offerings),
        "offerings": offerings,
    }
    said = (_pool_condition(pool, snapshot, ready, now), *priced_condition(snapshot.quoted.get(ref.name), live))
    return status_actions(GPU_NODE_POOL, live, fields, said, now)


def _pool_condition(pool: NodePool, snapshot: Snapshot, ready: Counter[OfferingKey | None], now: datetime) -> Condition:
    found = sum(ready[offering.key] for offering in pool.offerings)
    if pool.provisioning is Provisioning.FIXED and not found:
        return Condition(
            type="Ready",
            status=False,
            reason=Reason.SELECTOR_MATCHES_NOTHING,
            message=f"spec.nodeSelector {dict(pool.node_selector)} matches no Ready node of the pool's zones: "
            "label the nodes or mend the selector",
        )
    masked = [offering.key for offering in pool.offerings if _masked(snapshot, offering.key, now)]
    if len(masked) == len(pool.offerings):
        reason = snapshot.masks[masked[0]].reason
        return Condition(type="Ready", status=False, reason=Reason.OFFERING_MASKED, message=reason)
    message = f"{len(masked)} of {len(pool.offerings)} offerings are masked" if masked else ""
    return Condition(type="Ready", status=True, reason=Reason.AVAILABLE, message=message)


def _masked(snapshot: Snapshot, offering: OfferingKey, now: datetime) -> bool:
    mask = snapshot.masks.get(offering)
    return mask is not None and now < mask.until


def priced_condition(prices: Quoted | None, live: ObjectLike) -> tuple[Condition, ...]:
    """Condition ``Priced``; none where there is no feed, and as it was until an operator that has started has asked."""
    if prices is None:
        return ()
    before = former(live, "Priced")
    if prices.reason is Reason.AWAITING_SIGNAL:
        return (before,) if before is not None else ()
    is_good = prices.reason is Reason.PRICED
    return (Condition(type="Priced", status=is_good, reason=prices.reason, message=prices.message),)
