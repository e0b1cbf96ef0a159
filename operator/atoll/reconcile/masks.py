"""Offerings that give nothing for a while: learnt from pods that stay Pending, kept in the pool's status.

Masking must work from Pending time alone: an autoscaler that finds nothing to be had makes no NodeClaim
(docs/architecture.md). The wait doubles with every strike, so a scarce offering is tried again, but ever less often.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from atoll.domain.gpu import CapacityType
from atoll.domain.pool import OfferingKey
from atoll.domain.snapshot import Mask, ObservedDeployment, Snapshot
from atoll.reconcile.moments import parse_moment
from atoll.reconcile.running import pods_by_deployment, seconds_waiting

FIRST_WAIT = timedelta(minutes=5)
LONGEST_WAIT = timedelta(hours=1)
_DOUBLINGS = 10
"""More than the longest wait needs; without an end the wait of an offering that is scarce for days overflows."""


def read_masks(pool: Mapping[str, Any]) -> dict[OfferingKey, Mask]:
    """The masks that a GPUNodePool's status keeps; an entry that cannot be read is no mask."""
    found = {}
    for item in (pool.get("status") or {}).get("offerings") or ():
        until = parse_moment(item.get("maskedUntil"))
        if until is None:
            continue
        try:
            terms = CapacityType(item["capacityType"])
            key = OfferingKey(pool=pool["metadata"]["name"], zone=item["zone"], capacity_type=terms)
            strikes = int(item.get("strikes", 1))
        except (KeyError, TypeError, ValueError):
            continue
        found[key] = Mask(offering=key, until=until, strikes=strikes, reason=str(item.get("maskedReason", "")))
    return found


def next_masks(snapshot: Snapshot, now: datetime) -> dict[OfferingKey, Mask]:
    """The masks that should hold now: those that still count, new strikes, and none where pods found nodes.

    An offering gets a strike when one of our pods has been Pending there for longer than the pool's start-up time and
    the fleet's pending time-out together, or than the time-out alone where an autoscaler says that it makes no node.
    While a mask counts it gets no further strike.
    """
    pods = pods_by_deployment(snapshot)
    struck: dict[OfferingKey, tuple[float, str]] = {}
    placed: set[OfferingKey] = set()
    for deployment in snapshot.deployments:
        for pod in pods.get((deployment.namespace, deployment.name), ()):
            waited, key = seconds_waiting(pod, snapshot, now), deployment.offering
            if pod.node:
                if waited < _patience(snapshot, deployment):
                    placed.add(key)
                continue
            said = snapshot.refused.get(pod.uid, "")
            if waited > (snapshot.fleet.pending_timeout_seconds if said else _patience(snapshot, deployment)):
                struck[key] = max(struck.get(key, (0.0, "")), (waited, said))
    masks = {
        key: _bounded(mask, now)
        for key, mask in snapshot.masks.items()
        if now < mask.until or (key not in placed and now - mask.until < LONGEST_WAIT)
    }
    for key, (waited, said) in struck.items():
        old = masks.get(key)
        if old is not None and now < old.until:
            continue
        strikes = old.strikes + 1 if old is not None else 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(strikes - 1, _DOUBLINGS))
        reason = f"a pod was Pending for {waited:.0f} s and {said or 'no node came'}"
        masks[key] = Mask(offering=key, until=now + wait, strikes=strikes, reason=reason)
    return masks


def _bounded(mask: Mask, now: datetime) -> Mask:
    """The mask, no farther away than it was ever set: an operator with another clock may have set it."""
    return mask if mask.until - now <= LONGEST_WAIT else replace(mask, until=now + LONGEST_WAIT)


def _patience(snapshot: Snapshot, deployment: ObservedDeployment) -> float:
    """Seconds that a pod of a Deployment may be Pending before its offering is masked."""
    pool = snapshot.pools.get(deployment.offering.pool)
    return snapshot.fleet.pending_timeout_seconds + (pool.startup_seconds if pool else 0.0)
