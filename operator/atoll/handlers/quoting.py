"""Listens to the price feeds of pools: one question per URL at its own pace, ever later after faults."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType

import httpx

from atoll.api.pools import parse_price_feed
from atoll.domain.feed import FeedReading, PriceFeed
from atoll.domain.objects import GPU_NODE_POOL
from atoll.handlers.backoff import Backoff, is_due
from atoll.handlers.cache import Cache
from atoll.handlers.metrics import Metrics
from atoll.handlers.repeating import repeat
from atoll.reconcile.ownership import fleet_of
from atoll.signals.feeds import FeedError, read_feed
from atoll.signals.fetch import Server

logger = logging.getLogger(__name__)

AT_ONCE = 4
_LOOK_SECONDS = 1.0


@dataclass(slots=True)
class _Feed:
    interval_seconds: float
    tag: str = ""
    due: float = 0.0
    reading: FeedReading | None = None
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(slots=True, kw_only=True)
class Quoting:
    """The latest readings of all feeds.

    Attributes:
        cache: where pools are seen.
        fleet: whose pools count.
        http: to ask with.
        metrics: to count in.
        wake: called when there is something new.
        clock: Unix seconds.
    """

    cache: Cache
    fleet: str
    http: httpx.AsyncClient
    metrics: Metrics
    wake: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.time
    _feeds: dict[str, _Feed] = field(default_factory=dict)

    @property
    def readings(self) -> Mapping[str, FeedReading]:
        """What was heard so far, by URL."""
        return MappingProxyType({url: feed.reading for url, feed in self._feeds.items() if feed.reading is not None})

    async def run(self) -> None:
        """Ask until cancelled."""
        await repeat(
            self.look, pause=lambda: _LOOK_SECONDS, metrics=self.metrics, loop="quoting", doing="asking price feeds"
        )

    async def look(self) -> None:
        """Ask for what is due now."""
        self._follow()
        now, places = self.clock(), asyncio.Semaphore(AT_ONCE)
        due = [(url, feed) for url, feed in self._feeds.items() if is_due(feed.due, now, longest=feed.interval_seconds)]
        await asyncio.gather(*(self._ask(url, feed, places) for url, feed in due))

    def _follow(self) -> None:
        pools = self.cache.view().get(GPU_NODE_POOL.name, {}).values()
        wanted: dict[str, PriceFeed] = {}
        for raw in pools:
            feed = parse_price_feed(raw)
            if feed is not None and fleet_of(raw) == self.fleet:
                known = wanted.get(feed.url, feed)
                wanted[feed.url] = min(feed, known, key=lambda item: item.interval_seconds)
        for url in self._feeds.keys() - wanted.keys():
            del self._feeds[url]
        for url, feed in wanted.items():
            self._feeds.setdefault(url, _Feed(feed.interval_seconds)).interval_seconds = feed.interval_seconds

    async def _ask(self, url: str, feed: _Feed, places: asyncio.Semaphore) -> None:
        before = feed.reading or FeedReading()
        async with places:
            try:
                heard = await read_feed(Server(url=url), self.http, feed.tag)
            except FeedError as error:
                feed.due = max(feed.backoff.failed(self.clock()), self.clock())
                feed.reading = replace(before, fault=error.fault)
                self.metrics.feed_queries.labels(result=error.fault.reason.value).inc()
                logger.warning("price feed: %s", error, extra={"reason": error.fault.reason.value})
            else:
                feed.backoff.reset()
                feed.tag = heard.tag
                quotes = before.quotes if heard.quotes is None else heard.quotes
                feed.reading = FeedReading(quotes=quotes, heard_at=datetime.now(UTC))
                feed.due = self.clock() + feed.interval_seconds * random.uniform(0.9, 1.0)  # noqa: S311
                self.metrics.feed_queries.labels(result="answered" if heard.quotes is not None else "unchanged").inc()
        self.wake()
