"""Counting demand by routers' statistics: at its own pace, all routers or none, through faults and restarts."""

import asyncio

import httpx
import pytest

from api import samples
from atoll.domain.demand import DemandKey
from atoll.domain.objects import FLEET, MODEL_DEMAND, POD
from atoll.domain.reason import Reason
from atoll.domain.signal import Reading
from atoll.handlers.cache import Cache
from atoll.handlers.counting import Counting
from atoll.handlers.metrics import Metrics
from atoll.render import names
from atoll.render.router.configuration import router_labels
from atoll.render.router.routing import RouterSettings

STEP = 5.0
START = 1_000_000.0
CHAT = DemandKey(namespace="team-a", name="chat")


class Bench:
    """Router pods with counters that a test moves, on a clock that stands still unless it is moved."""

    def __init__(self, *pods: str, target: str = "Envoy") -> None:
        self.now = START
        self.woken = self.asked = 0
        self.counters: dict[str, float] = {}
        self.started: dict[str, float] = {}
        self.away: set[str] = set()
        self.cache = Cache()
        self.versions = 0
        fleet = {
            "metadata": {"name": "gold", "uid": "f", "resourceVersion": "1"},
            "spec": {"router": {"target": target}},
        }
        if target != "Envoy":
            fleet["spec"]["router"]["gateway"] = {"parents": [{"namespace": "gateways", "name": "public"}]}  # type: ignore[index]  # a sample
        self.cache.upsert(FLEET, {"apiVersion": FLEET.api_version, "kind": "Fleet", **fleet})
        self.declare()
        for pod in pods:
            self.start(pod)
        self.counting = Counting(
            cache=self.cache,
            fleet="gold",
            router=RouterSettings(),
            http=httpx.AsyncClient(transport=httpx.MockTransport(self._answer)),
            metrics=Metrics(),
            wake=self._wake,
            clock=lambda: self.now,
        )

    def declare(self, window: str = "10m") -> None:
        obj = samples.counted_demand()
        obj["spec"]["demand"]["router"]["window"] = window
        self._put(MODEL_DEMAND, obj)

    def start(self, address: str, *, ready: bool = True, age: float = 5_000.0) -> None:
        """A router pod, whose address is its name."""
        self.counters.setdefault(address, 0.0)
        self.started.setdefault(address, self.now - age)
        self._put(
            POD,
            {
                "metadata": {"name": address, "namespace": "atoll-system", "uid": address, "labels": router_labels()},
                "spec": {"containers": []},
                "status": {"podIP": address, "conditions": [{"type": "Ready", "status": str(ready)}]},
            },
        )

    def look(self, seconds: float = 0.0, **came: float) -> None:
        """So much later, after so many requests at each router."""
        self.now += seconds
        for address, requests in came.items():
            self.counters[address] += requests
        asyncio.run(self.counting.look())

    @property
    def reading(self) -> Reading:
        return self.counting.readings[CHAT]

    @property
    def rates(self) -> list[float]:
        return [round(value, 3) for _, value in self.reading.samples]

    @property
    def reason(self) -> Reason | None:
        return self.reading.fault.reason if self.reading.fault else None

    def _put(self, kind: object, obj: dict) -> None:  # type: ignore[type-arg]  # any object
        self.versions += 1
        obj["metadata"]["resourceVersion"] = str(self.versions)
        self.cache.upsert(kind, obj)  # type: ignore[arg-type]  # one of ours

    def _wake(self) -> None:
        self.woken += 1

    def _answer(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        self.asked += 1
        if host in self.away:
            raise httpx.ConnectError("refused")
        uptime = int(self.now - self.started[host])
        line = f"atoll_router.requests.demand.{CHAT}.status.200: {self.counters[host]:.0f}"
        return httpx.Response(200, text=f"{line}\nserver.uptime: {uptime}\n")


def test_rates_of_all_router_pods_are_summed_at_every_step() -> None:
    bench = Bench("one", "two")
    bench.look()
    assert not bench.counting.readings, "counters tell a rate from the second look on"
    for _ in range(4):
        bench.look(STEP, one=10, two=40)
    assert bench.rates == [10.0] * 4
    assert [at % STEP for at, _ in bench.reading.samples] == [0.0] * 4
    assert bench.woken == 1, "the first answer"


def test_nothing_is_asked_between_two_steps() -> None:
    bench = Bench("one")
    bench.look()
    bench.look(2.0)
    assert bench.asked == 1


def test_a_pod_that_comes_and_one_that_goes_make_no_leap() -> None:
    bench = Bench("one")
    bench.look()
    bench.look(STEP, one=50)
    bench.start("two", age=1.0)
    bench.look(STEP, one=30, two=20)
    bench.start("one", ready=False)
    bench.look(STEP, two=50)
    assert bench.rates == [10.0, 10.0, 10.0]


def test_a_router_that_was_started_again_counts_from_nought() -> None:
    bench = Bench("one")
    bench.look()
    for _ in range(4):
        bench.look(STEP, one=50)
    bench.counters["one"], bench.started["one"] = 0.0, bench.now + 1.0
    bench.look(STEP, one=45)
    assert bench.rates == [10.0] * 4 + [9.0]


def test_r7_while_one_pod_does_not_answer_there_is_no_sample_and_then_its_mean() -> None:
    bench = Bench("one", "two")
    bench.look()
    bench.look(STEP, one=25, two=25)
    bench.away = {"two"}
    bench.look(STEP, one=25, two=25)
    assert bench.rates == [10.0]
    assert bench.reason is Reason.SIGNAL_UNREACHABLE
    bench.away = set()
    bench.look(STEP, one=25, two=25)
    assert bench.rates == [10.0, 10.0]
    assert bench.reason is None
    assert bench.woken == 3, "the first answer, the fault, its end"


def test_a_pod_that_stays_away_is_asked_ever_later() -> None:
    bench = Bench("one")
    bench.look()
    bench.away, bench.asked = {"one"}, 0
    for _ in range(100):
        bench.look(1.0)
    assert bench.asked < 30


def test_r8_without_a_router_pod_that_is_ready_nothing_is_known() -> None:
    bench = Bench()
    bench.look()
    assert bench.reason is Reason.SIGNAL_MISSING
    bench.start("one", age=0.0)
    bench.look(STEP)
    bench.look(STEP, one=50)
    assert bench.rates == [10.0]


def test_a_fleet_whose_requests_gateways_carry_has_nothing_to_count() -> None:
    bench = Bench("one", target="GatewayAPI")
    bench.look()
    assert bench.reason is Reason.SIGNAL_NOT_CONFIGURED
    assert bench.asked == 0


@pytest.mark.parametrize("late", [0.0, 4.0])
def test_no_sample_is_of_less_than_half_a_step(late: float) -> None:
    bench = Bench("one")
    bench.look(late)
    first = bench.asked
    while bench.asked == first:
        bench.look(0.5, one=5)
    assert bench.now - START - late >= STEP / 2.0
    assert bench.rates == [10.0]


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    bench = Bench("one")
    bench.look()
    for _ in range(4):
        bench.look(STEP, one=50)
    bench.look(-3600.0)
    for _ in range(4):
        bench.look(STEP, one=50)
    assert set(bench.rates) == {10.0}
    assert bench.reading.samples[-1][0] <= bench.now


def test_another_window_starts_anew_and_a_demand_that_is_gone_is_forgotten() -> None:
    bench = Bench("one")
    bench.look()
    bench.look(STEP, one=50)
    bench.declare("1h")
    bench.look(STEP, one=50)
    assert not bench.counting.readings
    bench.cache.remove(MODEL_DEMAND, {"metadata": {**samples.counted_demand()["metadata"], "resourceVersion": "99"}})
    bench.look(60.0)
    assert not bench.counting.readings


def test_pods_of_others_are_not_asked() -> None:
    bench = Bench("one")
    bench._put(
        POD,
        {
            "metadata": {
                "name": "engine",
                "namespace": "team-a",
                "uid": "e",
                "labels": {names.MANAGED_BY: names.FIELD_MANAGER},
            },
            "spec": {"containers": []},
            "status": {"podIP": "engine", "conditions": [{"type": "Ready", "status": "True"}]},
        },
    )
    bench.look()
    assert bench.asked == 1


def test_while_the_fleet_is_invalid_the_settings_that_hold_say_whom_to_ask() -> None:
    bench = Bench("one")
    endpoints = {"mode": "Endpoints", "endpoints": ["http://elsewhere:9901"]}
    kept = {"generation": 1, "spec": {"router": {"acknowledgement": endpoints}}}
    fleet = {"metadata": {"name": "gold", "uid": "f"}, "spec": {"mode": "Sometimes"}, "status": {"inForce": kept}}
    bench._put(FLEET, {"apiVersion": FLEET.api_version, "kind": "Fleet", **fleet})
    bench.counters["elsewhere"], bench.started["elsewhere"] = 0.0, START - 100.0
    bench.look()
    bench.look(STEP, elsewhere=50)
    assert bench.rates == [10.0]
