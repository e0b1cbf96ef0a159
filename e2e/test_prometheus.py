"""The Prometheus that other tests use is a real one: scrapes, evaluates rules, keeps its data over a restart."""

import time
from pathlib import Path

import pytest
from e2e.prometheus import Prometheus
from e2e.stand_in_exporter import Exporter

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
