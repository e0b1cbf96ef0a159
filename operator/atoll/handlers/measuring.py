"""Asks Prometheus for measured demand: one query per demand at its own pace, a few at a time, ever later after faults.

It only listens: readings go into snapshots, where decisions are. Whatever happens here, planner and executor go on.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType

import httpx

from atoll.api.demands import parse_demand_signal
from atoll.domain.demand import DemandKey
from atoll.domain.objects import MODEL_DEMAND, ObjectLike
from atoll.domain.reason import Fault, Reason
from atoll.domain.signal import HISTORY, SAMPLES, DemandSignal, Reading
from atoll.handlers.backoff import Backoff, is_due
from atoll.handlers.cache import Cache
from atoll.handlers.metrics import Metrics
from atoll.handlers.repeating import repeat
from atoll.reconcile.ownership import fleet_of
from atoll.reconcile.queries import demand_query
from atoll.signals.fetch import Server
from atoll.signals.prometheus import Grid, QueryError, Samples, grid, query_range

logger = logging.getLogger(__name__)

AT_ONCE = 8
"""Queries under way at one time."""

_LOOK_SECONDS = 1.0
_SETTLING_SECONDS = 2.0
"""After a moment of the grid before it is asked for: scrapes of that moment are stored by then."""

NOT_CONFIGURED = Reading(
    fault=Fault(
        reason=Reason.SIGNAL_NOT_CONFIGURED,
        message="the operator knows no Prometheus: set ATOLL_PROMETHEUS_URL of the operator",
    )
)


@dataclass(slots=True)
class _Asked:
    """One demand that is asked for.

    Attributes:
        query: PromQL; another one starts anew.
        signal: how it is measured.
        due: when it is asked next, Unix seconds.
        reading: what was heard so far.
        backoff: after faults.
    """

    query: str
    signal: DemandSignal
    due: float = 0.0
    reading: Reading | None = None
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(slots=True, kw_only=True)
class Measuring:
    """The latest readings of all measured demands.

    Attributes:
        cache: where demands are seen.
        fleet: whose demands are asked for.
        server: Prometheus; None where the operator was told of none.
        http: to ask with.
        metrics: to count in.
        wake: called when there is news that should not wait for the loops' next tick: a first answer, a fault, its end.
        clock: Unix seconds.
    """

    cache: Cache
    fleet: str
    server: Server | None
    http: httpx.AsyncClient
    metrics: Metrics
    wake: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.time
    _asked: dict[DemandKey, _Asked] = field(default_factory=dict)
    _server_backoff: Backoff = field(default_factory=Backoff)

    @property
    def readings(self) -> Mapping[DemandKey, Reading]:
        """What was heard so far; demands that nobody has asked for yet are missing."""
        return MappingProxyType({key: item.reading for key, item in self._asked.items() if item.reading is not None})

    async def run(self) -> None:
        """Ask until cancelled."""
        await repeat(
            self.look,
            pause=lambda: _LOOK_SECONDS,
            metrics=self.metrics,
            loop="measuring",
            doing="asking for measured demand",
        )

    async def look(self) -> None:
        """Ask for what is due now."""
        self._follow()
        if self.server is None:
            self._tell_all(NOT_CONFIGURED)
            return
        now = self.clock()
        due = [item for item in self._asked.values() if is_due(item.due, now, longest=item.signal.step_seconds)]
        if not due or not self._server_backoff.is_over(now):
            return
        if self._server_backoff.failures:  # one question finds out as well as many
            due = [min(due, key=lambda item: item.due)]
        places = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._ask(item, self.server, places) for item in due))

    def _follow(self) -> None:
        """Take up demands that are measured, and forget those that are not any more."""
        wanted: dict[DemandKey, tuple[str, DemandSignal]] = {}
        for raw in self.cache.view().get(MODEL_DEMAND.name, {}).values():
            found = _question(raw, self.fleet)
            if found is not None:
                key, query, signal = found
                wanted[key] = (query, signal)
        for key in self._asked.keys() - wanted.keys():
            del self._asked[key]
        for key, (query, signal) in wanted.items():
            known = self._asked.get(key)
            if known is None or known.query != query or known.signal.step_seconds != signal.step_seconds:
                self._asked[key] = _Asked(query=query, signal=signal)
            else:
                known.signal = signal

    def _tell_all(self, reading: Reading) -> None:
        fresh = [item for item in self._asked.values() if item.reading is not reading]
        for item in fresh:
            item.reading = reading
        if fresh:
            self.wake()

    async def _ask(self, item: _Asked, server: Server, places: asyncio.Semaphore) -> None:
        async with places:
            if not self._server_backoff.is_over(self.clock()):
                return  # another question found out meanwhile
            now, signal = self.clock(), item.signal
            whole = grid(
                now=now - _SETTLING_SECONDS, window=signal.window_seconds * HISTORY / SAMPLES, step=signal.step_seconds
            )
            known = item.reading.samples if item.reading is not None else ()
            over = _missing(whole, known)
            begun = time.monotonic()
            try:
                samples = await query_range(server, self.http, item.query, over)
            except QueryError as error:
                self._failed(item, error)
            else:
                if item.reading is None or item.reading.fault is not None:
                    self.wake()
                kept = tuple(sample for sample in known if whole.begin <= sample[0] < over.begin)
                item.reading = Reading(samples=(kept + samples)[-HISTORY:], heard_at=datetime.now(UTC))
                item.backoff.reset()
                self._server_backoff.reset()
                item.due = over.end + signal.step_seconds + _SETTLING_SECONDS + random.uniform(0.0, 1.0)  # noqa: S311
                self.metrics.signal_queries.labels(result="answered").inc()
            self.metrics.signal_seconds.observe(time.monotonic() - begun)

    def _failed(self, item: _Asked, error: QueryError) -> None:
        now = self.clock()
        self.metrics.signal_queries.labels(result=error.fault.reason.value).inc()
        logger.warning("measured demand: %s", error, extra={"reason": error.fault.reason.value})
        if item.reading is None or item.reading.fault is None:
            self.wake()
        if error.of_server:
            self._server_backoff.failed(now)
            item.due = now  # the next to find out is another one: this query may be what the server fails at
            for each in self._asked.values():
                each.reading = replace(each.reading or Reading(), fault=error.fault)
        else:
            item.reading = replace(item.reading or Reading(), fault=error.fault)
            item.due = item.backoff.failed(now)


def _question(raw: ObjectLike, fleet: str) -> tuple[DemandKey, str, DemandSignal] | None:
    signal = parse_demand_signal(raw)
    if signal is None or signal.counted or raw["metadata"].get("deletionTimestamp") or fleet_of(raw) != fleet:
        return None
    key = DemandKey(namespace=raw["metadata"].get("namespace", ""), name=raw["metadata"]["name"])
    return key, demand_query(key, raw["spec"]["model"]["servedName"], signal), signal


def _missing(whole: Grid, known: Samples) -> Grid:
    """The part of a grid that is not known yet; the last three samples are asked for again, for late scrapes."""
    if not known:
        return whole
    since = known[-1][0] - 2.0 * whole.step
    return replace(whole, begin=max(whole.begin, min(since, whole.end)))
