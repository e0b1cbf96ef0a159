"""What autoscalers said of pods of ours for which they make no node; asked only while such pods wait.

The cluster autoscaler says ``NotTriggerScaleUp``, and ``TriggeredScaleUp`` when a node group grows; Karpenter says
``FailedScheduling``, and ``Nominated`` when a node is on its way.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from atoll.cluster.access import AccessError
from atoll.cluster.client import Client
from atoll.cluster.errors import ClusterError
from atoll.domain.objects import EVENT, POD, ObjectLike
from atoll.handlers.cache import Cache
from atoll.handlers.metrics import Metrics
from atoll.handlers.repeating import repeat
from atoll.reconcile.ownership import is_engine

logger = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
_LONGEST = 200
"""Characters of what an autoscaler said that are kept."""

_SAYS = {
    "cluster-autoscaler": {"NotTriggerScaleUp": True, "TriggeredScaleUp": False},
    "karpenter": {"FailedScheduling": True, "Nominated": False},
}
"""By who says it: reasons of events on pods, and whether they are refusals."""


@dataclass(slots=True, kw_only=True)
class Refusals:
    """The refusals that stand.

    Attributes:
        client: to list events with.
        cache: where pods are seen.
        metrics: to count in.
        wake: called when there is something new.
    """

    client: Client
    cache: Cache
    metrics: Metrics
    wake: Callable[[], None] = lambda: None
    _seen: Mapping[str, str] = field(default_factory=dict, init=False)
    _said: str = field(default="", init=False)

    @property
    def seen(self) -> Mapping[str, str]:
        """What was said last, by uid of the pod."""
        return MappingProxyType(self._seen)

    async def run(self) -> None:
        """Ask until cancelled."""
        await repeat(
            self.look,
            pause=lambda: EVERY_SECONDS,
            metrics=self.metrics,
            loop="refusals",
            doing="asking what autoscalers said",
        )

    async def look(self) -> None:
        """Ask once, where one of our pods waits for a node; while nobody answers, nothing is refused."""
        before = self._seen
        try:
            self._seen = await self._ask() if any(map(_waits, self.cache.view().get(POD.name, {}).values())) else {}
            self._said = ""
        except (ClusterError, AccessError) as error:
            self._seen = {}
            if str(error) != self._said:
                self._said = str(error)
                logger.warning("what autoscalers say is not known: %s", error)
        if self._seen != before:
            self.wake()

    async def _ask(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for who, reasons in _SAYS.items():
            listing = await self.client.list(EVENT, fields=f"involvedObject.kind=Pod,source={who}")
            for uid, event in _newest(listing.items, reasons).items():
                if reasons[event["reason"]]:
                    found[uid] = f"{who}: {str(event.get('message') or '')[:_LONGEST]}"
        return found


def _waits(pod: ObjectLike) -> bool:
    """Whether a pod is ours and a scheduler has found no node for it."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    refused = any(c.get("type") == "PodScheduled" and c.get("reason") == "Unschedulable" for c in conditions)
    return refused and is_engine(pod["metadata"].get("labels") or {})


def _newest(events: Iterable[ObjectLike], reasons: Mapping[str, bool]) -> dict[str, ObjectLike]:
    """The last event of these reasons, by uid of its pod."""
    found: dict[str, ObjectLike] = {}
    for event in events:
        if event.get("reason") in reasons:
            uid = str((event.get("involvedObject") or {}).get("uid", ""))
            if uid not in found or _moment(event) >= _moment(found[uid]):
                found[uid] = event
    return found


def _moment(event: ObjectLike) -> str:
    """When it was last said; times of the API server have one form and zone, so that their texts compare."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return str(next((time for time in times if time), event["metadata"].get("creationTimestamp", "")))
