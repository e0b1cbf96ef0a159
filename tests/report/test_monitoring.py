"""Dashboards and rules: written as the code says, of metrics that exist, with a runbook for every alert."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from atoll.handlers.metrics import Metrics
from atoll.report.monitoring.__main__ import files
from atoll.report.monitoring.alerts import alerts, rules
from atoll.report.monitoring.dashboards import DASHBOARDS
from atoll.report.monitoring.panels import Dashboard, grafana, queries

ROOT = Path(__file__).parents[2]
FOLDERS = {"chart": ROOT / "charts" / "atoll", "docs": ROOT / "docs"}
WRITTEN = files()

each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)


def expressions() -> Iterator[str]:
    for dashboard in DASHBOARDS:
        yield from queries(dashboard)
    for group in rules()["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


@pytest.mark.parametrize("path", WRITTEN, ids=str)
def test_a_file_is_what_the_code_says(path: Path) -> None:
    stored = FOLDERS[path.parts[0]].joinpath(*path.parts[1:])
    assert stored.read_text(encoding="utf-8") == WRITTEN[path], "run `make crds` and commit the result"


def test_expressions_name_metrics_that_are_served() -> None:
    served = set()
    for item in Metrics().described:
        served |= {item.name} | ({f"{item.name}_bucket"} if item.type == "histogram" else set())
    served |= {family.name for family in Metrics().registry.collect() if family.name.startswith("atoll_process_")}
    named = {name for expr in expressions() for name in re.findall(r"(?<![:\w])atoll_\w+(?![:\w])", expr)}

    assert named
    assert named - served == set()


def test_expressions_name_labels_that_their_metrics_have() -> None:
    labels = {item.name: set(item.labels) for item in Metrics().described}
    wrong = [
        (name, label)
        for expr in expressions()
        for name, matchers in re.findall(r"(?<![:\w])(atoll_\w+)\{([^}]*)\}", expr)
        for label in re.findall(r"(\w+)(?:=~|!~|!=|=)", matchers)
        if label not in labels.get(name.removesuffix("_bucket"), set())
    ]
    assert wrong == []


def test_recorded_series_that_are_used_are_recorded() -> None:
    recorded = {rule["record"] for group in rules()["groups"] for rule in group["rules"] if "record" in rule}
    used = {name for expr in expressions() for name in re.findall(r"\w+:\w+:\w+", expr)}

    assert used <= recorded


@each_dashboard
def test_panels_lie_beside_and_below_each_other(dashboard: Dashboard) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in grafana(dashboard)["panels"]:
        grid = panel["gridPos"]
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert max(x for x, _ in cells) < 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


@each_dashboard
def test_panels_have_numbers_and_queries_of_their_own(dashboard: Dashboard) -> None:
    panels = grafana(dashboard)["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert [panel["title"] for panel in panels if panel["type"] != "row" and not panel["targets"]] == []
    assert json.loads(json.dumps(panels)) == panels


def test_dashboards_link_to_each_other() -> None:
    known = {dashboard.uid for dashboard in DASHBOARDS}

    assert {uid for dashboard in DASHBOARDS for uid, _ in dashboard.links} <= known


def test_every_alert_names_its_object_and_leads_to_its_section() -> None:
    page = (ROOT / "docs" / "reference" / "alerts.md").read_text(encoding="utf-8")
    for group in rules()["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                anchor = rule["annotations"]["runbook_url"].rpartition("#")[2]
                assert f"\n## {rule['alert']}\n" in page
                assert anchor == rule["alert"].lower()
    # Only one is about an absence, which has no labels.
    assert [item.name for item in alerts() if "$labels" not in item.summary] == ["AtollNoLeader"]


def test_every_alert_says_what_to_do() -> None:
    assert [item.name for item in alerts() if not (item.means and item.steps)] == []
    assert {item.severity for item in alerts()} == {"critical", "warning", "info"}
