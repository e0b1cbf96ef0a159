"""`atoll plan` for demands that are measured: as the user says, or as a Prometheus answers now."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from typer.testing import CliRunner, Result

from atoll.cli.commands import app

FLEET = Path(__file__).parents[2] / "e2e" / "manifests" / "measured"


def planned(*options: str) -> Result:
    return CliRunner().invoke(app, ["plan", "-f", str(FLEET), "--no-baseline", "--json", *options])


def rates(result: Result) -> dict[str, float]:
    return {item["name"]: item["rate"] for item in json.loads(result.stdout)["demands"]}


def test_a_measured_demand_without_a_rate_names_the_object_and_the_mend() -> None:
    result = planned()
    assert result.exit_code == 1
    faults = json.loads(result.stdout)["faults"]
    assert [fault["object"].rpartition(": ")[2] for fault in faults] == [
        "ModelDemand default/phi-4",
        "ModelDemand default/gpt-oss-20b",
    ]
    assert faults[0]["message"] == (
        "is measured, and nobody is asked here: give --demand default/phi-4=RATE, or --prometheus URL"
    )


def test_rates_that_are_said_are_planned_for_within_the_demands_limits() -> None:
    result = planned("--demand", "default/phi-4=0.5", "--demand", "gpt-oss-20b=6")
    assert result.exit_code == 0
    assert rates(result) == {"phi-4": 1.0, "gpt-oss-20b": 6.0}, "minimum of phi-4 is 1"
    assert any("phi-4 is measured" in line for line in json.loads(result.stdout)["assumptions"])


def test_a_fixed_demand_can_be_given_another_rate() -> None:
    small = Path(__file__).parent / "manifests" / "small.yaml"
    names = rates(CliRunner().invoke(app, ["plan", "-f", str(small), "--no-baseline", "--json"]))
    name = next(iter(names))
    again = CliRunner().invoke(
        app, ["plan", "-f", str(small), "--no-baseline", "--json", "--demand", f"default/{name}=0.25"]
    )
    assert rates(again)[name] == 0.25


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("phi-4", "write it like team-a/chat=25"),
        ("phi-4=nan", "write it like"),
        ("phi-4=-1", "write it like"),
        ("=5", "write it like"),
        ("phi-5=5", "names no ModelDemand of the manifests"),
    ],
)
def test_what_is_no_rate_of_a_demand_is_refused(option: str, says: str) -> None:
    result = planned("--demand", option)
    assert result.exit_code == 2
    assert says in " ".join(result.output.replace("│", " ").split())


@pytest.fixture
def prometheus() -> Iterator[str]:
    """What stands in for Prometheus: 12 requests/s for one query, no series for any other."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            form = {key: values[0] for key, values in parse_qs(self.rfile.read(length).decode()).items()}
            begin, end, step = (float(form[name]) for name in ("start", "end", "step"))
            values = [[begin + index * step, "12"] for index in range(round((end - begin) / step) + 1)]
            series = [{"metric": {}, "values": values}] if "stand_in_rate" in form["query"] else []
            content = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": series}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Not news."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_prometheus_is_asked_and_what_it_does_not_know_is_named(prometheus: str) -> None:
    result = planned("--prometheus", prometheus)
    assert rates(result) == {"phi-4": 12.0}
    (fault,) = json.loads(result.stdout)["faults"]
    assert fault["object"].endswith("ModelDemand default/gpt-oss-20b")
    assert fault["message"].startswith("SignalMissing: the query gives no series")
    assert fault["message"].endswith("give --demand default/gpt-oss-20b=RATE")
    both = planned("--prometheus", prometheus, "--demand", "gpt-oss-20b=6")
    assert (both.exit_code, rates(both)) == (0, {"phi-4": 12.0, "gpt-oss-20b": 6.0})


def test_a_prometheus_that_is_away_is_named() -> None:
    message = json.loads(planned("--prometheus", "http://127.0.0.1:9").stdout)["faults"][0]["message"]
    assert message.startswith("SignalUnreachable: http://127.0.0.1:9/api/v1/query_range cannot be asked")
