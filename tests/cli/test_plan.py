"""`atoll plan`: what it prints, and what a pipeline can tell from its exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from atoll.cli.commands import app
from atoll.domain.problem import Allocation, Problem
from atoll.optimize.solve import solve

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
    (demand,) = report["demands"]
    assert (demand["shortfall"], demand["replicas"]) == (12.0, [])
    assert demand["reason"] == demand["shortfallReason"] == "spec.objectives: " + report["faults"][0]["message"]
    assert report["costPerHour"] == 0.0
    assert report["baseline"]["oneKindPerModel"] == {"costPerHour": 0.0, "shortfall": 12.0}


def test_a_fleet_without_demands_is_a_usage_error_and_not_a_success() -> None:
    result = run("-f", str(SMALL), "--fleet", "typo")

    assert result.exit_code == 2
    assert "default" in result.output


def test_the_table_names_limits_that_are_not_kept(changed: Callable[[str, Change], str]) -> None:
    result = run("-f", changed("Fleet", lambda spec: spec.update(budgetPerHour=0.5)))

    assert result.exit_code == 4
    assert result.stdout.count("OverBudget") == 1
    assert " of 0.50 $/h: raise spec.budgetPerHour of the Fleet, or lower a demand" in " ".join(result.stdout.split())


def test_a_folder_without_manifests_is_said_to_hold_none(tmp_path: Path) -> None:
    result = run("-f", str(tmp_path))

    assert result.exit_code == 2
    assert "name the folder that does" in " ".join(result.output.split())


@pytest.mark.parametrize("deadline", ["99ms", "0s", "11m", "1000000h"])
def test_a_deadline_out_of_bounds_is_a_usage_error_that_names_value_and_bounds(deadline: str) -> None:
    result = run("-f", str(SMALL), "--deadline", deadline)

    assert result.exit_code == 2
    for word in (deadline, "100ms", "10m"):
        assert word in result.output


def test_help_and_table_say_what_the_deadline_covers() -> None:
    assert "The deadline covers stage two" in run("--help").output

    result = run("-f", str(SMALL))
    text = " ".join(result.stdout.split())
    assert "(deadline 2 s, for stage two alone); stage one took" in text
    assert "the comparison" in text


def test_times_of_both_stages_are_in_the_json() -> None:
    report = json.loads(run("-f", str(SMALL), "--json", "--no-baseline", "--deadline", "1500ms").stdout)

    assert report["deadlineSeconds"] == 1.5
    assert report["stageOneSeconds"] is not None
    assert report["baselineSeconds"] is None


def test_without_the_baseline_the_plan_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []

    def recorded(problem: Problem, **keywords: Any) -> Allocation:
        given.append(keywords)
        return solve(problem, **keywords)

    monkeypatch.setattr("atoll.cli.decision.solve", recorded)
    with_it = json.loads(run("-f", str(SMALL), "--json").stdout)
    without = json.loads(run("-f", str(SMALL), "--json", "--no-baseline").stdout)

    assert given == [{}, {}]
    assert with_it["demands"] == without["demands"]
    assert without["baseline"] == {"oneKindPerModel": None}


def test_manifests_are_taken_from_standard_input() -> None:
    result = CliRunner().invoke(app, ["plan", "-f", "-", "--json", "--no-baseline"], input=SMALL.read_bytes())

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["shortfall"] == {"default/phi": 0.0}


def test_pools_that_are_refused_are_not_said_to_be_missing(changed: Callable[[str, Change], str]) -> None:
    result = run("-f", changed("GPUNodePool", lambda spec: spec["gpu"].update(kind="H1OO-80GB")), "--json")

    assert result.exit_code == 1
    report = json.loads(result.stdout)
    messages = {fault["object"]: fault["message"] for fault in report["faults"]}
    assert "no GPUNodePool" not in " ".join(messages.values())
    assert "mend what is refused at" in messages["ModelDemand default/phi"]
    assert "fleet.yaml:" in messages["ModelDemand default/phi"]


def test_a_schedule_is_read_for_now_or_the_moment_given_and_the_plan_says_so(
    changed: Callable[[str, Change], str],
) -> None:
    def by_the_clock(spec: dict[str, Any]) -> None:
        del spec["demand"]["requestsPerSecond"]
        floors = [{"start": "08:00", "end": "20:00", "requestsPerSecond": 12}]
        spec["demand"]["schedule"] = {"base": 1, "floors": floors}

    path = changed("ModelDemand", by_the_clock)
    night = json.loads(run("-f", path, "--json", "--no-baseline", "--at", "2026-11-21T05:00:00Z").stdout)
    day = json.loads(run("-f", path, "--json", "--no-baseline", "--at", "2026-11-21T05:00:00-06:00").stdout)

    assert [report["demands"][0]["rate"] for report in (night, day)] == [1.0, 12.0]
    assert night["assumptions"][0] == (
        "default/phi wants 1 requests/s by its schedule at 2026-11-21T05:00:00Z (at most 12 at other times: --at TIME)"
    )


@pytest.mark.parametrize("moment", ["noon", "2026-11-21", "2026-11-21T05:00:00", "2026-02-30T05:00:00Z"])
def test_a_moment_without_its_time_zone_is_a_usage_error(moment: str) -> None:
    result = run("-f", str(SMALL), "--at", moment)

    assert result.exit_code == 2
    assert "RFC 3339" in result.output


def test_nodes_of_fixed_pools_are_counted_as_the_manifest_says_and_the_plan_says_so(
    changed: Callable[[str, Change], str],
) -> None:
    result = run("-f", changed("GPUNodePool", lambda spec: spec.update(provisioning="Fixed")), "--json")

    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["shortfall"] == {"default/phi": 0.0}
    assert report["costPerHour"] == 0.0
    assert report["assumptions"][0].startswith("all 9 nodes of 2 Fixed pools (h100, l40s) are Ready (maxNodes)")


def test_sglang_is_planned_by_its_own_terms(changed: Callable[[str, Change], str]) -> None:
    def sglang(spec: dict[str, Any]) -> None:
        spec["engine"] = {"name": "sglang", "image": "registry.example/sglang:1"}

    result = run("-f", changed("ModelDemand", sglang), "--json")

    assert result.exit_code == 0, result.output
    (demand,) = json.loads(result.stdout)["demands"]
    assert {item["engine"] for item in demand["replicas"]} == {"sglang"}
    for item in demand["replicas"]:
        assert len({stage["gpuKind"] for stage in item["stages"]}) == 1


def test_what_only_rendering_refuses_is_a_fault_of_the_plan_too(changed: Callable[[str, Change], str]) -> None:
    result = run("-f", changed("ModelDemand", lambda spec: spec["model"].update(weights="ftp://bucket/phi")), "--json")

    assert result.exit_code == 1
    (fault,) = json.loads(result.stdout)["faults"]
    assert fault["field"] == "spec.model.weights"


def test_a_shortfall_names_its_reason(changed: Callable[[str, Change], str]) -> None:
    def scarce(spec: dict[str, Any]) -> None:
        spec["offerings"][0]["maxNodes"] = 0 if spec["gpu"]["count"] == 8 else 1

    result = run("-f", changed("GPUNodePool", scarce), "--json")

    (demand,) = json.loads(result.stdout)["demands"]
    assert demand["shortfallReason"] == (
        "the one node that can be had of the GPU kinds that it may and can use (H100-80GB, L40S-48GB) is in use by phi:"
        " raise maxNodes, or add a pool"
    )
