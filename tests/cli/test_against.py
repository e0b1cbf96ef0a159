"""`atoll plan --against` and `atoll check`, as pull requests and pre-commit hooks use them."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from atoll.cli.commands import app

SMALL = Path(__file__).parent / "manifests" / "small.yaml"


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "80", "KUBECONFIG": ""}).invoke(app, ["plan", *arguments])


def check(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, ["check", *arguments])


def small(folder: Path, *, rate: float = 12.0, budget: float | None = None, most: int = 8, **demand: object) -> str:
    """The small fleet with something changed, as a file."""
    documents = list(yaml.safe_load_all(SMALL.read_text()))
    by_kind = {document["kind"]: document["spec"] for document in documents}
    by_kind["ModelDemand"]["demand"]["requestsPerSecond"] = rate
    by_kind["ModelDemand"]["demand"].update(demand)
    by_kind["Fleet"] |= {"budgetPerHour": budget} if budget is not None else {}
    for document in documents:
        if document["kind"] == "GPUNodePool":
            document["spec"]["offerings"][0]["maxNodes"] = min(most, document["spec"]["offerings"][0]["maxNodes"])
    path = folder / f"{rate}-{budget}-{most}.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return str(path)


def test_a_pull_request_is_told_cost_before_and_after(tmp_path: Path) -> None:
    result = run("-f", small(tmp_path, rate=24), "--against", str(SMALL), "--no-baseline", "--format", "markdown")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("### Fleet plan: ✅ +")
    assert "| `phi` | 12 → 24 |" in result.stdout


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ({"budget": 1.0}, 4, "❌ over budget"),
        ({"rate": 500.0, "most": 1}, 3, "requests/s short"),
    ],
)
def test_over_budget_and_shortfall_fail_the_check(
    tmp_path: Path, given: dict[str, float], code: int, said: str
) -> None:
    result = run("-f", small(tmp_path, **given), "--no-baseline", "--format", "markdown")  # type: ignore[arg-type]

    assert result.exit_code == code, result.output
    assert said in result.stdout.splitlines()[0]


def test_the_json_has_the_comparison_too(tmp_path: Path) -> None:
    result = run("-f", small(tmp_path, rate=24), "--against", str(SMALL), "--no-baseline", "--json")

    report = json.loads(result.stdout)
    assert report["against"]["moreCostPerHour"] == pytest.approx(
        report["costPerHour"] - report["against"]["before"]["costPerHour"]
    )


def test_what_was_an_empty_folder_is_compared_as_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("-f", str(SMALL), "--against", str(tmp_path / "empty"), "--no-baseline", "--format", "markdown")

    assert result.exit_code == 0, result.output
    assert "added `phi`" in result.stdout


def test_checking_reads_objects_and_solves_nothing(tmp_path: Path) -> None:
    good = check(str(SMALL))
    bad = check(small(tmp_path, rate=-1), "--json")

    assert (good.exit_code, good.stdout) == (0, "4 objects of Atoll: valid\n")
    assert bad.exit_code == 1
    (fault,) = json.loads(bad.stdout)["faults"]
    assert fault["object"] == "ModelDemand default/phi"
    assert fault["field"].startswith("spec.demand")


def test_a_demand_that_is_measured_is_valid_without_a_measurement(tmp_path: Path) -> None:
    documents = list(yaml.safe_load_all(SMALL.read_text()))
    source = next(item for item in documents if item["kind"] == "ModelDemand")["spec"]["demand"]
    del source["requestsPerSecond"]
    source["prometheus"] = {"query": "sum(rate(x[5m]))"}
    path = tmp_path / "measured.yaml"
    path.write_text(yaml.safe_dump_all(documents))

    assert check(str(path)).exit_code == 0, check(str(path)).output


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("--against", "x"), "--against"),
        (("--format", "markdown"), "--format"),
        (("-f", str(SMALL), "--plan", "default-1"), "--plan"),
        (("-f", str(SMALL), "--json", "--format", "markdown"), "--json"),
        (("-f", str(SMALL), "--against", "no-such-folder"), "--against"),
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(arguments: tuple[str, ...], option: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert option in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "-f", "gone"],
        ["plan", "-f", str(SMALL), "--against", "gone"],
        ["check", "gone"],
        ["local", "run", "-f", "gone"],
    ],
)
def test_a_path_that_is_not_there_is_said_once_with_its_mend(arguments: list[str]) -> None:
    result = CliRunner(env={"COLUMNS": "200", "KUBECONFIG": ""}).invoke(app, arguments)

    assert result.exit_code == 2
    assert result.output.count("gone") == 1
    assert "gone: no such file or folder: " in result.output
