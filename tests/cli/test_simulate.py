"""`atoll simulate`: what it prints, what it refuses, and that what it prints is documented."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from atoll.cli.commands import app

SMALL = Path(__file__).parent / "manifests" / "small.yaml"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "json.md"
TITLE = "# JSON of `atoll simulate --json`"
TYPES = {"integer": int, "number": (int, float), "string": str, "boolean": bool, "list": list, "object": dict}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["simulate", *arguments])


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.yaml"
    path.write_text("epochs: 8\nseed: 3\ndemand: [{noise: 0.02}]\nlosses: [{at: 3m, offerings: '*', nodes: 2}]\n")
    return path


def printed(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field with its value, by path: list items as ``[]``."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for name, item in value.items():
            yield from printed(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for item in value:
            yield from ((p, v) for p, v in printed(item, f"{path}[]") if p != f"{path}[]")


def test_json_is_as_documented_and_the_same_each_time(scenario: Path) -> None:
    result = run("-f", str(SMALL), "--scenario", str(scenario), "--json")

    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    section = PAGE.read_text().split(TITLE)[1].split("\n# ")[0]
    types = dict(re.findall(r"^\| `([^`]+)` \| (\w+) \|", section, re.MULTILINE))
    given = dict(printed(report))
    assert set(given) | {f"faults[].{name}" for name in ("object", "reason", "field", "message")} == set(types)
    assert {path for path, value in given.items() if not isinstance(value, TYPES[types[path]])} == set()
    assert [item["name"] for item in report["runs"]] == ["atoll", "replan-always", "uniform", "first-come"]
    assert run("-f", str(SMALL), "--scenario", str(scenario), "--json").stdout == result.stdout


def test_totals_are_those_of_the_epochs(scenario: Path) -> None:
    report = json.loads(run("-f", str(SMALL), "--scenario", str(scenario), "--baseline", "none", "--json").stdout)

    (only,) = report["runs"]
    epochs, totals = only["epochs"], only["totals"]
    assert len(epochs) == 8
    assert totals["cost"] == pytest.approx(sum(row["costPerHour"] for row in epochs) / 60.0, rel=1e-6)
    assert totals["servedRequests"] == pytest.approx(60.0 * sum(row["served"] for row in epochs), rel=1e-4)
    assert totals["lost"] == sum(row["lost"] for row in epochs) == epochs[3]["lost"]
    assert totals["restless"] == 0
    assert epochs[3]["shortfall"] > 0.0


def test_tables_compare_the_ways_to_decide_and_name_the_demands(scenario: Path) -> None:
    result = run("-f", str(SMALL), "--scenario", str(scenario), "--baseline", "uniform")

    assert result.exit_code == 0, result.output
    for word in ("Way to decide", "atoll", "uniform", "phi", "Served", "3 of 8 epochs of 60 s are shown"):
        assert word in result.stdout
    assert "first-come" not in result.stdout


def test_epochs_and_their_length_can_be_given_on_the_command_line(scenario: Path) -> None:
    options = ("--epochs", "2", "--epoch", "2m", "--baseline", "none", "--json")
    report = json.loads(run("-f", str(SMALL), "--scenario", str(scenario), *options).stdout)

    assert [row["seconds"] for row in report["runs"][0]["epochs"]] == [0.0, 120.0]


def test_a_bad_scenario_ends_with_one_line_that_names_file_field_value_and_mend(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("demand: [{nam: x}]\n")
    result = run("-f", str(SMALL), "--scenario", str(path))

    assert result.exit_code == 1
    assert result.stderr.splitlines() == [f"error: {path}:1: scenario.demand[0].nam: no such field; did you mean name?"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("-f", str(SMALL), "--scenario", "no-such.yaml"), "no-such.yaml"),
        (("-f", "no-such", "--scenario", str(SMALL)), "no-such"),
        (("-f", str(SMALL)), "--scenario"),
    ],
)
def test_files_that_are_not_there_are_usage_errors(arguments: tuple[str, ...], word: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert word in result.output


@pytest.mark.parametrize(
    "option", [("--epoch", "soon"), ("--epochs", "0"), ("--baseline", "luck"), ("--fleet", "typo")]
)
def test_options_out_of_bounds_are_usage_errors(option: tuple[str, str], scenario: Path) -> None:
    assert run("-f", str(SMALL), "--scenario", str(scenario), *option).exit_code == 2


def test_an_object_at_fault_is_told_and_the_rest_is_played(tmp_path: Path, scenario: Path) -> None:
    bad = tmp_path / "fleet.yaml"
    bad.write_text(SMALL.read_text().replace("kind: H100-80GB", "kind: H1OO-80GB"))
    result = run("-f", str(bad), "--scenario", str(scenario), "--baseline", "none", "--json")

    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert [fault["field"] for fault in report["faults"]] == ["spec.gpu.kind"]
    assert report["runs"][0]["totals"]["servedShare"] > 0.5


def test_measured_step_times_count_as_they_do_in_the_plan(scenario: Path, tmp_path: Path) -> None:
    points = [{"phase": "Decode", "sequences": 16, "tokens": 512, "milliseconds": 70.0}]
    spec = {"architecture": "microsoft/phi-4", "gpuKind": "L40S-48GB", "tp": 1, "points": points}
    kind = {"apiVersion": "atoll.dev/v1alpha1", "kind": "PerformanceProfile"}
    profile = tmp_path / "profile.yaml"
    profile.write_text(yaml.safe_dump({**kind, "metadata": {"name": "p"}, "spec": spec}))
    scenario.write_text("epochs: 2\n")
    files = ("-f", str(SMALL), "-f", str(profile))

    played = json.loads(run(*files, "--scenario", str(scenario), "--baseline", "none", "--json").stdout)
    planned = json.loads(CliRunner().invoke(app, ["plan", *files, "--json", "--no-baseline"]).stdout)
    estimated = json.loads(CliRunner().invoke(app, ["plan", "-f", str(SMALL), "--json", "--no-baseline"]).stdout)

    (only,) = played["runs"]
    assert only["totals"]["costPerHour"] == pytest.approx(planned["costPerHour"])
    assert planned["costPerHour"] > estimated["costPerHour"]
