"""Conditions and status writes: what people and pipelines read, written only where it says something new."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from atoll.domain.objects import Action, ApplyStatus, Emit, EventType, Kind, ObjectLike, reference
from atoll.domain.reason import Reason
from atoll.reconcile.difference import differs
from atoll.reconcile.moments import format_moment

_DRIFT = 0.01
"""Numbers that moved by less than this share are not worth a write."""

_MESSAGE_LIMIT = 1024

_SIGNALS = frozenset({"Measured", "Priced", "AsDeclared"})
"""Conditions about what is heard from outside the cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition before it has a time.

    Attributes:
        type: ``Ready``, ``Planned``, ``Routed``, ``Degraded``, ``Measured``, ``AsDeclared`` or ``Priced``.
        status: True, False, or None for unknown.
        reason: one word.
        message: what it means and, where something is wrong, the mend.
    """

    type: str
    status: bool | None
    reason: Reason
    message: str = ""


def status_actions(
    kind: Kind,
    live: ObjectLike,
    fields: Mapping[str, Any],
    conditions: Sequence[Condition],
    now: datetime,
    *,
    exact: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Action, ...]:
    """The status write for one object, and events where its readiness changed; empty where nothing is new.

    Args:
        kind: of the object.
        live: the object as last seen.
        fields: status fields other than the conditions, numbers already in their unit.
        conditions: as they are now.
        now: the moment.
        exact: further status fields, written as they are because decisions read them back, or sums build upon them.
    """
    metadata = live["metadata"]
    generation = metadata.get("generation", 0)
    before: Mapping[str, Any] = live.get("status") or {}
    previous = {item["type"]: item for item in before.get("conditions") or ()}
    rendered = [_render(item, previous.get(item.type), generation, now) for item in conditions]
    status = {
        **{key: settle(value, before.get(key)) for key, value in fields.items()},
        **exact,
        "observedGeneration": generation,
        "conditions": rendered,
    }
    if not differs(status, before, exact=True):
        return ()
    identity = {"name": metadata["name"]} | ({"namespace": metadata["namespace"]} if kind.namespaced else {})
    intent = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": identity, "status": status}
    return (ApplyStatus(intent=intent, live_uid=metadata.get("uid", "")), *_events(live, conditions, previous))


def former(live: ObjectLike, kind: str) -> Condition | None:
    """A condition as it was written last; None where it was not, or nobody can read it."""
    for item in (live.get("status") or {}).get("conditions") or ():
        if item.get("type") == kind and item.get("reason") in set(Reason):
            status = {"True": True, "False": False}.get(item.get("status", ""))
            return Condition(type=kind, status=status, reason=Reason(item["reason"]), message=item.get("message", ""))
    return None


def settle(value: Any, before: Any) -> Any:
    """A number rounded to three decimals, or the former one where it moved by less than a hundredth.

    Goes through lists and maps.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | list | Mapping):
        return value
    if isinstance(value, Mapping):
        known = before if isinstance(before, Mapping) else {}
        return {key: settle(item, known.get(key)) for key, item in value.items()}
    if isinstance(value, list):
        former = before if isinstance(before, list) and len(before) == len(value) else [None] * len(value)
        return [settle(item, old) for item, old in zip(value, former, strict=True)]
    if isinstance(value, int):
        return value
    rounded = round(value, 3)
    if isinstance(before, int | float) and before and abs(rounded - before) < _DRIFT * abs(before):
        return before
    return rounded


def _render(item: Condition, previous: Mapping[str, Any] | None, generation: int, now: datetime) -> dict[str, Any]:
    status = "Unknown" if item.status is None else str(item.status)
    unchanged = previous is not None and previous.get("status") == status
    return {
        "type": item.type,
        "status": status,
        "reason": item.reason.value,
        "message": item.message[:_MESSAGE_LIMIT],
        "observedGeneration": generation,
        "lastTransitionTime": (unchanged and previous and previous.get("lastTransitionTime")) or format_moment(now),
    }


def _events(
    live: ObjectLike, conditions: Sequence[Condition], previous: Mapping[str, Mapping[str, Any]]
) -> tuple[Action, ...]:
    """News of how the object stands as a whole, and of its signals, whose loss changes nothing else yet."""
    found = []
    for item in conditions:
        before = previous.get(item.type, {})
        if item.type == "Ready":
            is_news = before.get("reason") != item.reason.value
        else:
            is_news = item.type in _SIGNALS and item.status is not None and before.get("status") != str(item.status)
        if not is_news or (item.status and not before):
            continue  # all is well from the start: no news
        found.append(
            Emit(
                target=reference(live),
                uid=live["metadata"].get("uid", ""),
                type=EventType.NORMAL if item.status is not False or _is_progress(item.reason) else EventType.WARNING,
                reason=item.reason.value,
                message=item.message or item.reason.value,
            )
        )
    return tuple(found)


def _is_progress(reason: Reason) -> bool:
    """Reasons of a normal start: not ready yet, and nothing is wrong."""
    return reason in {
        Reason.REPLICAS_STARTING,
        Reason.SCHEDULING_GATED,
        Reason.ROUTER_NOT_SYNCED,
        Reason.AWAITING_APPROVAL,
        Reason.PLANNED,
    }
