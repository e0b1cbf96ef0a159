"""Carry out actions, one after another: the only place from which the operator changes the fleet."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from atoll.cluster.client import Client
from atoll.cluster.errors import ClusterError, ConflictError, NotFoundError
from atoll.cluster.events import EventMemory, event_object
from atoll.domain.objects import Action, Apply, ApplyStatus, Delete, Emit, ObjectLike, Scale
from atoll.domain.reason import Reason


class Result(StrEnum):
    """What became of an action."""

    DONE = "Done"
    STALE = "Stale"
    """The cluster is no longer as it was seen (409, 404, something is there after all): decide from a new snapshot."""
    SKIPPED = "Skipped"
    """Not sent: no Lease, or an event that was told a short while ago."""
    FAILED = "Failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one action.

    Attributes:
        action: that was tried.
        result: how it ended.
        obj: the object as the API server answered it; None where it answered none.
        reason: for a condition; None unless something is wrong.
        error: in a sentence, naming the object; empty unless something is wrong.
    """

    action: Action
    result: Result
    obj: ObjectLike | None = None
    reason: Reason | None = None
    error: str = ""


async def execute(
    actions: Sequence[Action],
    client: Client,
    *,
    may_write: Callable[[], bool],
    memory: EventMemory,
    clock: Callable[[], float] = time.monotonic,
    today: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> tuple[Outcome, ...]:
    """Try every action once, in order; none stops those after it, and none is tried without the Lease."""
    outcomes: list[Outcome] = []
    for action in actions:
        if not may_write():
            lost = Outcome(
                action=action,
                result=Result.SKIPPED,
                reason=Reason.LEASE_NOT_HELD,
                error="another operator may hold the Lease",
            )
            outcomes.append(lost)
        elif isinstance(action, Emit) and not memory.admit(action, clock()):
            outcomes.append(Outcome(action=action, result=Result.SKIPPED))
        else:
            outcomes.append(await _try(action, client, today))
    return tuple(outcomes)


async def _try(action: Action, client: Client, today: Callable[[], datetime]) -> Outcome:
    try:
        obj = await _send(action, client, today)
    except (ConflictError, NotFoundError) as error:
        return Outcome(action=action, result=Result.STALE, error=str(error))
    except ClusterError as error:
        return Outcome(action=action, result=Result.FAILED, reason=error.reason, error=str(error))
    return Outcome(action=action, result=Result.DONE, obj=obj)


async def _send(action: Action, client: Client, today: Callable[[], datetime]) -> ObjectLike | None:
    match action:
        case Apply(live_uid=""):
            return await client.create(action.intent)
        case Apply():
            return await client.apply(action.intent, uid=action.live_uid, resource_version=action.live_resource_version)
        case ApplyStatus():
            return await client.apply_status(action.intent, uid=action.live_uid)
        case Scale():
            await client.scale(action)
            return None  # a Scale is answered, not the Deployment
        case Delete():
            if action.absent is not None and await client.exists(action.absent):
                raise ConflictError(f"{action.target} is not deleted: {action.absent} is there")
            answer = await client.delete(action)
            return answer if answer.get("kind") == action.target.kind else None
        case Emit():
            await client.create(event_object(action, today()))
            return None
