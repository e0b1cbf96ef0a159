"""The Prometheus that other tests use is a real one: scrapes, evaluates rules, keeps its data over a restart."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from e2e.prometheus import Prometheus
from e2e.stand_in_exporter import Exporter

from atoll.domain.correction import EngineLoad
from atoll.local.tools import ensure_tool
from atoll.signals.engines import engine_loads
from atoll.signals.fetch import Server

pytestmark = pytest.mark.timeout(900)

RULES = """groups: [{name: test, rules: [{record: "atoll:doubled", expr: "2 * stand_in_gauge"}]}]"""


def awaited(server: Prometheus, expression: str) -> float:
    deadline = time.monotonic() + 60
    while not (found := server.query(expression)):
        assert time.monotonic() < deadline, f"{expression} gives nothing"
        time.sleep(0.1)
    return float(found[0]["value"][1])


def test_prometheus_scrapes_evaluates_and_keeps(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES, encoding="utf-8")
    with Exporter() as exporter:
        exporter.page = "# TYPE stand_in_gauge gauge\nstand_in_gauge 21\n"
        with Prometheus(tmp_path / "state", targets={"stand-in": [exporter.url]}, rules=[rules]) as server:
            assert awaited(server, "atoll:doubled") == 42
            server.stop()
            server.start()
            assert awaited(server, "last_over_time(stand_in_gauge[5m])") == 21


def samples(name: str, kind: str, labels: str, value: Callable[[int], float], times: range) -> Iterator[str]:
    """One series as OpenMetrics, with its times."""
    yield f"# TYPE {name} {kind}"
    suffix = "_total" if kind == "counter" else ""
    yield from (f"{name}{suffix}{{{labels}}} {value(at)} {at}" for at in times)


def test_prometheus_answers_what_engines_of_both_kinds_did_in_a_window(tmp_path: Path) -> None:
    end = int(time.time()) // 600 * 600
    times = range(end - 900, end + 1, 15)
    vllm, sglang = 'namespace="team-a",pod="chat-0",engine="0"', 'namespace="team-b",pod="code-0",tp_rank="0"'
    lines = [
        *samples("vllm:num_requests_running", "gauge", vllm, lambda at: 10 + at // 15 % 5, times),
        *samples("vllm:kv_cache_usage_perc", "gauge", vllm, lambda _: 0.4, times),
        *samples("vllm:generation_tokens", "counter", vllm, lambda at: 500.0 * (at - times[0]), times),
        *samples("vllm:prompt_tokens", "counter", vllm, lambda at: 2000.0 * (at - times[0]), times),
        *samples("sglang:num_running_reqs", "gauge", sglang, lambda _: 7, times),
        *samples("sglang:token_usage", "gauge", sglang, lambda _: 0.2, times),
        *samples("sglang:generation_tokens", "counter", sglang, lambda at: 300.0 * (at - times[0]), times),
        *samples("sglang:prompt_tokens", "counter", sglang, lambda at: 900.0 * (at - times[0]), times),
        "# EOF\n",
    ]
    page, folder = tmp_path / "page", tmp_path / "state"
    page.write_text("\n".join(lines), encoding="utf-8")
    server = Prometheus(folder, targets={})
    made = ["tsdb", "create-blocks-from", "openmetrics", str(page), str(folder / "data")]
    subprocess.run([str(ensure_tool("promtool")), *made], check=True, capture_output=True)

    async def asked() -> tuple[EngineLoad, ...]:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await engine_loads(Server(url=server.url), client, ended_at=float(end), seconds=600.0)

    with server:
        chat, code = asyncio.run(asked())
    assert (chat.namespace, chat.pod, code.namespace, code.pod) == ("team-a", "chat-0", "team-b", "code-0")
    assert (chat.running, chat.least_running, chat.kv_usage) == (pytest.approx(12.0, abs=0.1), 10.0, 0.4)
    assert (chat.generated, chat.prompted) == (pytest.approx(500.0), pytest.approx(2000.0))
    assert (code.running, code.generated, code.prompted) == (7.0, pytest.approx(300.0), pytest.approx(900.0))
