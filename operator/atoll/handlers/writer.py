"""Carry actions out as the leader, and let the cache know what came of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from atoll.cluster.client import Client
from atoll.cluster.events import EventMemory
from atoll.cluster.execute import Outcome, Result, execute
from atoll.domain.objects import (
    KINDS,
    RESOURCE_CLAIM_TEMPLATE,
    Action,
    Apply,
    ApplyStatus,
    Delete,
    Emit,
    ObjectLike,
    Scale,
    reference,
)
from atoll.handlers.cache import Cache, View
from atoll.handlers.leader import Leader
from atoll.handlers.metrics import Metrics
from atoll.handlers.pruned import Pruned
from atoll.handlers.unwritten import Unwritten
from atoll.handlers.watch import CACHED

_KEPT = {*CACHED, RESOURCE_CLAIM_TEMPLATE}
"""Kinds of which the cache is told what became of a write."""


@dataclass(slots=True, kw_only=True)
class Writer:
    """The one way from a decision to the API server.

    Attributes:
        client: to write with.
        leader: says whether we may.
        cache: is told the answers, so that the next decision knows of our own writes.
        metrics: to count in.
        fleet: name of the Fleet, which is told what is refused of the router.
        unwritten: what was refused lately.
        pruned: knows what the API server does not take of our writes.
    """

    client: Client
    leader: Leader
    cache: Cache
    metrics: Metrics
    fleet: str = "default"
    unwritten: Unwritten = field(default_factory=Unwritten)
    pruned: Pruned = field(default_factory=Pruned)
    _memory: EventMemory = field(default_factory=EventMemory)

    async def write(self, actions: Sequence[Action]) -> tuple[Outcome, ...]:
        """Try every action once, in order, but those that were refused lately; whom a refusal concerns is told.

        Nor is sent what the API server would answer with what is there already.
        """
        outcomes = await self._execute(self.unwritten.due(self._of_use(actions)))
        if again := {index: fit for index, item in enumerate(outcomes) if (fit := self._fitted(item)) is not None}:
            found = dict(zip(again, await self._execute(list(again.values())), strict=True))
            outcomes = tuple(found.get(index, item) for index, item in enumerate(outcomes))
        self.unwritten.learn(outcomes)
        await self._execute(self.unwritten.told(outcomes, self.cache.view(), self.fleet))
        return outcomes

    def _of_use(self, actions: Sequence[Action]) -> Sequence[Action]:
        if not self.pruned.fields():
            return actions
        view = self.cache.view()
        of_use = (action for action in actions if not self.pruned.in_vain(action, _live(action, view)))
        return [self.pruned.fitted(action) for action in of_use]

    def _fitted(self, outcome: Outcome) -> Action | None:
        """A write that was refused for fields that older definitions lack, without these; None for any other."""
        fit = self.pruned.fitted(outcome.action)
        return fit if outcome.result is Result.FAILED and fit is not outcome.action else None

    async def _execute(self, actions: Sequence[Action]) -> tuple[Outcome, ...]:
        if not actions:
            return ()
        outcomes = await execute(actions, self.client, may_write=self.leader.may_write, memory=self._memory)
        for outcome in outcomes:
            self._count(outcome)
            self._remember(outcome)
            self.pruned.learn(outcome)
        return outcomes

    def _count(self, outcome: Outcome) -> None:
        verb, kind = _named(outcome.action)
        self.metrics.writes.labels(verb=verb, kind=kind, result=outcome.result.value).inc()

    def _remember(self, outcome: Outcome) -> None:
        """An answer shows the object as it is now; one that is being deleted stays until the watch says it is gone.

        Claim templates are not watched, and go at once: what was written again every second until the next list would
        be refused every time.
        """
        if outcome.result is not Result.DONE:
            return
        action = outcome.action
        if isinstance(action, Delete) and action.target.kind == RESOURCE_CLAIM_TEMPLATE.name:
            target = action.target
            metadata = {"namespace": target.namespace, "name": target.name, "uid": action.uid}
            self.cache.remove(
                RESOURCE_CLAIM_TEMPLATE, {"metadata": {**metadata, "resourceVersion": action.resource_version}}
            )
        elif outcome.obj is not None and KINDS[outcome.obj["kind"]] in _KEPT:
            self.cache.observe_write(outcome.obj)


def _live(action: Action, view: View) -> ObjectLike | None:
    if not isinstance(action, Apply | ApplyStatus):
        return None
    target = reference(action.intent)
    return view.get(target.kind, {}).get(target)


def _named(action: Action) -> tuple[str, str]:
    match action:
        case Apply():
            return ("apply" if action.live_uid else "create"), str(action.intent["kind"])
        case ApplyStatus():
            return "status", str(action.intent["kind"])
        case Scale():
            return "scale", action.target.kind
        case Delete():
            return "delete", action.target.kind
        case Emit():
            return "event", action.target.kind
