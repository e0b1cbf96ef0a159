"""Asks Prometheus how long requests were in the last hour, every few minutes, a few at a time.

It only listens, and is in nobody's way: what cannot be asked is asked later, and what is old is forgotten.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Any

import httpx

from atoll.domain.demand import DemandKey
from atoll.domain.objects import MODEL_DEMAND
from atoll.domain.workload import SeenLengths
from atoll.handlers.backoff import Backoff, is_due
from atoll.handlers.cache import Cache
from atoll.handlers.metrics import Metrics
from atoll.handlers.repeating import repeat
from atoll.reconcile.ownership import fleet_of
from atoll.reconcile.queries import length_queries
from atoll.signals.fetch import Server
from atoll.signals.prometheus import Grid, QueryError, query_range

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 300.0
AT_ONCE = 2
_OLD_SECONDS = 1800.0
_LOOK_SECONDS = 5.0
_STEP_SECONDS = 5.0
_MOST_TOKENS = 1e7
"""Of a mean; beyond it counters lie, and a status with it would be refused as a whole."""


@dataclass(slots=True)
class _Asked:
    """One demand: whose served name, when next, what was heard, and when."""

    served_name: str
    due: float = 0.0
    seen: SeenLengths | None = None
    heard: float = 0.0


@dataclass(slots=True, kw_only=True)
class Sizing:
    """The latest mean lengths of all demands whose engines Prometheus knows.

    Attributes:
        cache: where demands are seen.
        fleet: whose demands are asked for.
        server: Prometheus; None where the operator was told of none.
        http: to ask with.
        metrics: to count in.
        clock: Unix seconds.
    """

    cache: Cache
    fleet: str
    server: Server | None
    http: httpx.AsyncClient
    metrics: Metrics
    clock: Callable[[], float] = time.time
    _asked: dict[DemandKey, _Asked] = field(default_factory=dict)
    _backoff: Backoff = field(default_factory=Backoff)

    @property
    def seen(self) -> Mapping[DemandKey, SeenLengths]:
        """What was heard lately; demands of which nothing is known are missing."""
        since = self.clock() - _OLD_SECONDS
        return MappingProxyType(
            {key: item.seen for key, item in self._asked.items() if item.seen is not None and item.heard >= since}
        )

    async def run(self) -> None:
        """Ask until cancelled; at once where there is nobody to ask."""
        if self.server is not None:
            await repeat(
                self.look, pause=lambda: _LOOK_SECONDS, metrics=self.metrics, loop="sizing", doing="asking for lengths"
            )

    async def look(self) -> None:
        """Ask for what is due now; after a fault for one demand, until one is answered."""
        self._follow()
        now = self.clock()
        due = sorted(
            (item for item in self._asked.values() if is_due(item.due, now, longest=INTERVAL_SECONDS)),
            key=lambda item: item.due,
        )
        if self.server is None or not due or not self._backoff.is_over(now):
            return
        places = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(
            *(self._ask(item, self.server, places) for item in (due[:1] if self._backoff.failures else due))
        )

    def _follow(self) -> None:
        wanted = {}
        for raw in self.cache.view().get(MODEL_DEMAND.name, {}).values():
            metadata, spec = raw["metadata"], _mapping(raw.get("spec"))
            name = _mapping(spec.get("model")).get("servedName")
            # Both engines of a pair count the same request.
            if name and fleet_of(raw) == self.fleet and not _mapping(spec.get("engine")).get("pairs"):
                wanted[DemandKey(namespace=metadata.get("namespace", ""), name=metadata["name"])] = str(name)
        for key in self._asked.keys() - wanted.keys():
            del self._asked[key]
        for key, name in wanted.items():
            if key not in self._asked or self._asked[key].served_name != name:
                self._asked[key] = _Asked(name)

    async def _ask(self, item: _Asked, server: Server, places: asyncio.Semaphore) -> None:
        async with places:
            now = self.clock()
            if not self._backoff.is_over(now):
                return
            at = Grid(begin=now, end=now, step=_STEP_SECONDS)
            try:
                found = [await query_range(server, self.http, query, at) for query in length_queries(item.served_name)]
            except QueryError as error:
                self._backoff.failed(now)
                item.due = now + INTERVAL_SECONDS
                self.metrics.signal_queries.labels(result=error.fault.reason.value).inc()
                return
            self._backoff.reset()
            self.metrics.signal_queries.labels(result="answered").inc(len(found))
            item.due = now + INTERVAL_SECONDS * random.uniform(0.9, 1.0)  # noqa: S311  # spreads load, no secret
            values = [samples[-1][1] if samples else 0.0 for samples in found]
            item.seen, item.heard = _lengths(*values), now


def _lengths(requests: float, prompts: float, answers: float) -> SeenLengths | None:
    """Means of sums; None where they are no sums of requests."""
    if not all(isfinite(value) and value >= 0.0 for value in (requests, prompts, answers)) or requests <= 0.0:
        return None
    seen = SeenLengths(requests=requests, input=prompts / requests, output=answers / requests)
    return seen if max(seen.input, seen.output) <= _MOST_TOKENS else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
