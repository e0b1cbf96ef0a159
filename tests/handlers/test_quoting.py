"""Listening to price feeds: one question per URL, by its tag, ever later after faults."""

import asyncio
import json
from typing import Any

import httpx

from api import samples
from atoll.domain.objects import GPU_NODE_POOL
from atoll.domain.reason import Reason
from atoll.handlers.cache import Cache
from atoll.handlers.metrics import Metrics
from atoll.handlers.quoting import Quoting

URL = "http://prices.test/feed.json"
DOCUMENT = {
    "schemaVersion": 1,
    "offerings": [{"instanceType": "g6.xlarge", "zone": "us-east-2a", "capacityType": "spot", "pricePerHour": 0.3}],
}


class Bench:
    """Pools with feeds, a clock that a test moves, and a server that answers as it says."""

    def __init__(self, *names: str) -> None:
        self.now = 1000.0
        self.questions: list[httpx.Request] = []
        self.answer: Any = lambda: httpx.Response(200, content=json.dumps(DOCUMENT), headers={"ETag": '"1"'})
        cache = Cache()
        for version, name in enumerate(names, start=1):
            obj = samples.gpu_node_pool()
            obj["metadata"] |= {"name": name, "uid": name, "resourceVersion": str(version)}
            cache.upsert(GPU_NODE_POOL, obj)
        self.quoting = Quoting(
            cache=cache,
            fleet="gold",
            http=httpx.AsyncClient(transport=httpx.MockTransport(self._reply)),
            metrics=Metrics(),
            clock=lambda: self.now,
        )

    def look(self, seconds: float = 0.0) -> None:
        self.now += seconds
        asyncio.run(self.quoting.look())

    def _reply(self, request: httpx.Request) -> httpx.Response:
        self.questions.append(request)
        return self.answer()  # type: ignore[no-any-return]  # a test's own


def test_pools_that_share_a_feed_ask_once_and_by_its_tag() -> None:
    bench = Bench("one", "two")
    bench.look()
    bench.look(1.0)
    assert len(bench.questions) == 1
    bench.answer = lambda: httpx.Response(304)
    bench.look(120.0)
    assert bench.questions[1].headers["If-None-Match"] == '"1"'
    assert len(bench.quoting.readings[URL].quotes) == 1


def test_r7_a_feed_that_fails_is_asked_ever_later_and_what_it_said_stays() -> None:
    bench = Bench("one")
    bench.look()
    bench.answer = lambda: httpx.Response(200, content=b"{}")
    bench.questions.clear()
    for _ in range(300):
        bench.look(1.0)
    reading = bench.quoting.readings[URL]
    assert reading.fault is not None
    assert reading.fault.reason is Reason.INVALID_FEED
    assert len(reading.quotes) == 1
    assert 3 < len(bench.questions) < 20


def test_a_feed_that_is_well_again_is_asked_at_its_interval_and_by_the_tag_that_it_had() -> None:
    bench = Bench("one")
    bench.look()
    good = bench.answer

    def late() -> httpx.Response:
        raise httpx.ReadTimeout("late")

    bench.answer = late
    for _ in range(200):
        bench.look(1.0)
    fault = bench.quoting.readings[URL].fault
    assert fault is not None
    assert fault.reason is Reason.FEED_UNREACHABLE
    assert "gave no answer within" in fault.message
    bench.answer = lambda: httpx.Response(304)
    bench.look(61.0)
    assert bench.questions[-1].headers["If-None-Match"] == '"1"'
    assert bench.quoting.readings[URL].fault is None
    assert len(bench.quoting.readings[URL].quotes) == 1
    bench.answer = good
    asked = len(bench.questions)
    bench.look(1.0)
    assert len(bench.questions) == asked
