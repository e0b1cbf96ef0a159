"""`atoll top`, `why-pending`, `doctor`, `diff` and `plan` of a cluster: how they ask, print and end."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from atoll.api.crd import definition
from atoll.api.v1alpha1.kinds import RESOURCES
from atoll.cli.commands import app
from atoll.domain.objects import KINDS, OUR_KINDS
from cli.clusters import ApiServer, serving
from reconcile.worlds import (
    demand_object,
    deployments,
    fleet_object,
    node_object,
    plan,
    planned,
    pods_of,
    pool_object,
    replicas,
    stored,
    stored_plan,
)

WANTED = plan(planned(replicas("small", count=2)))
DEPLOYMENT = deployments(WANTED, demand_object(), pool_object())[0]
REVIEW = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class World:
    """A small fleet of which one pod waits, and the commands."""

    def __init__(self, server: ApiServer, kubeconfig: Path) -> None:
        self.server = server
        self.kubeconfig = kubeconfig
        objects = [
            fleet_object(),
            demand_object(),
            pool_object(),
            *stored_plan(WANTED),
            stored(DEPLOYMENT, replicas=2),
            node_object("s0"),
            *pods_of(DEPLOYMENT, "s0"),
            *pods_of(DEPLOYMENT, "", start=1),
        ]
        for obj in objects:
            kind = KINDS[obj["kind"]]
            server.put(f"{kind.path}/{kind.plural}", obj)
        names = [{"name": kind.plural} for kind in OUR_KINDS]
        server.answers["/version"] = {"major": "1", "minor": "36", "gitVersion": "v1.36.0"}
        server.answers["/apis/atoll.dev/v1alpha1"] = {"resources": names}
        server.answers[REVIEW] = {"status": {"allowed": True}}
        for resource in RESOURCES:
            server.put("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition(resource))

    def run(self, *arguments: str) -> Result:
        return CliRunner(env={"COLUMNS": "100", "KUBECONFIG": str(self.kubeconfig)}).invoke(app, list(arguments))

    def told(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        result = self.run(*arguments, "--json")
        assert result.exit_code == code, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    server = ApiServer()
    with serving(server, tmp_path) as kubeconfig:
        yield World(server, kubeconfig)
        assert {path for _, path, _ in server.managers} <= {REVIEW}, "nothing is written"


def test_top_prints_once_where_nobody_watches(world: World) -> None:
    result = world.run("top")

    assert result.exit_code == 0, result.output
    assert "Fleet default" in result.stdout
    assert "1 pending" in result.stdout
    assert "\x1b" not in result.stdout
    assert world.told("top", "-n", "team-b")["demands"] == []


def test_why_pending_follows_the_chain_to_the_pod(world: World) -> None:
    (demand,) = world.told("why-pending", "chat", "-n", "team-a")["demands"]

    assert [link["object"].split()[0] for link in demand["links"]][-1] == "Pod"
    assert "has not looked at" in world.run("why-pending").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("why-pending", "code"), 2, "there are: team-a/chat"),
        (("why-pending", "-n", "team-b"), 1, "no ModelDemand in namespace 'team-b'"),
        (("top", "-n", "team-a", "-A"), 2, "give one of them"),
        (("top", "-w", "--once"), 2, "give one of them"),
        (("top", "--interval", "1ms"), 2, "--interval"),
        (("plan", "--plan", "default-9"), 2, WANTED.name),
    ],
)
def test_what_cannot_be_told_is_said(world: World, arguments: tuple[str, ...], code: int, said: str) -> None:
    result = world.run(*arguments)

    assert result.exit_code == code, result.output
    assert said in " ".join(result.output.replace("│", " ").split())


def test_the_doctor_examines_and_fails_without_an_operator(world: World) -> None:
    report = world.told("doctor", "--operator-user", "someone", code=1)

    results = {check["name"]: check["result"] for check in report["checks"]}
    assert not report["healthy"]
    assert (results["API server"], results["custom resources"], results["operator"]) == ("Ok", "Ok", "Failed")
    assert results["permissions"] == "Ok"
    assert "to do:" in world.run("doctor").stdout


def test_the_doctor_names_what_the_operator_may_not_do(world: World) -> None:
    world.server.answers[REVIEW] = {"status": {"allowed": False}}

    checks = {check["name"]: check for check in world.told("doctor", "--operator-user", "u", code=1)["checks"]}
    assert "u may not list modeldemands.atoll.dev" in checks["permissions"]["says"]


def test_the_doctor_sees_definitions_of_another_version(world: World) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/fleets.atoll.dev"
    schema = world.server.objects[path]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["mode"]

    checks = {check["name"]: check for check in world.told("doctor", code=1)["checks"]}
    assert checks["custom resources"]["says"] == "Fleet are of another version: Fleet lacks spec.mode"


def test_the_doctor_says_where_the_custom_resources_are_missing(world: World) -> None:
    world.server.answers["/apis/atoll.dev/v1alpha1"] = {"resources": []}

    *_, last = world.told("doctor", code=1)["checks"]
    assert "not installed: ModelDemand" in last["says"]
    assert "crds/" in last["mend"]


def test_the_doctor_of_no_cluster_says_what_it_looked_for(tmp_path: Path) -> None:
    result = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["doctor", "--kubeconfig", str(tmp_path / "none")])

    assert result.exit_code == 1
    assert "no such file" in result.stdout


def test_diff_tells_what_the_plan_has_still_to_start(world: World) -> None:
    for path in [path for path in world.server.objects if "/deployments/" in path]:
        del world.server.objects[path]

    report = world.told("diff")
    assert (report["replicasStarted"], report["replicasStopped"]) == (2, 0)
    assert "2 replicas to start" in world.run("diff").stdout


def test_the_plan_of_a_cluster_is_told_with_its_history(world: World) -> None:
    report = world.told("plan")

    assert [item["name"] for item in report["plans"]] == [WANTED.name]
    assert (report["plan"]["name"], report["plan"]["phase"], report["proposal"]) == (WANTED.name, "Moving", None)
    assert WANTED.name in world.run("plan").stdout
