"""`atoll explain`: what it tells of a demand, from manifests and from a cluster's FleetPlan, and how it ends."""

import json
from collections.abc import Callable
from dataclasses import replace
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
from atoll.domain.objects import FLEET_PLAN, Kind
from atoll.domain.plan import Plan

SMALL = Path(__file__).parent / "manifests" / "small.yaml"

Change = Callable[[dict[str, Any]], None]


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "80", "KUBECONFIG": ""}).invoke(app, ["explain", *arguments])


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


@pytest.fixture
def profile(tmp_path: Path) -> str:
    """A measurement of the small fleet's served model by which it is much slower than estimated, as a file."""
    points = [{"phase": "Decode", "sequences": 16, "tokens": 512, "milliseconds": 70.0}]
    spec = {"architecture": "microsoft/phi-4", "gpuKind": "L40S-48GB", "tp": 1, "points": points}
    kind = {"apiVersion": "atoll.dev/v1alpha1", "kind": "PerformanceProfile"}
    path = tmp_path / "profile.yaml"
    path.write_text(yaml.safe_dump({**kind, "metadata": {"name": "p"}, "spec": spec}))
    return str(path)


@pytest.fixture
def in_cluster(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A cluster with these FleetPlans."""

    def have(*plans: Plan) -> None:
        objects = tuple(obj for item in plans for obj in plan_objects(item))

        async def listed(_: object, kinds: tuple[Kind, ...]) -> dict[Kind, tuple[dict[str, Any], ...]]:
            assert kinds == (FLEET_PLAN,)
            return {FLEET_PLAN: objects}

        monkeypatch.setattr(inforce, "_listed", listed)

    return have


def test_a_demand_of_manifests_is_explained_with_alternatives_that_cost_more() -> None:
    result = run("phi", "-f", str(SMALL), "--json")

    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["schemaVersion"] == 1
    assert (report["namespace"], report["name"]) == ("default", "phi")
    used = {item["id"] for item in report["replicas"]}
    assert report["alternatives"]
    for item in report["alternatives"]:
        assert item["id"] not in used or item["replicas"] > 1
        assert item["morePerHour"] >= item["leastPerHour"] - 1e-6
        price = item["winsBelow"]
        assert price is None or 0.0 < price["belowPerHour"] < price["pricePerHour"]
    costs = [item["morePerHour"] for item in report["alternatives"]]
    assert costs == sorted(costs)
    assert report["reason"].startswith(report["replicas"][0]["strategy"])


def test_the_text_fits_80_columns_and_says_where_each_figure_is_from() -> None:
    result = run("default/phi", "-f", str(SMALL))

    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    for words in ("phi  12 requests/s", "Runs as", "Instead, for half of it or more", "$/h more (solved again)"):
        assert words in result.stdout


def test_a_demand_that_falls_short_ends_with_three_and_says_what_a_node_would_serve(
    changed: Callable[[str, Change], str],
) -> None:
    def scarce(spec: dict[str, Any]) -> None:
        for offering in spec["offerings"]:
            offering["maxNodes"] = 1 if spec["gpu"]["kind"] == "L40S-48GB" else 0

    result = run("phi", "-f", changed("GPUNodePool", scarce))

    assert result.exit_code == 3, result.output
    assert "Falls short" in result.stdout
    assert "requests/s more for" in result.stdout
    assert "availability" in result.stdout


def test_an_unknown_demand_is_a_usage_error_that_lists_the_known() -> None:
    result = run("fi", "-f", str(SMALL))

    assert result.exit_code == 2
    assert "'fi'" in result.output
    assert "phi" in result.output


def test_a_demand_that_nothing_can_serve_ends_with_one_and_its_fault(changed: Callable[[str, Change], str]) -> None:
    def elsewhere(spec: dict[str, Any]) -> None:
        spec["placement"] = {"regions": ["mars"]}

    result = run("phi", "-f", changed("ModelDemand", elsewhere))

    assert result.exit_code == 1, result.output
    assert "NoPoolFits" in result.stdout
    assert "mars" in result.stdout


def test_a_folder_that_is_not_there_is_a_usage_error() -> None:
    result = run("phi", "-f", "no/such/folder")

    assert result.exit_code == 2
    assert "no/such/folder" in result.output


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["-f", str(SMALL), "--plan", "default-1"], "--plan"),
        (["-f", str(SMALL), "--context", "prod"], "--context"),
        (["--deadline", "5s"], "--deadline"),
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(arguments: list[str], option: str) -> None:
    result = run("phi", *arguments)

    assert result.exit_code == 2
    assert option in result.output


def test_without_manifests_the_plan_in_force_tells(in_cluster: Callable[..., None]) -> None:
    in_cluster(replace(sample_plan(), rollback_of=""))

    result = run("chat", "--fleet", "gold", "--json")

    assert result.exit_code == 3, result.output
    report = json.loads(result.stdout)
    assert report["alternatives"][0]["winsBelow"] == {
        "offering": "h100/us-east-2a/spot",
        "pricePerHour": 5.5,
        "belowPerHour": 4.25,
    }
    assert report["bindings"] == [{"limit": "SpotShare", "savesPerHour": 2.5}]
    assert report["worths"][0]["serves"] == 0.125


def test_a_proposal_is_explained_by_its_name_and_before_anything_is_in_force(in_cluster: Callable[..., None]) -> None:
    proposal = replace(sample_plan(), approved=False, rollback_of="")
    in_cluster(proposal)

    by_name, by_itself, unknown = (
        run("team-a/chat", "--fleet", "gold", *more) for more in (["--plan", proposal.name], [], ["--plan", "gold-9"])
    )

    assert by_name.stdout == by_itself.stdout
    assert "wins if a node of h100/us-east-2a/spot fell" in " ".join(by_name.stdout.split())
    assert unknown.exit_code == 2
    assert proposal.name in unknown.output


def test_a_name_in_two_namespaces_must_be_told_apart(in_cluster: Callable[..., None]) -> None:
    one = sample_plan().demands[0]
    in_cluster(replace(sample_plan(one, replace(one, key=replace(one.key, namespace="team-b"))), rollback_of=""))

    result = run("chat", "--fleet", "gold")

    assert result.exit_code == 2
    for name in ("team-a/chat", "team-b/chat"):
        assert name in result.output


def test_a_fleet_without_a_plan_is_an_error(in_cluster: Callable[..., None]) -> None:
    in_cluster(sample_plan())

    result = run("chat", "--fleet", "silver")

    assert result.exit_code == 1
    assert "silver" in result.output


def test_a_cluster_that_cannot_be_reached_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise UnavailableError("list fleetplans: connection refused")

    monkeypatch.setattr(inforce, "_listed", fail)

    result = run("chat")

    assert result.exit_code == 1
    assert result.output == "error: list fleetplans: connection refused\n"


def test_a_kubeconfig_that_is_not_there_is_an_error_that_names_it() -> None:
    result = run("chat", "--kubeconfig", "/no/such/config")

    assert result.exit_code == 1
    assert "/no/such/config" in result.output


def test_measured_step_times_count_as_they_do_in_the_plan(profile: str) -> None:
    files = ("-f", str(SMALL), "-f", profile, "--json")

    explained = json.loads(run("phi", *files).stdout)
    planned = json.loads(CliRunner().invoke(app, ["plan", *files, "--no-baseline"]).stdout)

    assert explained["plan"] == planned["name"]
    assert explained["plan"] != json.loads(run("phi", "-f", str(SMALL), "--json").stdout)["plan"]


def test_what_cannot_be_rendered_is_a_fault_as_it_is_in_the_plan(changed: Callable[[str, Change], str]) -> None:
    file = changed("ModelDemand", lambda spec: spec.update(engine={"podTemplate": {"cpu": "500"}}))

    result = run("phi", "-f", file, "--json")

    assert result.exit_code == 1, result.output
    assert [item["reason"] for item in json.loads(result.stdout)["faults"]] == ["RequestsExceedShare"]


def test_a_demand_that_is_named_and_at_fault_ends_with_its_fault(changed: Callable[[str, Change], str]) -> None:
    def negative(spec: dict[str, Any]) -> None:
        spec["demand"]["requestsPerSecond"] = -1

    file = changed("ModelDemand", negative)
    result = run("phi", "-f", file)

    assert result.exit_code == 1, result.output
    assert "spec.demand.requestsPerSecond: -1 is refused" in result.stderr
    assert file in result.stderr
