"""What engines report, as Prometheus answers it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from atoll.signals.engines import EngineMetricsError, engine_loads, questions
from atoll.signals.fetch import Server

URL = "http://prometheus.test"


def vector(*items: tuple[dict[str, str], str]) -> httpx.Response:
    result = [{"metric": labels, "value": [1000.0, value]} for labels, value in items]
    return httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": result}})


def asked(reply: Callable[[str], httpx.Response]) -> Any:
    def answer(request: httpx.Request) -> httpx.Response:
        (query,) = parse_qs(request.content.decode())["query"]
        return reply(query)

    async def ask() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await engine_loads(Server(url=URL), client, ended_at=1000.0, seconds=600.0)

    return asyncio.run(ask())


POD = {"namespace": "team-a", "pod": "chat-0"}


def test_each_figure_is_asked_of_both_engines_over_the_window() -> None:
    found = {each.field: each.query for each in questions(600.0)}
    assert set(found) == {"running", "least_running", "kv_usage", "generated", "prompted"}
    assert found["generated"] == (
        "sum by (namespace, pod) (rate(vllm:generation_tokens_total[600s]))"
        " or sum by (namespace, pod) (rate(sglang:generation_tokens_total[600s]))"
    )
    assert found["least_running"].startswith("max by (namespace, pod) (min_over_time(vllm:num_requests_running[600s]))")


def test_a_pod_with_all_figures_is_a_load_and_others_are_none() -> None:
    def reply(query: str) -> httpx.Response:
        partly = {**POD, "pod": "chat-1"}
        items = [(POD, "2.5"), ({"pod": "nowhere"}, "1"), ({**POD, "pod": "nan"}, "NaN"), ({**POD, "pod": "x"}, "-1")]
        return vector(*items, *([(partly, "1")] if "generation" in query else []))

    (load,) = asked(reply)
    assert (load.namespace, load.pod, load.running, load.prompted, load.ended_at) == (
        "team-a",
        "chat-0",
        2.5,
        2.5,
        1000.0,
    )


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503, content=b"busy"),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, json={"status": "error", "error": "no such function"}),
        httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": []}}),
        httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": [{"metric": 3}]}}),
        httpx.Response(200, content=json.dumps([1]).encode()),
    ],
    ids=str,
)
def test_what_is_no_answer_of_prometheus_is_an_error(answer: httpx.Response) -> None:
    with pytest.raises(EngineMetricsError, match=URL):
        asked(lambda _: answer)
