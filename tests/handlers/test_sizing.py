"""Asking how long requests were: rarely, a few at a time, and in nobody's way."""

import asyncio
import json
from urllib.parse import parse_qs

import httpx

from api import samples
from atoll.domain.demand import DemandKey
from atoll.domain.objects import MODEL_DEMAND
from atoll.domain.workload import SeenLengths
from atoll.handlers.cache import Cache
from atoll.handlers.metrics import Metrics
from atoll.handlers.sizing import INTERVAL_SECONDS, Sizing
from atoll.signals.fetch import Server

START = 1_000_000.0
KEY = DemandKey(namespace="team-a", name="chat")


class Bench:
    """A clock that a test moves, and a Prometheus with three sums."""

    def __init__(self, *names: str) -> None:
        self.now = START
        self.questions: list[str] = []
        self.sums: dict[str, str] = {"request_success": "400", "prompt_tokens": "400000", "generation_tokens": "80000"}
        self.status = 200
        self.cache = Cache()
        for version, name in enumerate(names, start=1):
            obj = samples.model_demand()
            obj["metadata"] |= {"name": name, "uid": name, "resourceVersion": str(version)}
            obj["spec"]["model"]["servedName"] = name
            obj["spec"]["engine"]["pairs"] = name == "pairs"
            self.cache.upsert(MODEL_DEMAND, obj)
        self.sizing = Sizing(
            cache=self.cache,
            fleet="gold",
            server=Server(url="http://prometheus.test"),
            http=httpx.AsyncClient(transport=httpx.MockTransport(self._answer)),
            metrics=Metrics(),
            clock=lambda: self.now,
        )

    def look(self, seconds: float = 0.0) -> None:
        self.now += seconds
        asyncio.run(self.sizing.look())

    def _answer(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        self.questions.append(form["query"])
        value = next((value for name, value in self.sums.items() if name in form["query"]), None)
        result = [] if value is None else [{"metric": {}, "values": [[float(form["end"]), value]]}]
        content = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})
        return httpx.Response(self.status, content=content)


def test_means_are_of_the_tokens_and_requests_that_engines_count() -> None:
    bench = Bench("chat")
    bench.look()
    assert bench.sizing.seen == {KEY: SeenLengths(requests=400.0, input=1000.0, output=200.0)}
    assert 'vllm:request_success_total{model_name="chat"}[1h]' in bench.questions[0]


def test_it_is_asked_again_after_minutes_and_what_is_old_is_forgotten() -> None:
    bench = Bench("chat")
    bench.look()
    bench.look(INTERVAL_SECONDS / 2.0)
    assert len(bench.questions) == 3
    bench.status = 503
    for _ in range(10):
        bench.look(INTERVAL_SECONDS)
    assert bench.sizing.seen == {}
    bench.status = 200
    bench.look(INTERVAL_SECONDS)
    assert bench.sizing.seen.keys() == {KEY}


def test_a_prometheus_that_is_away_is_asked_for_one_demand_and_ever_later() -> None:
    bench = Bench(*(f"chat-{number}" for number in range(20)))
    bench.status = 503
    for _ in range(100):
        bench.look(1.0)
    assert len(bench.questions) < 30


def test_what_is_no_sum_of_requests_is_not_known() -> None:
    for wrong in ("0", "NaN", "-3", "+Inf"):
        bench = Bench("chat")
        bench.sums["request_success"] = wrong
        bench.look()
        assert bench.sizing.seen == {}
    bench = Bench("chat")
    bench.sums = {}
    bench.look()
    assert bench.sizing.seen == {}


def test_demands_of_pairs_and_of_other_fleets_and_unreadable_ones_are_not_asked_for() -> None:
    bench = Bench("pairs")
    for version, spec in enumerate(({"fleet": "other", "model": {"servedName": "x"}}, {"model": 3}, None), start=10):
        metadata = {"name": f"x{version}", "namespace": "team-a", "uid": str(version), "resourceVersion": str(version)}
        bench.cache.upsert(MODEL_DEMAND, {"metadata": metadata, "spec": spec})
    bench.look()
    assert bench.questions == []


def test_means_that_no_status_may_hold_are_no_means() -> None:
    bench = Bench("chat")
    bench.sums["prompt_tokens"] = "1e12"
    bench.look()
    assert bench.sizing.seen == {}
