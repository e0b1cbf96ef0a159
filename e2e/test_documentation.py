"""What the documentation says about a cluster is tried on one: commands of its pages, dashboards, rules.

One cluster with ``examples/first``, as the pages assume.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.prometheus import Prometheus
from e2e.world import World, serving

from atoll.domain.demand import DemandKey
from atoll.local.binaries import Binaries
from atoll.render.router.routing import RoutedModel
from atoll.report.monitoring.alerts import alerts
from atoll.report.monitoring.dashboards import DASHBOARDS
from atoll.report.monitoring.panels import queries
from docs.blocks import ROOT, Block, blocks, shown
from render.envoy import POLICY, Engine, Router, endpoint, show

pytestmark = pytest.mark.timeout(900)

EXAMPLE = ROOT / "examples" / "first"
RULES = ROOT / "charts" / "atoll" / "rules" / "atoll.yaml"
ON_CLUSTER = [block for block in blocks() if block.kind == "console" and block.on_cluster and not block.not_run]
MEASURED = re.compile(r"atoll_demand_(observed|estimate|floor|signal)_")
"""Of demands that follow Prometheus, which the example has none of: e2e/test_operator_measured.py has."""

COMMAND_SECONDS = 300
SCRAPES_SECONDS = 240


@pytest.fixture(scope="module")
def world(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("manifests")
    for path in EXAMPLE.iterdir():
        shutil.copy(path, folder)
    fleet = yaml.safe_load((EXAMPLE / "fleet.yaml").read_text(encoding="utf-8"))
    fleet["spec"]["router"] = {"drain": "1s", "grace": "1s"}  # nobody's requests have to be waited for
    (folder / "fleet.yaml").write_text(yaml.safe_dump(fleet), encoding="utf-8")
    with serving(binaries, tmp_path_factory.mktemp("documentation"), folder) as found:
        yield found


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """A router whose engine answers: on the cluster engines are simulated, so only failures would be seen."""

    router: Router
    engine: Engine

    def send(self) -> None:
        """Requests of which few fail: fewer than there is an alert for."""
        for status in (*[HTTPStatus.OK] * 40, HTTPStatus.INTERNAL_SERVER_ERROR):
            self.engine.status = status
            assert self.router.ask({"model": "phi-4"}).status == status
        assert self.router.ask({"model": "nobody"}).status == HTTPStatus.NOT_FOUND


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traffic]:
    router = Router(folder=tmp_path_factory.mktemp("router"), policy=replace(POLICY, token_metrics=True))
    with Engine("phi-4") as engine, router:
        engine.answer = {"usage": {"prompt_tokens": 10, "completion_tokens": 5}}
        key = DemandKey(namespace="default", name="chat")
        show(router, RoutedModel(key=key, served_names=("phi-4",), endpoints=(endpoint(engine),)))
        yield Traffic(router=router, engine=engine)


@pytest.fixture(scope="module")
def prometheus(world: World, traffic: Traffic, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that scrapes operator and routers, and evaluates the shipped rules."""
    routers = [world.fleet.router_status_url, f"http://127.0.0.1:{traffic.router.settings.status_port}"]
    targets = {
        "atoll": [f"http://127.0.0.1:{world.fleet.probe_port}/metrics"],
        "atoll-router": [f"{url}/stats/prometheus" for url in routers],
    }
    with Prometheus(tmp_path_factory.mktemp("prometheus"), targets=targets, rules=[RULES]) as server:
        yield server


def asked(expression: str) -> str:
    """A panel's query as Grafana would send it."""
    return expression.replace("$fleet", "default").replace("$__rate_interval", "1m")


def test_every_panel_shows_something_and_every_rule_is_evaluated(traffic: Traffic, prometheus: Prometheus) -> None:
    deadline = time.monotonic() + SCRAPES_SECONDS
    every = [asked(expr) for dashboard in DASHBOARDS for expr in queries(dashboard)]
    wanted = [expr for expr in every if not MEASURED.search(expr)]
    while wanted := [expr for expr in wanted if not prometheus.query(expr)]:
        assert time.monotonic() < deadline, "\n".join(["these give nothing:", *wanted])
        traffic.send()
        time.sleep(0.5)

    for expr in every:
        prometheus.query(expr)  # fails where it is no PromQL

    def evaluated() -> list[dict[str, Any]]:
        return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]

    while any(rule["health"] == "unknown" for rule in evaluated()):
        assert time.monotonic() < deadline, "some rule was never evaluated"
        time.sleep(0.5)
    rules = evaluated()
    assert {rule["name"] for rule in rules} >= {alert.name for alert in alerts()}
    assert {rule["name"]: rule["lastError"] for rule in rules if rule.get("lastError")} == {}
    assert {rule["name"] for rule in rules if rule["health"] != "ok"} == set()
    # The fleet is as it should be, so nothing fires, nor is about to.
    while about := prometheus.query("ALERTS"):
        assert time.monotonic() < deadline, about
        time.sleep(0.5)


def test_what_prometheus_has_is_what_the_fleet_says(world: World, prometheus: Prometheus) -> None:
    status = world.policy()["status"]

    ((cost),) = prometheus.query('atoll_fleet_cost_dollars_per_hour{fleet="default"}')
    assert float(cost["value"][1]) == pytest.approx(status["costPerHour"], rel=0.01)


def environment(world: World, folder: Path) -> dict[str, str]:
    """Commands as a reader has them: kubectl and atoll on the path, the cluster in the kubeconfig."""
    folder.mkdir(exist_ok=True)
    kubectl = folder / "kubectl"
    kubectl.unlink(missing_ok=True)
    kubectl.symlink_to(world.plane.kubectl_path)
    return {
        **os.environ,
        "PATH": f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "KUBECONFIG": str(world.plane.kubeconfig),
        "KUBECACHEDIR": str(folder / "cache"),
        "COLUMNS": "100",
    }


PAGES = sorted({block.page for block in ON_CLUSTER})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_do_what_it_says(world: World, tmp_path: Path, page: Path) -> None:
    surroundings = environment(world, tmp_path / "bin")
    changed = False
    for block in (each for each in ON_CLUSTER if each.page == page):
        for command, expected in block.commands():
            run(block, command, expected, surroundings)
            changed |= bool(re.search(r"\b(patch|apply|delete|approve|rollback|annotate|label)\b", command))
    if changed:
        world.restore()
        world.settle()


def run(block: Block, command: str, expected: list[str], surroundings: dict[str, str]) -> None:
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", command],
        cwd=ROOT,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert done.returncode == block.exit_code, f"{block}: {command}\n{done.stdout}{done.stderr}"
    missing = shown(expected, done.stdout)
    assert not missing, f"{block}: {command} does not print {missing!r} but\n{done.stdout}"
