"""Asking for measured demand: at its own pace, a few at a time, and ever later after faults."""

import asyncio
import json
from collections.abc import Callable
from urllib.parse import parse_qs

import httpx
import pytest

from api import samples
from atoll.domain.demand import DemandKey
from atoll.domain.objects import MODEL_DEMAND
from atoll.domain.reason import Reason
from atoll.domain.signal import HISTORY
from atoll.handlers.cache import Cache
from atoll.handlers.measuring import AT_ONCE, Measuring
from atoll.handlers.metrics import Metrics
from atoll.signals.fetch import Server

STEP = 5.0
START = 1_000_000.0

Reply = Callable[[dict[str, str]], httpx.Response]


class Bench:
    """A poller on a clock that stands still unless it is moved, and a Prometheus that answers as a test says."""

    def __init__(self, *names: str, configured: bool = True) -> None:
        self.now = START
        self.questions: list[dict[str, str]] = []
        self.reply: Reply = lambda form: series(form, 25.0)
        self.woken = 0
        self.under_way = self.most_under_way = 0
        self.cache = Cache()
        self.versions = 0
        for name in names:
            self.declare(name)
        self.measuring = Measuring(
            cache=self.cache,
            fleet="gold",
            server=Server(url="http://prometheus.test") if configured else None,
            http=httpx.AsyncClient(transport=httpx.MockTransport(self._answer)),
            metrics=Metrics(),
            wake=self._wake,
            clock=lambda: self.now,
        )

    def declare(self, name: str, query: str = "") -> None:
        obj = samples.measured_demand()
        self.versions += 1
        obj["metadata"] |= {"name": name, "uid": name, "resourceVersion": str(self.versions)}
        obj["spec"]["demand"]["prometheus"] |= {"query": query or f"demand_of_{name}", "window": "10m"}
        self.cache.upsert(MODEL_DEMAND, obj)

    def look(self, seconds: float = 0.0) -> None:
        self.now += seconds
        asyncio.run(self.measuring.look())

    def reading(self, name: str) -> tuple[float, ...]:
        found = self.measuring.readings[DemandKey(namespace="team-a", name=name)]
        return tuple(value for _, value in found.samples)

    def reason(self, name: str) -> Reason | None:
        fault = self.measuring.readings[DemandKey(namespace="team-a", name=name)].fault
        return fault.reason if fault else None

    def _wake(self) -> None:
        self.woken += 1

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        self.questions.append(form)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        return self.reply(form)


def series(form: dict[str, str], value: float) -> httpx.Response:
    begin, end, step = (float(form[name]) for name in ("start", "end", "step"))
    values = [[begin + index * step, str(value)] for index in range(round((end - begin) / step) + 1)]
    result = [{"metric": {}, "values": values}]
    content = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})
    return httpx.Response(200, content=content)


def test_the_whole_history_is_asked_for_once_and_then_only_what_is_new() -> None:
    bench = Bench("chat")
    bench.look()
    assert len(bench.reading("chat")) == HISTORY
    bench.look(STEP)
    first, second = bench.questions
    assert float(first["end"]) - float(first["start"]) == (HISTORY - 1) * STEP
    assert float(second["end"]) - float(second["start"]) == 3 * STEP, "and the last three again, for late scrapes"
    assert len(bench.reading("chat")) == HISTORY


def test_samples_that_come_as_usual_wake_nobody() -> None:
    bench = Bench("chat")
    for _ in range(5):
        bench.look(STEP + 3.0)
    assert bench.woken == 1, "the first answer"
    bench.reply = lambda _: httpx.Response(503)
    bench.look(STEP + 3.0)
    bench.look(STEP + 3.0)
    assert bench.woken == 2, "the fault, once"
    bench.reply = lambda form: series(form, 25.0)
    bench.look(61.0)
    assert bench.woken == 3, "its end"


def test_nothing_is_asked_before_another_sample_can_be_there() -> None:
    bench = Bench("chat")
    bench.look()
    bench.look(1.0)
    assert len(bench.questions) == 1


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    bench = Bench("chat")
    bench.look()
    bench.look(-3600.0)
    assert len(bench.questions) == 2
    assert bench.measuring.readings[DemandKey(namespace="team-a", name="chat")].samples[-1][0] <= bench.now


def test_a_few_are_asked_at_one_time() -> None:
    bench = Bench(*(f"chat-{number}" for number in range(50)))
    bench.look()
    assert len(bench.questions) == 50
    assert bench.most_under_way <= AT_ONCE


def test_another_query_starts_anew_and_a_demand_that_is_gone_is_forgotten() -> None:
    bench = Bench("chat")
    bench.look()
    bench.reply = lambda form: series(form, 7.0)
    bench.declare("chat", "another")
    bench.look()
    assert set(bench.reading("chat")) == {7.0}
    obj = samples.measured_demand()
    obj["metadata"] |= {"name": "chat", "uid": "chat", "resourceVersion": "99"}
    bench.cache.remove(MODEL_DEMAND, obj)
    bench.look()
    assert not bench.measuring.readings


def test_a_server_that_is_away_is_asked_ever_later_and_by_one_question_for_all() -> None:
    bench = Bench(*(f"chat-{number}" for number in range(20)))
    bench.look()
    bench.reply = lambda _: httpx.Response(503)
    bench.questions.clear()
    for _ in range(100):
        bench.look(1.0)
    assert len(bench.questions) < 30
    assert {bench.reason(f"chat-{number}") for number in range(20)} == {Reason.SIGNAL_UNREACHABLE}
    assert len(bench.reading("chat-0")) == HISTORY, "what was heard before stays"
    bench.reply = lambda form: series(form, 25.0)
    bench.look(61.0)
    bench.look()
    assert {bench.reason(f"chat-{number}") for number in range(20)} == {None}


def test_a_query_that_is_wrong_keeps_no_other_waiting() -> None:
    bench = Bench("good", "bad")
    wrong = httpx.Response(400, content=b'{"status":"error","error":"parse error"}')
    bench.reply = lambda form: wrong if form["query"] == "demand_of_bad" else series(form, 25.0)
    for _ in range(4):
        bench.look(STEP + 3.0)
    assert bench.reason("bad") is Reason.INVALID_SIGNAL
    assert bench.reason("good") is None
    assert sum(form["query"] == "demand_of_good" for form in bench.questions) == 4


@pytest.mark.parametrize("late", ["of the client", "of Prometheus"])
def test_r24_a_query_that_takes_too_long_keeps_no_other_waiting(late: str) -> None:
    bench = Bench("slow", "good")

    def reply(form: dict[str, str]) -> httpx.Response:
        if form["query"] != "demand_of_slow":
            return series(form, 25.0)
        if late == "of the client":
            raise httpx.ReadTimeout("timed out")
        return httpx.Response(503, content=b'{"status":"error","errorType":"timeout","error":"query timed out"}')

    bench.reply = reply
    for _ in range(6):
        bench.look(STEP + 3.0)
    assert bench.reason("slow") is Reason.SIGNAL_UNREACHABLE
    assert bench.reason("good") is None
    assert sum(form["query"] == "demand_of_good" for form in bench.questions) == 6


def test_without_a_prometheus_every_demand_is_told_so_once() -> None:
    bench = Bench("chat", configured=False)
    bench.look()
    bench.look(60.0)
    assert bench.reason("chat") is Reason.SIGNAL_NOT_CONFIGURED
    assert (bench.woken, bench.questions) == (1, [])


@pytest.mark.parametrize("spec", [{"fleet": "other"}, {"demand": {}}])
def test_demands_of_other_fleets_and_faulty_ones_are_not_asked_for(spec: dict[str, object]) -> None:
    bench = Bench()
    obj = samples.measured_demand()
    obj["metadata"]["resourceVersion"] = "1"
    obj["spec"] |= spec
    bench.cache.upsert(MODEL_DEMAND, obj)
    bench.look()
    assert bench.questions == []


def test_a_clock_that_is_set_back_after_a_fault_makes_nobody_wait() -> None:
    bench = Bench("chat")
    bench.reply = lambda _: httpx.Response(503)
    bench.look()
    bench.reply = lambda form: series(form, 25.0)
    bench.look(-3600.0)
    assert bench.reason("chat") is None
