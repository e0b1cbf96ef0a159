"""The Lease that makes one operator the only writer, as a pure function of what was seen and a monotonic clock.

The rules are client-go's: times written by another machine are never compared with our clock. A holder is presumed dead
only when its Lease did not change for a whole duration **while we watched**. We ourselves stop writing when our last
renewal, counted from when it was sent, is older than the renewal deadline, well before anyone may presume us dead.
One rule differs: an API server that was away is no reason to exit. If the Lease is still ours afterwards we go on; if
another one took it, it is lost for good.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from atoll.domain.objects import LEASE, ObjectLike

NAME = "atoll-operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTerms:
    """How long is what, in seconds.

    Attributes:
        duration: a Lease that did not change for so long may be taken.
        renew_deadline: after so long without a renewal its holder writes no more; less than the duration.
        retry: between two looks or renewals.
    """

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLease:
    """The Lease as the API server gave it.

    Attributes:
        uid: ``metadata.uid``.
        version: ``metadata.resourceVersion``; another one means that its holder lives.
        holder: identity; empty where it was released.
        duration: that its holder promised, seconds.
        transitions: how often it changed hands.
        acquired: ``spec.acquireTime`` as written.
    """

    uid: str
    version: str
    holder: str
    duration: float
    transitions: int
    acquired: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseState:
    """What one operator knows.

    Attributes:
        identity: its own, unique to the process.
        seen: the Lease as last seen; None before the first look, or where there is none.
        changed_at: since when it was seen like that without a longer pause, monotonic, seconds.
        looked_at: when it was last looked at, monotonic, seconds.
        renewed_at: when our last renewal that succeeded was sent, monotonic, seconds; None while we do not hold it.
    """

    identity: str
    seen: SeenLease | None = None
    changed_at: float = 0.0
    looked_at: float = 0.0
    renewed_at: float | None = None


class LeaseStep(StrEnum):
    """What to do about the Lease now."""

    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"
    LOST = "lost"


def step(state: LeaseState, seen: SeenLease | None, now: float, terms: LeaseTerms) -> tuple[LeaseState, LeaseStep]:
    """What a look at the Lease means at monotonic time ``now``."""
    held = state.renewed_at is not None
    # While the API server was away nobody could renew: its holder gets a whole duration from now on.
    blind = now - state.looked_at > terms.renew_deadline
    state = replace(state, looked_at=now)
    if seen is None:
        # Whoever deleted it made room for another holder: what we held is over at once.
        return replace(state, seen=None, renewed_at=None, changed_at=now), LeaseStep.CREATE
    changed = state.seen is None or (state.seen.uid, state.seen.version) != (seen.uid, seen.version)
    state = replace(state, seen=seen, changed_at=now if changed or blind else state.changed_at)
    if seen.holder == state.identity:
        return state, LeaseStep.RENEW
    if held:
        return replace(state, renewed_at=None), LeaseStep.LOST
    if not seen.holder or now - state.changed_at >= max(seen.duration, terms.duration):
        return state, LeaseStep.TAKE
    return state, LeaseStep.WAIT


def written(state: LeaseState, seen: SeenLease, sent_at: float) -> LeaseState:
    """After our write of the Lease succeeded, which was sent at monotonic time ``sent_at``."""
    return replace(state, seen=seen, changed_at=sent_at, looked_at=sent_at, renewed_at=sent_at)


def seconds_left(state: LeaseState, now: float, terms: LeaseTerms) -> float:
    """How long we may still write, seconds; 0 where we may not."""
    if state.renewed_at is None:
        return 0.0
    return max(0.0, state.renewed_at + terms.renew_deadline - now)


def lease_object(
    state: LeaseState, namespace: str, at: datetime, terms: LeaseTerms, *, released: bool = False
) -> dict[str, Any]:
    """The Lease as we write it; the times in it are for people."""
    seen = state.seen
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    ours = seen is not None and seen.holder == state.identity
    changes_hands = seen is not None and not ours
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.name,
        "metadata": {
            "name": NAME,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "atoll"},
        },
        "spec": {
            "holderIdentity": "" if released else state.identity,
            # A released Lease may be taken at once.
            "leaseDurationSeconds": 1 if released else int(terms.duration),
            "acquireTime": seen.acquired if seen is not None and ours else stamp,
            "renewTime": stamp,
            "leaseTransitions": (seen.transitions if seen is not None else 0) + changes_hands,
        },
    }


def read_lease(obj: ObjectLike) -> SeenLease:
    """The Lease from its object; what another writer left out counts as empty."""
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    return SeenLease(
        uid=metadata.get("uid", ""),
        version=metadata.get("resourceVersion", ""),
        holder=spec.get("holderIdentity") or "",
        duration=float(spec.get("leaseDurationSeconds") or 0),
        transitions=int(spec.get("leaseTransitions") or 0),
        acquired=spec.get("acquireTime") or "",
    )
