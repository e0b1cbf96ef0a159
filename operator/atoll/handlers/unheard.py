"""Nodes that pods are bound to and that nothing was heard of yet: the watch of nodes may lag that of pods."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from atoll.domain.snapshot import Snapshot

_LAG = timedelta(seconds=30)
"""Longest that the two watches are thought to be apart; a node that is still missing then counts as gone."""


@dataclass(slots=True)
class Unheard:
    """Remembers which nodes were there, and since when others are missing."""

    _heard: set[str] = field(default_factory=set)
    _missing: dict[str, datetime] = field(default_factory=dict)

    def of(self, snapshot: Snapshot, now: datetime) -> frozenset[str]:
        """Names of nodes that may yet be heard of; a node that was there and is not any more is none of them."""
        bound = {pod.node for pod in snapshot.pods if pod.node}
        self._heard = {*snapshot.nodes, *(self._heard & bound)}
        self._missing = {name: min(now, self._missing.get(name, now)) for name in bound - self._heard}
        return frozenset(name for name, since in self._missing.items() if now - since < _LAG)
