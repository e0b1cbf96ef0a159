from collections.abc import Iterator

import httpx
import pytest

from atoll.handlers.metrics import Metrics, ProbeServer


class State:
    healthy = ""
    ready = "the cache is not filled yet"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def client(metrics: Metrics) -> Iterator[httpx.Client]:
    State.healthy, State.ready = "", "the cache is not filled yet"
    server = ProbeServer(metrics, port=0, host="127.0.0.1", healthy=lambda: State.healthy, ready=lambda: State.ready)
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        yield client
    server.close()


def test_a_probe_answers_with_what_is_wrong(client: httpx.Client) -> None:
    assert (client.get("/healthz").status_code, client.get("/healthz").text) == (200, "ok")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "the cache is not filled yet")
    State.ready = ""
    assert client.get("/readyz").status_code == 200


def test_metrics_are_served_with_their_names_and_labels(metrics: Metrics, client: httpx.Client) -> None:
    metrics.fleet.samples = {"fleet_cost_dollars_per_hour": ((("default",), 12.5),)}
    metrics.writes.labels(verb="apply", kind="Deployment", result="Done").inc()
    metrics.replans.labels(reason="NodeLost").inc()
    metrics.solve_seconds.labels(fleet="default").observe(0.7)
    text = client.get("/metrics").text
    for line in (
        'atoll_fleet_cost_dollars_per_hour{fleet="default"} 12.5',
        'atoll_writes_total{kind="Deployment",result="Done",verb="apply"} 1.0',
        'atoll_replans_total{reason="NodeLost"} 1.0',
        'atoll_solve_seconds_bucket{fleet="default",le="1.0"} 1.0',
    ):
        assert line in text.splitlines()


def test_nothing_else_is_served(client: httpx.Client) -> None:
    assert client.get("/").status_code == 404
    assert client.post("/metrics").status_code == 501
