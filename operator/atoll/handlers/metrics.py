"""What Prometheus reads, and the two probes, on one small HTTP server of its own thread.

Its own thread, so that a probe is answered, and says so, when the event loop hangs.
"""

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_SOLVE_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120)


class Metrics:
    """All metrics of the operator; raw values, where status fields are rounded and slow.

    Attributes:
        registry: holds them.
        cost: US$/h of the adopted plan, by fleet.
        bound: proven lower bound, US$/h, by fleet.
        gap: (cost - bound) / cost, by fleet.
        demand: requests/s wanted, by namespace and served model.
        shortfall: requests/s that cannot be met, by namespace and served model.
        demand_cost: US$/h, by namespace and served model.
        nodes: in use, by fleet, pool, zone and capacity type.
        masked: 1 for an offering that is not counted on, by pool, zone and capacity type.
        solve_seconds: time of a solve, by fleet.
        replans: solves, by reason.
        writes: requests that change something, by verb, kind and result.
        cache_age: seconds since the oldest whole list.
        leader: 1 while this operator may write.
        loop_errors: unexpected errors caught in a loop, by loop.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, namespace="atoll", registry=registry)

        model = ("namespace", "served_model")
        offering = ("pool", "zone", "capacity_type")
        self.cost = gauge("fleet_cost_dollars_per_hour", "Cost of the adopted plan.", "fleet")
        self.bound = gauge("fleet_bound_dollars_per_hour", "Proven lower bound of the cost.", "fleet")
        self.gap = gauge("fleet_gap_ratio", "(cost - bound) / cost.", "fleet")
        self.demand = gauge("demand_requests_per_second", "Requests wanted.", *model)
        self.shortfall = gauge("shortfall_requests_per_second", "Requests that cannot be met.", *model)
        self.demand_cost = gauge("demand_cost_dollars_per_hour", "Part of the nodes' price, by GPUs.", *model)
        self.nodes = gauge("nodes", "Nodes in use.", "fleet", *offering)
        self.masked = gauge("offering_masked", "1 for an offering that is not counted on.", *offering)
        self.cache_age = gauge("cache_age_seconds", "Since the oldest whole list of a kind.")
        self.leader = gauge("leader", "1 while this operator may write.")
        self.solve_seconds = Histogram(
            "solve_seconds",
            "Time of a solve.",
            ("fleet",),
            namespace="atoll",
            registry=registry,
            buckets=_SOLVE_BUCKETS,
        )
        self.replans = Counter("replans", "Solves.", ("reason",), namespace="atoll", registry=registry)
        self.writes = Counter(
            "writes",
            "Requests that change something.",
            ("verb", "kind", "result"),
            namespace="atoll",
            registry=registry,
        )
        self.loop_errors = Counter("loop_errors", "Unexpected errors.", ("loop",), namespace="atoll", registry=registry)


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
