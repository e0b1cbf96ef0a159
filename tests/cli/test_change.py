"""`atoll approve` and `atoll rollback`: the one resource edit that each makes, and what they refuse."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.plans import plan as sample_plan
from api.plans import replicas
from atoll.api.fleetplan_io import plan_objects, read_plans
from atoll.cli.commands import app
from atoll.domain.plan import Plan, PlanPhase
from cli.clusters import ApiServer, serving

PLANS = "/apis/atoll.dev/v1alpha1/fleetplans"
SAMPLE = replace(sample_plan(), rollback_of="")
"""Three replicas."""


def of(count: int, *, approved: bool = True) -> Plan:
    one = SAMPLE.demands[0]
    return replace(SAMPLE, approved=approved, demands=(replace(one, replicas=(replicas(count=count),)),))


OLD, NOW, NEXT = of(1), of(2), of(4, approved=False)


class World:
    """A cluster with three plans and the command."""

    def __init__(self, server: ApiServer, kubeconfig: Path) -> None:
        self.server = server
        self.kubeconfig = kubeconfig
        for moment, (plan, phase) in enumerate(
            ((OLD, PlanPhase.SUPERSEDED), (NOW, PlanPhase.COMPLETED), (NEXT, PlanPhase.PROPOSED))
        ):
            self.have(plan, phase, moment)

    def have(self, plan: Plan, phase: PlanPhase, moment: int) -> None:
        for obj in plan_objects(plan):
            created = {**obj["metadata"], "creationTimestamp": f"2026-11-21T10:0{moment}:00Z"}
            self.server.put(PLANS, {**obj, "metadata": created, "status": self.status(plan, phase)})

    @staticmethod
    def status(plan: Plan, phase: PlanPhase) -> dict[str, str]:
        was = plan.approved and phase is not PlanPhase.PROPOSED
        return {"phase": phase.value} | ({"inForceSince": "2026-11-21T09:00:00Z"} if was else {})

    def run(self, *arguments: str) -> Result:
        environment = {"COLUMNS": "80", "KUBECONFIG": str(self.kubeconfig)}
        return CliRunner(env=environment).invoke(app, [*arguments, "--fleet", "gold"])

    def plans(self) -> dict[str, Plan]:
        return {plan.name: plan for plan in read_plans(self.server.objects.values())}

    def writes(self) -> list[tuple[str, str, str]]:
        return [(method, path.rpartition("/")[2], manager) for method, path, manager in self.server.managers]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    server = ApiServer()
    with serving(server, tmp_path) as kubeconfig:
        yield World(server, kubeconfig)


def test_approving_sets_one_field_as_the_people_s_own(world: World) -> None:
    result = world.run("approve", "--yes")

    assert result.exit_code == 0, result.output
    assert world.writes() == [("PATCH", NEXT.name, "kubectl-atoll")]
    assert world.plans()[NEXT.name].approved
    assert NEXT.name in result.stdout


def test_a_plan_that_is_named_needs_no_further_question(world: World) -> None:
    result = world.run("approve", NEXT.name, "--json")

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"schemaVersion": 1, "plan": NEXT.name, "phase": None}


def test_a_status_written_meanwhile_is_no_reason_to_fail(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, raced = world.server.answer, []

    def racing(method: str, target: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        if method == "PATCH" and not raced:
            raced.append(world.server.put(PLANS, world.server.objects[f"{PLANS}/{NEXT.name}"]))
        return answer(method, target, body)

    monkeypatch.setattr(world.server, "answer", racing)
    assert world.run("approve", "--yes").exit_code == 0
    assert world.plans()[NEXT.name].approved


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["approve"], 2, "--yes"),
        (["approve", "gold-9"], 2, NEXT.name),
        (["approve", NOW.name], 1, "approved already, and Completed"),
        (["rollback"], 2, "--yes"),
        (["rollback", NOW.name], 1, "in force already"),
        (["rollback", NEXT.name], 1, "never was in force"),
        (["approve", "--yes", "--timeout", "soon"], 2, "--timeout"),
    ],
)
def test_what_cannot_be_done_is_said_and_not_done(world: World, arguments: list[str], code: int, said: str) -> None:
    result = world.run(*arguments)

    assert result.exit_code == code, result.output
    assert said in " ".join(result.output.split())
    assert world.writes() == []


def test_with_nothing_to_approve_or_to_go_back_to_it_says_so(world: World) -> None:
    for name in (OLD.name, NEXT.name):
        world.server.objects.pop(f"{PLANS}/{name}")

    for command, said in (("approve", "waits for approval"), ("rollback", "no former FleetPlan")):
        result = world.run(command, "--yes")
        assert (result.exit_code, said in result.output) == (1, True), result.output


def test_rolling_back_makes_an_approved_plan_of_the_former_content(world: World) -> None:
    result = world.run("rollback", "--yes")

    assert result.exit_code == 0, result.output
    made = next(plan for plan in world.plans().values() if plan.rollback_of)
    assert (made.rollback_of, made.approved, made.groups) == (OLD.name, True, OLD.groups)
    assert made.previous_cost_per_hour == NOW.cost_per_hour
    assert world.writes() == [("POST", "fleetplans", "kubectl-atoll")]


def test_rolling_back_again_replaces_what_an_earlier_rollback_left(world: World) -> None:
    world.run("rollback", "--yes")
    made = next(plan for plan in world.plans().values() if plan.rollback_of)
    world.server.objects.pop(f"{PLANS}/{made.name}")
    world.have(made, PlanPhase.SUPERSEDED, 3)
    world.have(replace(NEXT, approved=True), PlanPhase.MOVING, 4)

    result = world.run("rollback", OLD.name)

    assert result.exit_code == 0, result.output
    assert [method for method, *_ in world.writes()] == ["POST", "DELETE", "POST"]
    assert world.plans()[made.name].phase is PlanPhase.PROPOSED, "it is decided anew"


def test_waiting_ends_with_the_plan_s_phase(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(phase: PlanPhase) -> Callable[..., Any]:
        answer = world.server.answer

        def answering(method: str, target: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
            status, content = answer(method, target, body)
            if method == "GET" and target.endswith(NEXT.name):
                content = {**content, "status": {"phase": phase.value}}
            return status, content

        return answering

    for phase, code in ((PlanPhase.COMPLETED, 0), (PlanPhase.SUPERSEDED, 1)):
        with monkeypatch.context() as patched:
            patched.setattr(world.server, "answer", reached(phase))
            result = world.run("approve", NEXT.name, "--wait")
        assert result.exit_code == code, result.output
        assert phase in result.output
        world.have(NEXT, PlanPhase.PROPOSED, 2)


def test_a_cluster_without_the_custom_resources_is_an_error_with_a_mend(world: World) -> None:
    world.server.refused["/apis/atoll.dev/v1alpha1/modeldemands"] = 404

    result = world.run("approve", "--yes")

    assert result.exit_code == 1
    assert "not installed" in result.output
    assert "doctor" in result.output
