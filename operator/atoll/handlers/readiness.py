"""Since when pods are Ready, where the clock of their node is ahead of ours: then from when they were first seen so."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from atoll.domain.snapshot import ObservedPod


@dataclass(slots=True)
class Readiness:
    """Remembers when pods that say to be Ready from the future on were first seen.

    Without it nothing would be relied on that runs on such a node until the clocks have met, so that no move ends.

    Attributes:
        first_seen: by uid, and the moment that the pod tells.
    """

    first_seen: dict[tuple[str, datetime], datetime] = field(default_factory=dict)

    def of(self, pods: Iterable[ObservedPod], now: datetime) -> tuple[ObservedPod, ...]:
        """The pods, none Ready since later than it was first seen."""
        known = self.first_seen
        self.first_seen = {}
        return tuple(self._of(pod, known, now) for pod in pods)

    def _of(self, pod: ObservedPod, known: dict[tuple[str, datetime], datetime], now: datetime) -> ObservedPod:
        if pod.ready_since is None:
            return pod
        told = pod.uid, pod.ready_since
        if pod.ready_since <= now and told not in known:
            return pod
        self.first_seen[told] = known.get(told, now)
        return replace(pod, ready_since=min(pod.ready_since, self.first_seen[told]))
