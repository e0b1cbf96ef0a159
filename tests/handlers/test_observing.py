"""From what engines report to corrections in snapshots."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs

import httpx
import pytest

from atoll.domain.correction import Correction, CorrectionUse
from atoll.domain.snapshot import Snapshot
from atoll.handlers.metrics import Metrics
from atoll.handlers.observing import WINDOW_SECONDS, Observing
from atoll.signals.fetch import Server
from reconcile.worlds import (
    NOW,
    demand_object,
    deployments,
    key,
    plan,
    planned,
    pods_of,
    pool_object,
    replicas,
    seen,
    stored,
)

INTENT = deployments(plan(planned(replicas("big"))), demand_object(), pool_object("big"))[0]
POD = pods_of(INTENT, "b0")[0]["metadata"]
FIGURES = {
    "avg_over_time": "12",
    "min_over_time": "3",
    "max_over_time": "0.5",
    "generation_tokens": "900",
    "prompt_tokens": "3000",
}


def world(**policy: object) -> Snapshot:
    found = seen(demand_object(), pool_object("big"), [stored(INTENT), *pods_of(INTENT, "b0")])
    ready = tuple(replace(pod, ready=True, ready_since=NOW - timedelta(hours=9)) for pod in found.pods)
    return replace(found, pods=ready, fleet=replace(found.fleet, **policy))


class Prometheus:
    """Answers each question with one pod's figure."""

    def __init__(self) -> None:
        self.asked = 0
        self.down = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.down:
            return httpx.Response(503)
        (query,) = parse_qs(request.content.decode())["query"]
        value = next(figure for name, figure in FIGURES.items() if name in query)
        metric = {"namespace": POD["namespace"], "pod": POD["name"]}
        result = [{"metric": metric, "value": [0.0, value]}]
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": result}})


def observing(prometheus: Prometheus, *, server: bool = True) -> Observing:
    http = httpx.AsyncClient(transport=httpx.MockTransport(prometheus))
    found = Observing(server=Server(url="http://prometheus.test") if server else None, http=http, metrics=Metrics())
    found.clock = lambda: NOW.timestamp() + 40.0
    return found


def heard(snapshot: Snapshot, found: Observing, windows: int = 1) -> tuple[Correction, ...]:
    for number in range(windows):
        found.clock = lambda at=number: NOW.timestamp() + 40.0 + at * WINDOW_SECONDS  # type: ignore[misc]
        asyncio.run(found.look())
        corrections = found.corrections(snapshot)
    return corrections.get(key(), ())


def test_what_a_ready_engine_reports_becomes_a_correction_of_its_gpu_kind() -> None:
    prometheus = Prometheus()
    (first,) = heard(world(), observing(prometheus))
    assert (first.gpu_kind, first.windows, first.applied) == ("H100-80GB", 1, 1.0)
    assert first.observed != 1.0
    assert prometheus.asked == 5
    (later,) = heard(world(), observing(Prometheus()), windows=40)
    assert later.windows == 40
    assert abs(later.applied - 1.0) > 0.05


def test_a_window_is_asked_for_once_and_nothing_is_asked_where_it_is_off() -> None:
    prometheus = Prometheus()
    found = observing(prometheus)
    heard(world(), found)
    heard(world(), found)
    assert prometheus.asked == 5
    off = observing(Prometheus())
    assert off.corrections(world(corrections=CorrectionUse.OFF)) == {}
    asyncio.run(off.look())
    assert off.corrections(world(corrections=CorrectionUse.OFF)) == {}


@pytest.mark.parametrize("server", [True, False])
def test_while_nothing_is_heard_what_the_status_remembers_holds(server: bool) -> None:
    item = {"gpuKind": "H100-80GB", "engine": "vllm", "observed": 1.2, "applied": 1.15, "windows": 9}
    raw = {**demand_object(), "status": {"corrections": [{**item, "until": "2026-11-21T09:00:00Z"}]}}
    prometheus = Prometheus()
    prometheus.down = True
    (held,) = heard(seen(raw, pool_object("big")), observing(prometheus, server=server), windows=3)
    assert (held.observed, held.applied, held.windows) == (1.2, 1.15, 9)
    assert bool(prometheus.asked) is server
