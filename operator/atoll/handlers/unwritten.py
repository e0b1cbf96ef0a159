"""Writes that the API server refuses: they wait, ever longer, and whoever they concern is told.

A quota, a policy or a permission that is in the way stays there until somebody acts. Asking again at every look would
fill logs and audits, and hold up all other writes.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from atoll.cluster.execute import Outcome, Result
from atoll.domain.objects import (
    FLEET,
    FLEET_PLAN,
    KINDS,
    MODEL_DEMAND,
    OUR_KINDS,
    Action,
    Apply,
    ApplyStatus,
    Delete,
    Emit,
    EventType,
    ObjectLike,
    Reference,
    Scale,
    reference,
)
from atoll.domain.reason import Reason
from atoll.handlers.backoff import LONGEST_SECONDS, Backoff
from atoll.handlers.cache import View
from atoll.reconcile.ownership import demand_of

_REFUSED = {Reason.FORBIDDEN, Reason.WRITE_REFUSED, Reason.OBJECT_TOO_LARGE}
_FORGOTTEN_SECONDS = 10.0 * LONGEST_SECONDS
_TAKEN_AFTER = 5
"""Times in a row that a name is taken by what we do not see: before, the watch may only be late."""


@dataclass(slots=True)
class _Refused:
    content: Any
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(slots=True)
class Unwritten:
    """Remembers what was refused.

    Attributes:
        clock: monotonic, seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _refused: dict[tuple[str, Reference], _Refused] = field(default_factory=dict)

    def due(self, actions: Iterable[Action]) -> tuple[Action, ...]:
        """All but those that were refused as they are and have still to wait."""
        now = self.clock()
        return tuple(action for action in actions if not self._waits(action, now))

    def learn(self, outcomes: Iterable[Outcome]) -> None:
        """Take what became of writes; what is not wished for any more is forgotten after a while."""
        now = self.clock()
        for outcome in outcomes:
            self._learn(outcome, now)
        self._refused = {
            key: item for key, item in self._refused.items() if now - item.backoff.until < _FORGOTTEN_SECONDS
        }

    def told(self, outcomes: Iterable[Outcome], view: View, fleet: str) -> tuple[Emit, ...]:
        """Events of refusals, on the demand, pool, profile or Fleet that they concern.

        Args:
            outcomes: that were learnt.
            view: where these are looked up.
            fleet: name of the Fleet; the router's objects concern it.
        """
        found = (self._event(outcome, view, fleet) for outcome in outcomes)
        return tuple(event for event in found if event is not None)

    def _waits(self, action: Action, now: float) -> bool:
        known = self._refused.get(_key(action))
        return known is not None and known.content == _content(action) and not known.backoff.is_over(now)

    def _learn(self, outcome: Outcome, now: float) -> None:
        key, content = _key(outcome.action), _content(outcome.action)
        if outcome.result is Result.SKIPPED or isinstance(outcome.action, Emit):
            return  # events are told seldom anyhow
        if not (_is_refused(outcome) or _is_taken(outcome)):
            self._refused.pop(key, None)
            return
        known = self._refused.get(key)
        if known is None or known.content != content:
            known = self._refused[key] = _Refused(content)
        known.backoff.failed(now)

    def _event(self, outcome: Outcome, view: View, fleet: str) -> Emit | None:
        reason, message = outcome.reason, outcome.error
        if _is_taken(outcome):
            known = self._refused.get(_key(outcome.action))
            if known is None or known.backoff.failures < _TAKEN_AFTER:
                return None
            reason = Reason.WRITE_REFUSED
            message = f"{message}; if something else is called so, rename it or the ModelDemand"
        elif not _is_refused(outcome):
            return None
        concerned = _concerned(outcome.action, view, fleet)
        live = _seen(concerned, view)
        if reason is None or live is None:
            return None
        uid = str(live["metadata"].get("uid", ""))
        return Emit(target=concerned, uid=uid, type=EventType.WARNING, reason=reason.value, message=message)


def _is_refused(outcome: Outcome) -> bool:
    return outcome.result is Result.FAILED and outcome.reason in _REFUSED and not isinstance(outcome.action, Emit)


def _is_taken(outcome: Outcome) -> bool:
    """Whether nothing could be created because something of that name is there."""
    action = outcome.action
    return outcome.result is Result.STALE and isinstance(action, Apply) and not action.live_uid


def _key(action: Action) -> tuple[str, Reference]:
    return type(action).__name__, _target(action)


def _target(action: Action) -> Reference:
    return reference(action.intent) if isinstance(action, Apply | ApplyStatus) else action.target


def _content(action: Action) -> Any:
    """What must differ for another try at once: not the times that statuses and drains have in them."""
    match action:
        case Apply():
            return {key: value for key, value in action.intent.items() if key != "metadata"}
        case Scale():
            return action.replicas
        case Delete():
            return action.uid
        case _:
            return None


def _concerned(action: Action, view: View, fleet: str) -> Reference:
    target = _target(action)
    if KINDS[target.kind] in OUR_KINDS and target.kind != FLEET_PLAN.name:
        return target
    obj = _seen(target, view) or (action.intent if isinstance(action, Apply | ApplyStatus) else {})
    demand = demand_of(target.namespace, (obj.get("metadata") or {}).get("labels") or {})
    if demand is None:
        return Reference(kind=FLEET.name, name=fleet)
    return Reference(kind=MODEL_DEMAND.name, namespace=demand.namespace, name=demand.name)


def _seen(target: Reference, view: View) -> ObjectLike | None:
    return view.get(target.kind, {}).get(target)
