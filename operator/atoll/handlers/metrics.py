"""What Prometheus reads, and the two probes, on one small HTTP server of its own thread.

Its own thread, so that a probe is answered, and says so, when the event loop hangs.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from atoll.domain.pool import OfferingKey
from atoll.reconcile.gauges import GAUGES, Samples, lost_nodes, nodes_in_service, samples
from atoll.reconcile.status.view import View

NAMESPACE = "atoll"
"""What the names of all metrics begin with."""

_SOLVE_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120)
_QUERY_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a metric is, for people.

    Attributes:
        name: as Prometheus has it.
        type: ``gauge``, ``counter`` or ``histogram``.
        text: what it says.
        labels: in order.
    """

    name: str
    type: str
    text: str
    labels: tuple[str, ...]


class Metrics:
    """All metrics of the operator; raw values, where status fields are rounded and slow.

    Attributes:
        registry: holds them.
        described: what each is, in the order of the reference page.
        fleet: gauges of the fleet: ``atoll.reconcile.gauges``.
        nodes_lost: nodes under our engines that went, by fleet, pool, zone and capacity type.
        solve_seconds: time of a solve, by fleet.
        replans: solves, by reason.
        writes: requests that change something, by verb, kind and result.
        cache_age: seconds since the oldest whole list.
        signal_queries: questions to Prometheus, by result.
        signal_seconds: time until their answer.
        router_queries: questions to routers for what they have counted, by result.
        feed_queries: questions to price feeds, by result.
        leader: 1 while this operator may write.
        looked: when a loop last ended a look, by loop.
        loop_errors: unexpected errors caught in a loop, by loop.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.fleet = FleetCollector()
        registry.register(self.fleet)
        process = ProcessCollector(namespace=NAMESPACE, registry=registry)
        self._in_service: Mapping[str, OfferingKey] = {}

        self.described = [
            Described(name=f"{NAMESPACE}_{g.name}", type="gauge", text=g.text, labels=("fleet", *g.labels))
            for g in GAUGES
        ]

        def described(name: str, kind: str, text: str, labels: tuple[str, ...]) -> None:
            self.described.append(Described(name=f"{NAMESPACE}_{name}", type=kind, text=text, labels=labels))

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            described(name, "gauge", text, labels)
            return Gauge(name, text, labels, namespace=NAMESPACE, registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            described(f"{name}_total", "counter", text, labels)
            return Counter(name, text, labels, namespace=NAMESPACE, registry=registry)

        def histogram(name: str, text: str, *labels: str, buckets: Sequence[float]) -> Histogram:
            described(name, "histogram", text, labels)
            return Histogram(name, text, labels, namespace=NAMESPACE, registry=registry, buckets=buckets)

        self.nodes_lost = counter(
            "nodes_lost",
            "Nodes under engines that went without our doing: gone, notice of it, or not Ready.",
            *("fleet", "pool", "zone", "capacity_type"),
        )
        self.solve_seconds = histogram(
            "solve_seconds", "Time of a solve of stage two, seconds.", "fleet", buckets=_SOLVE_BUCKETS
        )
        self.replans = counter("replans", "Solves, by what had changed.", "reason")
        self.writes = counter(
            "writes", "Requests that change something, by what came of them.", "verb", "kind", "result"
        )
        self.cache_age = gauge("cache_age_seconds", "Seconds since the oldest whole list of a kind.")
        self.signal_queries = counter("demand_queries", "Questions to Prometheus, by what came of them.", "result")
        self.signal_seconds = histogram(
            "demand_query_seconds", "Time until Prometheus answered, seconds.", buckets=_QUERY_BUCKETS
        )
        self.router_queries = counter(
            "demand_router_queries", "Questions to routers for demand, by what came of them.", "result"
        )
        self.feed_queries = counter("feed_queries", "Questions to price feeds, by what came of them.", "result")
        self.leader = gauge("leader", "1 while this operator holds the Lease and may write, else 0.")
        self.looked = gauge(
            "loop_looked_timestamp_seconds", "When a loop last ended a look without error, seconds since 1970.", "loop"
        )
        self.loop_errors = counter("loop_errors", "Unexpected errors, by the loop that they ended a look of.", "loop")
        for loop in ("planner", "executor"):
            self.loop_errors.labels(loop=loop)  # there from the start, at 0
        for family in process.collect():
            suffix = "_total" if family.type == "counter" else ""
            self.described.append(
                Described(name=f"{family.name}{suffix}", type=family.type, text=family.documentation, labels=())
            )

    def measure(self, view: View) -> None:
        """Take the samples of a moment, and count nodes that were lost since the one before."""
        self.fleet.samples = samples(view)
        lost = lost_nodes(self._in_service, view.snapshot)
        self._in_service = nodes_in_service(view.snapshot)
        for offering in (item.key for pool in view.snapshot.pools.values() for item in pool.offerings):
            # All are there from the start, at 0: a rate of a counter that appears at 1 would miss the first loss.
            labels = (view.snapshot.fleet.name, offering.pool, offering.zone, offering.capacity_type.value)
            self.nodes_lost.labels(*labels).inc(lost[offering])


class FleetCollector(Collector):
    """Gauges of the fleet: a scrape sees all samples of one moment, and none of what is gone."""

    def __init__(self) -> None:
        self.samples: Samples = {}

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Every gauge with its samples; one that has none is named all the same."""
        now = self.samples
        for item in GAUGES:
            family = GaugeMetricFamily(f"{NAMESPACE}_{item.name}", item.text, labels=("fleet", *item.labels))
            for labels, value in now.get(item.name, ()):
                family.add_metric(labels, value)
            yield family


class ProbeServer:
    """Serves ``/metrics``, ``/healthz`` and ``/readyz`` until it is closed.

    It listens on every address unless one is given: a pod's probes come from its node. A probe is a function that says
    what is wrong, or nothing; it must be safe to call from another thread.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        port: int,
        host: str = "",
        healthy: Callable[[], str],
        ready: Callable[[], str],
    ) -> None:
        probes = {"/healthz": healthy, "/readyz": ready}
        self._server = ThreadingHTTPServer((host, port), _handler(metrics.registry, probes))
        self._thread = threading.Thread(target=self._server.serve_forever, name="probes", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on, also where any free one was asked for."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(registry: CollectorRegistry, probes: Mapping[str, Callable[[], str]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # seconds for a slow client

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            elif self.path in probes:
                wrong = probes[self.path]()
                self._answer(503 if wrong else 200, "text/plain; charset=utf-8", (wrong or "ok").encode())
            else:
                self._answer(404, "text/plain; charset=utf-8", b"try /metrics, /healthz or /readyz")

        def _answer(self, status: int, content_type: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Probes are not news."""

    return Handler
