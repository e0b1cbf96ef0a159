"""`atoll plan`: what it prints, and what a pipeline can tell from its exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from atoll.cli.app import app

SMALL = Path(__file__).parent / "manifests" / "small.yaml"

Change = Callable[[dict[str, Any]], None]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["plan", *arguments])


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[str, Change], str]:
    """The small fleet with one kind of object changed, as a file."""

    def write(kind: str, change: Change) -> str:
        documents = list(yaml.safe_load_all(SMALL.read_text()))
        for document in documents:
            if document["kind"] == kind:
                change(document["spec"])
        path = tmp_path / "fleet.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        return str(path)

    return write


def test_a_fleet_that_is_served_ends_with_zero_and_documented_json() -> None:
    result = run("-f", str(SMALL), "--json")

    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["schemaVersion"] == 1
    assert report["shortfall"] == {"default/phi": 0.0}
    assert 0.0 < report["lowerBoundPerHour"] <= report["costPerHour"]
    assert report["costPerHour"] <= report["baseline"]["oneKindPerModel"]["costPerHour"] + 1e-6
    (demand,) = report["demands"]
    assert sum(item["count"] * item["rate"] for item in demand["replicas"]) >= 12.0
    for item in demand["replicas"]:
        assert sum(item["layers"]) == 40
        assert item["source"]
    assert demand["costPerHour"] == pytest.approx(report["costPerHour"])
    assert sum(item["nodes"] * item["pricePerHour"] for item in report["nodes"]) == pytest.approx(report["costPerHour"])


def test_the_table_names_demand_cost_bound_and_what_was_assumed() -> None:
    result = run("-f", str(SMALL))

    assert result.exit_code == 0, result.output
    for word in ("phi", "$/h", "proven lower bound", "gap", "one GPU kind per served model", "Assumed: prices"):
        assert word in result.stdout


def test_a_folder_that_is_not_there_is_a_usage_error_that_names_it() -> None:
    result = run("-f", "no/such/folder")

    assert result.exit_code == 2
    assert "no/such/folder" in result.output


def test_a_deadline_that_is_no_duration_is_a_usage_error() -> None:
    result = run("-f", str(SMALL), "--deadline", "soon")

    assert result.exit_code == 2
    assert "5s" in result.output


def test_a_shortfall_ends_with_three_and_says_how_much(changed: Callable[[str, Change], str]) -> None:
    def scarce(spec: dict[str, Any]) -> None:
        spec["offerings"][0]["maxNodes"] = 0 if spec["gpu"]["count"] == 8 else 1

    result = run("-f", changed("GPUNodePool", scarce), "--json")

    assert result.exit_code == 3, result.output
    report = json.loads(result.stdout)
    assert 0.0 < report["shortfall"]["default/phi"] < 12.0


def test_a_fleet_over_its_budget_ends_with_four(changed: Callable[[str, Change], str]) -> None:
    result = run("-f", changed("Fleet", lambda spec: spec.update(budgetPerHour=0.5)), "--json")

    assert result.exit_code == 4, result.output


def test_a_bad_object_ends_with_one_and_the_others_are_planned(changed: Callable[[str, Change], str]) -> None:
    def unknown(spec: dict[str, Any]) -> None:
        if spec["gpu"]["count"] == 8:
            spec["gpu"]["kind"] = "H1OO-80GB"

    result = run("-f", changed("GPUNodePool", unknown), "--json")

    assert result.exit_code == 1, result.output
    report = json.loads(result.stdout)
    (fault,) = report["faults"]
    assert "h100" in fault["object"]
    assert fault["field"] == "spec.gpu.kind"
    assert report["shortfall"] == {"default/phi": 0.0}


def test_objectives_that_nothing_can_meet_are_named_and_not_answered_with_replicas(
    changed: Callable[[str, Change], str],
) -> None:
    result = run("-f", changed("ModelDemand", lambda spec: spec["objectives"].update(ttft="1ms")), "--json")

    assert result.exit_code == 1, result.output
    report = json.loads(result.stdout)
    assert [fault["reason"] for fault in report["faults"]] == ["ImpossibleObjectives"]
    assert report["demands"] == []
    assert report["costPerHour"] == 0.0


def test_a_fleet_without_demands_is_a_usage_error_and_not_a_success() -> None:
    result = run("-f", str(SMALL), "--fleet", "typo")

    assert result.exit_code == 2
    assert "default" in result.output


def test_the_table_names_limits_that_are_not_kept(changed: Callable[[str, Change], str]) -> None:
    result = run("-f", changed("Fleet", lambda spec: spec.update(budgetPerHour=0.5)))

    assert "OverBudget" in result.stdout
