"""Measured demand, with a real Prometheus: the fleet follows the query, and holds its plan when the query fails."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest
from e2e.prometheus import Prometheus
from e2e.stand_in_exporter import Exporter
from e2e.stand_in_feed import Feed
from e2e.world import ATOLL, MANIFESTS, Object, World, cluster

from atoll.local.binaries import Binaries
from atoll.local.controlplane import Provisioning

pytestmark = pytest.mark.timeout(900)

EVENTS = "/api/v1/events"
NAME = "phi-4"
RATE = 10.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A world whose demand is what the exporter's page says."""

    world: World
    exporter: Exporter
    prometheus: Prometheus

    def come(self, rate: float | str) -> None:
        """So many requests/s come from now on."""
        self.exporter.page = f"# TYPE stand_in_rate gauge\nstand_in_rate {rate}\n"

    def demand(self) -> Object:
        return self.world.demand(NAME)

    @property
    def rate(self) -> float:
        return float(self.demand().get("status", {}).get("demandRate", 0.0))

    @property
    def reason(self) -> str:
        """Of condition Measured."""
        return str(self.world.condition(self.demand(), "Measured").get("reason"))

    def fresh(self) -> Object:
        """What is told of the signal, once it is no older than it should be."""

        def found() -> Object | None:
            status: Object = self.demand()["status"]["measured"]
            return None if "measuredUntil" in status else status

        return self.world.wait(found, "it is measured", 40) or {}

    def follow(self, least: float, most: float, what: str) -> None:
        """Wait until so much is planned for, and runs."""
        self.world.wait(lambda: least <= self.rate <= most, f"{least} to {most} requests/s are planned for: {what}", 40)
        self.world.settle(what)
        assert float(self.demand()["status"]["servedRate"]) >= least


@contextmanager
def asking(router: str, served_name: str) -> Iterator[list[int]]:
    """Ask the router for a served model, ``RATE`` times a second at most; the statuses of its answers so far."""
    answers: list[int] = []
    enough = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=router, trust_env=False, timeout=10.0) as client:
            while not enough.wait(1.0 / RATE):
                answers.append(client.post("/v1/completions", json={"model": served_name}).status_code)

    thread = threading.Thread(target=ask, name="asking", daemon=True)
    thread.start()
    try:
        yield answers
    finally:
        enough.set()
        thread.join()


@pytest.fixture(scope="module")
def shared(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    """A fleet that serves 5 requests/s, all of its nodes there from the start."""
    state, folder = tmp_path_factory.mktemp("measured"), MANIFESTS / "measured"
    with (
        Exporter() as exporter,
        cluster(binaries, state, folder, provisioning=Provisioning.FIXED) as world,
    ):
        targets = {"stand-in": [exporter.url], "routers": [f"{world.fleet.router_status_url}/stats/prometheus"]}
        with Prometheus(tmp_path_factory.mktemp("prometheus"), targets=targets) as prometheus:
            found = Measured(world=world, exporter=exporter, prometheus=prometheus)
            found.come(5)
            world.fleet.environment |= {"ATOLL_PROMETHEUS_URL": prometheus.url, "ATOLL_TICK_SECONDS": "1"}
            world.fleet.install()
            world.fleet.start_router()
            world.fleet.start_operator()
            world.restore()
            found.follow(5, 8, "the fleet serves what is measured")
            yield found


@pytest.fixture
def measured(shared: Measured) -> Measured:
    """Five requests/s come, and are served; manifests as declared."""
    shared.come(5)
    shared.world.restore()
    shared.follow(5, 8, "five requests/s are served")
    return shared


def test_r19_the_fleet_grows_with_the_query_and_never_below_a_floor_of_the_hour(measured: Measured) -> None:
    world, before = measured.world, len(measured.world.pods(NAME))
    measured.come(18)
    measured.follow(18, 20, "the fleet has grown")
    assert len(world.pods(NAME)) > before
    status = measured.fresh()
    assert status["estimate"] >= 18
    assert status["floor"] == 1

    scheduled = world.manifest("ModelDemand", NAME)
    all_day = {"start": "00:00", "end": "00:00", "requestsPerSecond": 12}
    scheduled["spec"]["demand"]["schedule"] = {"timeZone": "Europe/Berlin", "floors": [all_day]}
    world.apply(scheduled)
    measured.come(0)
    measured.follow(12, 12, "nobody asks, and the floor of the hour is kept")
    assert measured.demand()["status"]["measured"]["floor"] == 12


def test_r6_nothing_divided_by_nothing_goes_down_to_the_floor(measured: Measured) -> None:
    measured.come("NaN")
    measured.world.wait(lambda: measured.reason == "NoTraffic", "it says that nobody asks", 40)
    measured.follow(1, 1, "the floor is planned for")


def test_r8_without_prometheus_the_last_plan_is_held_even_over_a_restart(measured: Measured) -> None:
    world = measured.world
    measured.prometheus.stop()
    try:
        world.wait(lambda: measured.reason == "SignalUnreachable", "it says that Prometheus does not answer", 60)
        world.settle("what was measured last is planned for")  # maybe a little less than before, and no floor
        rate, plan = measured.rate, world.policy()["status"]["currentPlan"]
        assert 5 <= rate <= 8
        pods = {pod["metadata"]["name"] for pod in world.pods()}
        said = world.condition(measured.demand(), "Measured")
        assert said["status"] == "False"
        assert "is held, measured until" in said["message"]
        assert measured.demand()["status"]["measured"]["measuredUntil"]
        assert world.ready(NAME)["status"] == "True", "what serves goes on serving"

        def told() -> set[str]:
            events = world.api.list(EVENTS)
            return {e["involvedObject"]["name"] for e in events if e["reason"] == "SignalUnreachable"}

        world.wait(lambda: NAME in told(), "an event tells it too", 30)

        decided = world.decisions()
        world.fleet.kill_operator()
        world.fleet.start_operator()
        world.wait(lambda: world.decisions() > decided, "the operator that was started again decides", 30)
        world.quiet_window(renewals=3)
        assert (measured.rate, world.policy()["status"]["currentPlan"]) == (rate, plan)
        assert {pod["metadata"]["name"] for pod in world.pods()} == pods
        world.wait(lambda: measured.reason == "SignalUnreachable", "it goes on saying so", 30)
        assert (measured.rate, world.policy()["status"]["currentPlan"]) == (rate, plan)
    finally:
        measured.prometheus.start()
    world.wait(lambda: measured.reason == "Measured", "it is measured again", 60)
    assert measured.fresh()


def test_a_lie_of_a_hundredfold_is_named_and_moves_nothing(measured: Measured) -> None:
    pods = {pod["metadata"]["name"] for pod in measured.world.pods(NAME)}
    measured.come(500)
    measured.world.wait(lambda: measured.reason == "SignalSuspect", "the leap is doubted", 40)
    assert measured.rate <= 8
    measured.come(5)
    measured.world.wait(lambda: measured.reason == "Measured", "it is measured again", 40)
    assert measured.rate <= 8
    assert {pod["metadata"]["name"] for pod in measured.world.pods(NAME)} == pods


def test_r8_a_count_that_comes_minutes_late_is_followed_and_one_that_comes_too_late_holds_the_plan(
    measured: Measured,
) -> None:
    world, now = measured.world, time.time()

    def ask(query: str) -> None:
        demand = world.manifest("ModelDemand", NAME)
        demand["spec"]["demand"]["prometheus"]["query"] = query
        world.apply(demand)

    late, too_late = (round(1000.0 * (now - seconds)) for seconds in (120.0, 360.0))
    measured.exporter.page += f"late_rate 18 {late}\ntoo_late_rate 1 {too_late}\n"
    ask("max(late_rate)")
    measured.follow(18, 20, "Prometheus gives its last sample for five minutes")
    pods = {pod["metadata"]["name"] for pod in world.pods(NAME)}

    ask("max(too_late_rate)")
    world.wait(lambda: measured.reason == "SignalStale", "it says that samples have ended", 40)
    assert measured.rate >= 18
    assert {pod["metadata"]["name"] for pod in world.pods(NAME)} == pods


def test_r7_a_feed_that_is_garbage_or_away_leaves_the_last_good_price(measured: Measured) -> None:
    world, name = measured.world, "a100-x8"

    def pool() -> Object:
        found = world.api.get(f"{ATOLL}/gpunodepools/{name}")
        assert found is not None
        return found

    def priced() -> tuple[str, float]:
        offering = pool().get("status", {}).get("offerings", [{}])[0]
        return str(world.condition(pool(), "Priced").get("reason")), float(offering.get("pricePerHour", 0.0))

    with Feed() as feed:
        feed.content = b"<html>"
        with_feed = world.manifest("GPUNodePool", name)
        with_feed["spec"]["feed"] = {"url": feed.url, "interval": "5s"}
        world.apply(with_feed)
        world.wait(lambda: priced()[0] == "InvalidFeed", "the garbage is named", 40)
        listed = priced()[1]
        assert listed > 0.0, "the price of the catalogue holds"
        price = round(listed / 2.0, 2)
        feed.offer(
            {"instanceType": "p4d.24xlarge", "zone": "us-east-2a", "capacityType": "on-demand", "pricePerHour": price}
        )
        world.wait(lambda: priced() == ("Priced", price), "the price of the feed is taken", 40)
        world.wait(lambda: feed.answers[304], "it is asked for by its tag", 40)
        feed.status = 503
        world.wait(lambda: priced()[0] == "FeedUnreachable", "the feed that is away is named", 40)
        assert priced()[1] == price
        world.settle("what serves goes on")


def test_a_query_of_several_series_is_refused_with_the_mend_and_the_plan_held(measured: Measured) -> None:
    several = measured.world.manifest("ModelDemand", NAME)
    several["spec"]["demand"]["prometheus"]["query"] = "up"
    measured.world.apply(several)
    measured.world.wait(lambda: measured.reason == "InvalidSignal", "the query is named", 40)
    said = measured.world.condition(measured.demand(), "Measured")["message"]
    assert "series by" in said
    assert "sum(...)" in said
    assert 5 <= measured.rate <= 8, "neither the floor nor what the query gives"


def test_the_shipped_query_understands_the_statistics_of_the_real_envoy(measured: Measured) -> None:
    world = measured.world

    def condition() -> Object:
        return world.condition(world.demand("gpt-oss-20b"), "Measured")

    world.wait(lambda: condition().get("reason") == "NoTraffic", "Envoy says that nobody asks", 40)
    world.wait(lambda: world.demand("gpt-oss-20b")["status"]["demandRate"] == 0.01, "the floor is planned for", 40)

    def is_shown() -> bool:
        page = httpx.get(f"http://127.0.0.1:{world.fleet.probe_port}/metrics", trust_env=False).text
        return bool(re.search(r'^atoll_demand_signal_held\{[^}]*demand="phi-4"', page, re.MULTILINE))

    world.wait(is_shown, "a metric tells whether the other signal is held", 30)


def test_the_router_itself_counts_demand_where_nobody_has_a_prometheus(measured: Measured) -> None:
    world, name = measured.world, "gpt-oss-20b"
    counted = world.manifest("ModelDemand", name)
    del counted["spec"]["demand"]["prometheus"]
    counted["spec"]["demand"]["router"] = {"window": "10m", "maximum": 20, "staleAfter": "10s"}
    with asking(f"http://127.0.0.1:{world.fleet.settings.port}", name) as answers:
        world.apply(counted)
        world.wait(lambda: world.demand(name)["status"]["demandRate"] > 1, "requests are counted and planned for", 40)
        demand = world.demand(name)
    assert world.condition(demand, "Measured")["reason"] == "Measured"
    # A slow machine asks less often than it would, and the first sample is of a part of its time; neither shows more.
    assert 0.0 < demand["status"]["measured"]["observedRate"] < 1.5 * RATE
    assert set(answers) == {503}, "simulated replicas answer nobody, and those who ask count all the same"
