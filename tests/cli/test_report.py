"""`atoll report`: what a plan costs and for whom, from manifests and from a cluster, and how it ends."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from api.plans import plan as sample_plan
from atoll.api.fleetplan_io import plan_objects
from atoll.cli import inforce
from atoll.cli.commands import app
from atoll.cluster.errors import UnavailableError
from atoll.domain.objects import FLEET, FLEET_PLAN, MODEL_DEMAND, Kind, ObjectLike

SMALL = Path(__file__).parent / "manifests" / "small.yaml"


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "80", "KUBECONFIG": ""}).invoke(app, ["report", *arguments])


def said(result: Result) -> str:
    """Its output as one line, without the frame that errors are drawn in."""
    return " ".join(result.output.replace("│", " ").split())


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., str]:
    """The small fleet with objects of a kind changed, as a file."""

    def write(kind: str, change: Callable[[dict[str, Any]], None]) -> str:
        documents = list(yaml.safe_load_all(SMALL.read_text()))
        for document in documents:
            if document["kind"] == kind:
                change(document)
        path = tmp_path / "fleet.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        return str(path)

    return write


def model_demand(**changes: Any) -> dict[str, Any]:
    """The demand of the sample plan, as it lies in a cluster."""
    (small,) = (item for item in yaml.safe_load_all(SMALL.read_text()) if item["kind"] == "ModelDemand")
    spec = {**small["spec"], "fleet": "gold", **changes}
    return {**small, "metadata": {"namespace": "team-a", "name": "chat", "labels": {"team": "search"}}, "spec": spec}


def gold(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "atoll.dev/v1alpha1", "kind": "Fleet", "metadata": {"name": "gold"}, "spec": spec}


@pytest.fixture
def in_cluster(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A cluster with the sample plan and these objects."""

    def have(*objects: ObjectLike) -> None:
        plans = plan_objects(sample_plan())

        async def listed(_: object, kinds: tuple[Kind, ...]) -> dict[Kind, tuple[ObjectLike, ...]]:
            assert set(kinds) == {FLEET_PLAN, FLEET, MODEL_DEMAND}
            return {kind: tuple(obj for obj in (*plans, *objects) if obj["kind"] == kind.name) for kind in kinds}

        monkeypatch.setattr(inforce, "_listed", listed)

    return have


def test_manifests_are_planned_and_the_demand_pays_for_all() -> None:
    result = run("-f", str(SMALL), "--json")

    assert result.exit_code == 0, result.output
    listing = json.loads(result.stdout)
    (row,) = listing["groups"]
    assert row["name"] == "default/phi"
    assert row["costPerHour"] == listing["total"]["costPerHour"] > 0.0
    assert row["requestsPerSecond"] == 12.0
    tokens = 12.0 * 3600.0 * (500.0 + 100.0) / 1e6
    assert row["costPerMillionTokens"] == pytest.approx(row["costPerHour"] / tokens, abs=1e-6)
    rival = listing["baseline"]["oneKindPerModel"]
    assert rival["savedPerHour"] == pytest.approx(rival["costPerHour"] - row["costPerHour"])
    assert listing["assumptions"]


def test_the_table_fits_80_columns() -> None:
    result = run("-f", str(SMALL), "--no-baseline")

    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "Served model" in result.stdout
    assert "one GPU kind per served model" not in result.stdout


def test_a_fleet_over_its_budget_ends_with_four(changed: Callable[..., str]) -> None:
    def poor(document: dict[str, Any]) -> None:
        document["spec"]["budgetPerHour"] = 0.5

    result = run("-f", changed("Fleet", poor), "--no-baseline")

    assert result.exit_code == 4, result.output
    assert "Budget 0.50 $/h" in result.stdout


def test_a_shortfall_ends_with_three_and_an_object_at_fault_with_one(changed: Callable[..., str]) -> None:
    def scarce(document: dict[str, Any]) -> None:
        document["spec"]["demand"]["requestsPerSecond"] = 5000

    def elsewhere(document: dict[str, Any]) -> None:
        document["spec"]["placement"] = {"regions": ["mars"]}

    short = run("-f", changed("ModelDemand", scarce), "--no-baseline")
    faulty = run("-f", changed("ModelDemand", elsewhere), "--no-baseline")

    assert short.exit_code == 3, short.output
    assert "Shortfall" in short.stdout
    assert faulty.exit_code == 1, faulty.output
    assert "NoPoolFits" in faulty.stdout


def test_labels_of_manifests_group(changed: Callable[..., str]) -> None:
    def labelled(document: dict[str, Any]) -> None:
        document["metadata"]["labels"] = {"team": "search"}

    result = run("-f", changed("ModelDemand", labelled), "--by", "label=team", "--no-baseline", "--format", "csv")

    assert result.exit_code == 0, result.output
    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert (row["by"], row["name"]) == ("label=team", "search")


def test_the_plan_in_force_is_told_with_the_demands_workload_labels_and_the_fleets_budget(
    in_cluster: Callable[..., None],
) -> None:
    in_cluster(model_demand(), gold(budgetPerHour=10.0))

    result = run("--fleet", "gold", "--by", "label=team", "--json")

    assert result.exit_code == 3, result.output  # short, which is graver than over the budget
    listing = json.loads(result.stdout)
    (row,) = listing["groups"]
    assert (row["name"], row["costPerHour"], row["requestsPerSecond"]) == ("search", 12.5, 24.75)
    assert row["inputTokensPerSecond"] == 24.75 * 500.0
    assert listing["budget"] == {"perHour": 10.0, "leftPerHour": -2.5, "usedShare": 1.25, "over": True}
    assert listing["baseline"]["oneKindPerModel"] == {"costPerHour": 18.5, "shortfall": 0.5, "savedPerHour": 6.0}


def test_a_demand_by_query_has_its_workload_though_its_signal_is_not_known_here(
    in_cluster: Callable[..., None],
) -> None:
    demand = model_demand()
    query = {"prometheus": {"query": "sum(rate(x[5m]))"}, "workload": demand["spec"]["demand"]["workload"]}
    in_cluster(model_demand(demand=query))

    (row,) = json.loads(run("--fleet", "gold", "--json").stdout)["groups"]

    assert row["costPerMillionTokens"] > 0.0


def test_objects_of_a_cluster_that_cannot_be_understood_are_named(in_cluster: Callable[..., None]) -> None:
    in_cluster(model_demand(demand={}), gold(budgetPerHour="much"))

    result = run("--fleet", "gold", "--json")

    assert result.exit_code == 1, result.output
    listing = json.loads(result.stdout)
    assert {fault["object"] for fault in listing["faults"]} == {"ModelDemand team-a/chat", "Fleet gold"}
    assert listing["groups"][0]["costPerMillionTokens"] is None


def test_the_budget_of_a_fleet_that_became_invalid_is_that_of_the_settings_that_hold(
    in_cluster: Callable[..., None],
) -> None:
    fleet = gold(budgetPerHour="much")
    fleet["status"] = {"inForce": {"generation": 1, "spec": {"budgetPerHour": 10.0}}}
    in_cluster(model_demand(), fleet)

    listing = json.loads(run("--fleet", "gold", "--json").stdout)

    assert listing["budget"]["perHour"] == 10.0
    assert [fault["object"] for fault in listing["faults"]] == ["Fleet gold"]


def test_a_demand_that_is_gone_still_pays(in_cluster: Callable[..., None]) -> None:
    in_cluster()

    listing = json.loads(run("--fleet", "gold", "--json").stdout)

    assert listing["groups"][0]["costPerHour"] == 12.5
    assert "team-a/chat" in listing["assumptions"][0]
    assert listing["budget"] is None


def test_a_label_that_no_demand_has_is_a_usage_error_that_lists_those_there(in_cluster: Callable[..., None]) -> None:
    in_cluster(model_demand())

    result = run("--fleet", "gold", "--by", "label=tem")

    assert result.exit_code == 2
    for words in ("--by", "no ModelDemand of Fleet 'gold' has metadata.labels['tem']", "labels there: team"):
        assert words in said(result)


@pytest.mark.parametrize("text", ["team", "label", "label=", "pool=x", ""])
def test_a_grouping_that_is_none_is_a_usage_error_that_lists_them(text: str) -> None:
    result = run("-f", str(SMALL), "--by", text)

    assert result.exit_code == 2
    for words in ("--by", repr(text), "served-model, namespace, label=KEY, gpu-kind, pool"):
        assert words in said(result)


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["-f", str(SMALL), "--plan", "default-1"], "--plan"),
        (["-f", str(SMALL), "--context", "prod"], "--context"),
        (["--deadline", "5s"], "--deadline"),
        (["--json", "--format", "csv"], "--format"),
        (["--format", "pdf"], "--format"),
        (["--plan", "gold-9", "--fleet", "gold"], "--plan"),
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(
    arguments: list[str], option: str, in_cluster: Callable[..., None]
) -> None:
    in_cluster()

    result = run(*arguments)

    assert result.exit_code == 2
    assert option in result.output


def test_a_fleet_without_a_plan_and_a_cluster_that_is_not_there_are_errors_of_one_line(
    in_cluster: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_cluster()
    none = run("--fleet", "silver")

    async def fail(*_: object) -> None:
        raise UnavailableError("list fleetplans: connection refused")

    monkeypatch.setattr(inforce, "_listed", fail)
    gone = run()

    assert (none.exit_code, gone.exit_code) == (1, 1)
    assert "'silver' has no FleetPlan yet" in none.output
    assert gone.output == "error: list fleetplans: connection refused\n"


def test_markdown_and_json_by_format_are_what_they_say(in_cluster: Callable[..., None]) -> None:
    in_cluster(model_demand())

    markdown = run("--fleet", "gold", "--format", "markdown").stdout
    table = run("--fleet", "gold", "--format", "json").stdout

    assert markdown.startswith("| Served model | $/h |")
    assert json.loads(table) == json.loads(run("--fleet", "gold", "--json").stdout)
