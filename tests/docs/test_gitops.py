"""examples/gitops: the health that Argo CD and Flux see in everything that the operator says of its objects."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa import LuaRuntime

from atoll.cli.commands import app
from atoll.domain.objects import OUR_KINDS
from atoll.domain.plan import PlanPhase
from atoll.domain.reason import Reason
from reconcile.simulated_fleet import Fleet
from reconcile.worlds import Raw, demand_object, fleet_object, pool_object, profile_object

ROOT = Path(__file__).parents[2]
GITOPS = ROOT / "examples" / "gitops"
LUA = (GITOPS / "argocd" / "health.lua").read_text()

PASSING = {
    Reason.PLANNING,
    Reason.AWAITING_SIGNAL,
    Reason.REPLICAS_STARTING,
    Reason.REPLICAS_PENDING,
    Reason.SCHEDULING_GATED,
    Reason.ROUTER_NOT_SYNCED,
    Reason.SOLVER_TIMEOUT,
    Reason.API_UNAVAILABLE,
}
WAITING = {Reason.AWAITING_APPROVAL, Reason.PAUSED}

_RUN = "function(source, obj) return assert(load(source, nil, nil, {obj = obj, ipairs = ipairs}))() end"


def argo(obj: Raw) -> str:
    """What Argo CD makes of an object."""
    lua = LuaRuntime(unpack_returned_tuples=True)
    answer = lua.eval(_RUN)(LUA, lua.table_from(obj, recursive=True))
    assert isinstance(answer["message"], str)
    return str(answer["status"])


def kstatus(obj: Raw) -> str:
    """What kstatus, and so Flux with ``wait``, makes of an object of a kind that it does not know.

    Its rules in order (cli-utils, pkg/kstatus): being deleted; ``observedGeneration`` behind; conditions
    ``Reconciling`` and ``Stalled``; then ``Ready``, where there is one; else it is Current.
    """
    status = obj.get("status") or {}
    conditions = {item["type"]: item["status"] for item in status.get("conditions") or ()}
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if status.get("observedGeneration", obj["metadata"]["generation"]) != obj["metadata"]["generation"]:
        return "InProgress"
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    return "Current" if conditions.get("Ready", "True") == "True" else "InProgress"


def told(obj: Raw, status: str, reason: str, observed: int = 1) -> Raw:
    condition = {"type": "Ready", "status": status, "reason": reason, "message": "m"}
    return {**obj, "status": {"observedGeneration": observed, "conditions": [condition]}}


OBJECTS = {obj["kind"]: obj for obj in (demand_object(), fleet_object(), pool_object(), profile_object())}


@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_of_not_being_ready_has_a_health(kind: str, reason: Reason) -> None:
    expected = "Progressing" if reason in PASSING else "Suspended" if reason in WAITING else "Degraded"

    assert argo(told(OBJECTS[kind], "False", reason)) == expected
    assert argo(told(OBJECTS[kind], "True", reason)) == "Healthy"
    assert argo(told(OBJECTS[kind], "Unknown", reason)) == "Progressing"


@pytest.mark.parametrize("kind", OBJECTS)
def test_what_the_operator_has_not_looked_at_is_progressing(kind: str) -> None:
    obj = OBJECTS[kind]

    assert argo(obj) == "Progressing"
    assert argo({**obj, "status": {}}) == "Progressing"
    assert argo({**obj, "status": {"observedGeneration": 1, "conditions": []}}) == "Progressing"
    assert argo(told(obj, "True", Reason.SERVING, observed=0)) == "Progressing"


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (PlanPhase.PROPOSED, "Suspended"),
        (PlanPhase.MOVING, "Progressing"),
        (PlanPhase.COMPLETED, "Healthy"),
        (PlanPhase.SUPERSEDED, "Healthy"),
    ],
)
def test_a_plan_is_as_healthy_as_its_phase(phase: PlanPhase, expected: str) -> None:
    plan = told(
        {"kind": "FleetPlan", "metadata": {"name": "p", "generation": 1}, "spec": {}}, "False", "AwaitingApproval"
    )
    plan["status"]["phase"] = phase.value

    assert argo(plan) == expected
    assert argo({**plan, "spec": {"shard": {"of": "p", "index": 1}}, "status": {}}) == "Healthy"


def lives() -> Iterator[list[Raw]]:
    """All that the operator says of its objects, tick by tick, while a fleet starts, grows, falls short and mends."""
    fleet = Fleet()
    fleet.cluster.put(fleet_object())
    fleet.pool("small", max_nodes=3)
    fleet.demand("chat", 20.0, "small")

    def seen() -> list[Raw]:
        kinds = {kind.name for kind in OUR_KINDS}
        return [obj for ref, obj in fleet.cluster.objects.items() if ref.kind in kinds]

    for rate, name in ((20.0, "chat"), (90.0, "chat"), (20.0, "chat"), (10.0, "code")):
        fleet.demand(name, rate, "small")
        for _ in range(40):
            fleet.operate()
            yield seen()
            fleet.cluster.advance()


def test_over_a_fleet_s_life_every_status_reaches_an_end_that_both_tools_understand() -> None:
    healths: set[tuple[str, str, str]] = set()
    last: list[Raw] = []
    for objects in lives():
        last = objects
        for obj in objects:
            if "generation" in obj["metadata"]:
                healths.add((obj["kind"], argo(obj), kstatus(obj)))

    demands = {(health, current) for kind, health, current in healths if kind == "ModelDemand"}
    assert demands >= {("Progressing", "InProgress"), ("Healthy", "Current"), ("Degraded", "InProgress")}
    assert all(current == "Current" for _, health, current in healths if health == "Healthy")
    settled = [obj for obj in last if "generation" in obj["metadata"]]
    assert {argo(obj) for obj in settled} == {"Healthy"}
    assert {kstatus(obj) for obj in settled} == {"Current"}


def test_the_config_map_holds_the_script_for_every_kind() -> None:
    data = yaml.safe_load((GITOPS / "argocd" / "argocd-cm.yaml").read_text())["data"]

    assert data == {f"resource.customizations.health.atoll.dev_{kind.name}": LUA for kind in OUR_KINDS}


def test_flux_s_expressions_name_the_same_reasons() -> None:
    documents = list(yaml.safe_load_all((GITOPS / "flux" / "fleet.yaml").read_text()))
    (health,) = documents[1]["spec"]["healthCheckExprs"]

    named = {reason for reason in Reason if f"'{reason}'" in health["failed"]}
    assert named == PASSING | WAITING


def test_the_pre_commit_hook_runs_a_command_that_there_is() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())

    program, command = hook["entry"].split()
    assert program == "atoll"
    assert command in {info.name for info in app.registered_commands}


def test_only_namespaces_have_a_wave_of_their_own() -> None:
    """A wave waits for health: with pools or the Fleet before demands, a shortfall could not be mended by a commit."""
    waves: dict[str, int] = {}
    for path in (
        sorted((GITOPS / "apps").rglob("*.yaml"))
        + sorted((GITOPS / "fleet").glob("*.yaml"))
        + sorted((GITOPS / "pools").glob("*.yaml"))
    ):
        for obj in yaml.safe_load_all(path.read_text()):
            annotations: dict[str, Any] = obj.get("metadata", {}).get("annotations", {})
            waves[obj["kind"]] = int(annotations.get("argocd.argoproj.io/sync-wave", 0))

    assert waves["Namespace"] < waves["GPUNodePool"] == waves["Fleet"] == waves["ModelDemand"] == 0
