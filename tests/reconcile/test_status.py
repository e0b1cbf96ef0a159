"""What demands, pools, the fleet and plans say: in every situation each condition is True or False, with a reason."""

from dataclasses import replace
from typing import Any

import pytest

from atoll.domain.objects import ApplyStatus
from atoll.domain.plan import Plan, PlanPhase
from atoll.domain.planning import Planning
from atoll.domain.reason import Fault, Reason
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.plans import plan_in_force
from atoll.reconcile.problem import without_faulty
from atoll.reconcile.service import service_of
from atoll.reconcile.status.view import View
from atoll.reconcile.status.write import status_writes
from atoll.reconcile.transition import next_step
from reconcile.worlds import (
    NOW,
    ROUTER,
    Raw,
    ago,
    demand_object,
    deployments,
    fleet_object,
    key,
    node_object,
    offering,
    plan,
    planned,
    pods_of,
    pool_object,
    profile_object,
    replicas,
    seen,
    stored,
    stored_plan,
)

TWO = plan(planned(replicas("small", count=2), rate=20.0))
NODES = [node_object("s0"), node_object("s1")]
SINGLE = deployments(TWO, demand_object(), pool_object())[0]
RUNS = [stored(SINGLE), *pods_of(SINGLE, "s0", "s1")]


def view(
    current: Plan | None,
    *objects: Any,
    decision: Plan | None = None,
    demand: Raw | None = None,
    synced: bool = True,
    phase: PlanPhase = PlanPhase.MOVING,
    **about: Any,
) -> View:
    """All that statuses are written from, in a world with one demand and one pool."""
    world: list[Any] = [demand or demand_object(rate=20.0), *objects, *NODES]
    kinds = {obj["kind"] for obj in world if isinstance(obj, dict)}
    if "Fleet" not in kinds:
        world.append(fleet_object())
    if "GPUNodePool" not in kinds:
        world.append(pool_object())
    if current is not None:
        world.append(stored_plan(current, phase))
    planning = Planning(basis="0123456789", solved_at=NOW, decision=decision or current, **about)
    snapshot = without_faulty(seen(*world), planning.faults)
    plan_now = plan_in_force(snapshot.plans, planning)
    desired, _ = desired_objects(snapshot, plan_now, ROUTER)
    snapshot = replace(
        snapshot,
        router_versions={"r": desired.router_version if synced else None},
        objects={**snapshot.objects, **seen(*map(stored, desired.companions)).objects},
    )
    return View(
        snapshot=snapshot,
        planning=planning,
        plan=plan_now,
        step=next_step(snapshot, desired, NOW, hold=plan_now is None),
        service=service_of(snapshot, plan_now, desired),
        now=NOW,
    )


def status(of: View, kind: str, name: str = "") -> Raw:
    """The status that is written for one object."""
    (found,) = [
        item.intent["status"]
        for item in status_writes(of)
        if isinstance(item, ApplyStatus)
        and item.intent["kind"] == kind
        and name in {"", item.intent["metadata"]["name"]}
    ]
    return found


def said(of: View, kind: str = "ModelDemand") -> list[str]:
    """Conditions in short, after a check that each is terminal."""
    conditions = status(of, kind)["conditions"]
    assert all(item["status"] in {"True", "False"} and item["reason"] for item in conditions)
    return [f"{'' if item['status'] == 'True' else 'not '}{item['type']} {item['reason']}" for item in conditions]


def short(shortfall: float, count: int = 1, unmet: tuple[str, ...] = ()) -> Plan:
    groups = (replicas("small", count=count),) if count else ()
    return plan(replace(planned(*groups, rate=20.0, shortfall=shortfall), unmet=unmet))


ONE_RUNS = [stored(SINGLE, replicas=1), *pods_of(SINGLE, "s0")]
FAULT = Fault(reason=Reason.IMPOSSIBLE_OBJECTIVES, message="5 ms cannot be met")
SOLVER = Fault(reason=Reason.SOLVER_TIMEOUT, message="no answer in 5 s")


READY = demand_object(rate=20.0)
READY["status"] = {"conditions": [{"type": "Ready", "status": "True", "reason": "Serving", "observedGeneration": 1}]}


def invalid() -> Raw:
    broken = demand_object()
    broken["spec"]["objectives"]["ttft"] = "-1s"
    return broken


@pytest.mark.parametrize(
    ("world", "conditions"),
    [
        pytest.param(
            view(TWO, *RUNS),
            ["Ready Serving", "Planned Planned", "Routed Routed", "not Degraded Healthy"],
            id="serving",
        ),
        pytest.param(
            view(TWO),
            ["not Ready ReplicasStarting", "Planned Planned", "not Routed ReplicasStarting", "not Degraded Healthy"],
            id="starting",
        ),
        pytest.param(
            view(TWO, stored(SINGLE), *pods_of(SINGLE, "s0", "")),
            ["not Ready ReplicasPending", "Planned Planned", "Routed Routed", "not Degraded Healthy"],
            id="one waits for a node",
        ),
        pytest.param(
            view(
                TWO,
                stored(SINGLE),
                *pods_of(SINGLE, "s0"),
                *pods_of(SINGLE, "", start=1, gates=("kueue.x-k8s.io/admission",)),
            ),
            ["not Ready SchedulingGated", "Planned Planned", "Routed Routed", "not Degraded Healthy"],
            id="one waits for Kueue",
        ),
        pytest.param(
            view(TWO, stored(SINGLE), *pods_of(SINGLE, "s0", "s1", ready=False, waiting="ImagePullBackOff")),
            ["not Ready ReplicasPending", "Planned Planned", "not Routed ReplicasStarting", "not Degraded Healthy"],
            id="the image cannot be had",
        ),
        pytest.param(
            view(short(10.0), *ONE_RUNS),
            ["not Ready Shortfall", "not Planned Shortfall", "Routed Routed", "Degraded Shortfall"],
            id="shortfall",
        ),
        pytest.param(
            view(short(10.0, unmet=("QuotaReached",)), *ONE_RUNS),
            ["not Ready QuotaReached", "not Planned QuotaReached", "Routed Routed", "Degraded QuotaReached"],
            id="quota",
        ),
        pytest.param(
            view(short(20.0, count=0)),
            ["not Ready Shortfall", "not Planned Shortfall", "not Routed ReplicasStarting", "Degraded Shortfall"],
            id="nothing can be had",
        ),
        pytest.param(
            view(None, fleet_object(mode="Recommend"), decision=replace(TWO, approved=False)),
            [
                "not Ready AwaitingApproval",
                "not Planned AwaitingApproval",
                "not Routed ReplicasStarting",
                "not Degraded Healthy",
            ],
            id="R15: awaiting approval",
        ),
        pytest.param(
            view(None, fleet_object(mode="Paused")),
            ["not Ready Paused", "not Planned Paused", "not Routed ReplicasStarting", "not Degraded Healthy"],
            id="paused before the first plan",
        ),
        pytest.param(
            view(TWO, fleet_object(mode="Paused"), *RUNS),
            ["Ready Serving", "Planned Planned", "Routed Routed", "not Degraded Healthy"],
            id="paused while all is as planned",
        ),
        pytest.param(
            view(TWO, fleet_object(mode="Paused"), *RUNS, demand=demand_object(rate=50.0)),
            ["not Ready Paused", "not Planned Paused", "Routed Routed", "not Degraded Healthy"],
            id="paused while the demand changed",
        ),
        pytest.param(
            view(plan(), *RUNS, demand=invalid()),
            ["not Ready InvalidSpec", "not Planned InvalidSpec", "Routed Routed", "Degraded InvalidSpec"],
            id="C5: invalid, and what ran goes on",
        ),
        pytest.param(
            view(plan(), demand=invalid()),
            ["not Ready InvalidSpec", "not Planned InvalidSpec", "not Routed InvalidSpec", "Degraded InvalidSpec"],
            id="invalid from the start",
        ),
        pytest.param(
            view(TWO, *RUNS, faults={key(): FAULT}),
            [
                "not Ready ImpossibleObjectives",
                "not Planned ImpossibleObjectives",
                "Routed Routed",
                "Degraded ImpossibleObjectives",
            ],
            id="R20: objectives that no strategy meets",
        ),
        pytest.param(
            view(plan(planned(rate=0.0)), demand=demand_object(rate=0.0)),
            ["Ready NoDemand", "Planned Planned", "Routed NoDemand", "not Degraded Healthy"],
            id="zero demand",
        ),
        pytest.param(
            view(TWO, *RUNS, synced=False),
            ["not Ready RouterNotSynced", "Planned Planned", "not Routed RouterNotSynced", "not Degraded Healthy"],
            id="a router that has not acknowledged",
        ),
        pytest.param(
            view(None, fleet_fault=SOLVER),
            [
                "not Ready SolverTimeout",
                "not Planned SolverTimeout",
                "not Routed ReplicasStarting",
                "not Degraded Healthy",
            ],
            id="the solver fails before the first plan",
        ),
        pytest.param(
            view(TWO, *RUNS, fleet_fault=SOLVER),
            ["Ready Serving", "Planned Planned", "Routed Routed", "not Degraded Healthy"],
            id="the solver fails while all is as planned",
        ),
        pytest.param(
            view(TWO, *RUNS, fleet_fault=SOLVER, demand=demand_object(rate=50.0)),
            ["not Ready SolverTimeout", "not Planned SolverTimeout", "Routed Routed", "not Degraded Healthy"],
            id="the solver fails after a change",
        ),
        pytest.param(
            view(plan(planned(replicas("small", count=2), rate=20.0, unmet=("MinDomainsUnmet",))), *RUNS),
            ["Ready Serving", "Planned Planned", "Routed Routed", "Degraded MinDomainsUnmet"],
            id="a soft limit",
        ),
        pytest.param(
            view(plan(planned(replicas("small", count=2), rate=20.0, unmet=("OfALaterVersion",))), *RUNS),
            ["Ready Serving", "Planned Planned", "Routed Routed", "Degraded Shortfall"],
            id="R24: a soft limit that only a later version knows",
        ),
        pytest.param(
            view(replace(TWO, rollback_of="default-0"), *RUNS, decision=TWO, demand=demand_object(rate=50.0)),
            ["not Ready AwaitingApproval", "not Planned AwaitingApproval", "Routed Routed", "not Degraded Healthy"],
            id="pinned by a rollback",
        ),
        pytest.param(
            view(TWO, *RUNS, decision=plan(planned(replicas("small", count=1), rate=20.0))),
            ["not Ready Planning", "not Planned Planning", "Routed Routed", "not Degraded Healthy"],
            id="what was decided for the demand as it is declared now is not in force yet",
        ),
        pytest.param(
            view(TWO, *RUNS, decision=plan(planned(replicas("small", count=1), rate=20.0)), demand=READY),
            ["Ready Serving", "Planned Planned", "Routed Routed", "not Degraded Healthy"],
            id="a cheaper plan for a demand that is Ready",
        ),
    ],
)
def test_a_demand_says(world: View, conditions: list[str]) -> None:
    assert said(world) == conditions


def test_a_demand_tells_rates_replicas_and_costs() -> None:
    found = status(view(TWO, stored(SINGLE), *pods_of(SINGLE, "s0", "")), "ModelDemand")
    assert {name: found[name] for name in ("demandRate", "servedRate", "replicas", "readyReplicas", "gpuKinds")} == {
        "demandRate": 20.0,
        "servedRate": 10.0,
        "replicas": 2,
        "readyReplicas": 1,
        "gpuKinds": "L4-24GB",
    }
    assert [(item["replicas"], item["readyReplicas"]) for item in found["strategies"]] == [(2, 1)]


def test_a_draining_or_lost_replica_does_not_count_as_served() -> None:
    lost = view(TWO, stored(SINGLE), *pods_of(SINGLE, "s0", "gone"))
    draining = view(TWO, stored(SINGLE), *pods_of(SINGLE, "s0"), *pods_of(SINGLE, "s1", start=1, drained=3.0))
    assert [status(of, "ModelDemand")["servedRate"] for of in (lost, draining)] == [10.0, 10.0]


def test_approval_is_explained_with_the_command() -> None:
    waiting = view(None, fleet_object(mode="Recommend"), decision=replace(TWO, approved=False))
    message = status(waiting, "ModelDemand")["conditions"][0]["message"]
    assert f"kubectl patch fleetplan {TWO.name} --type=merge" in message


@pytest.mark.parametrize(
    ("world", "conditions"),
    [
        pytest.param(
            view(TWO, *RUNS),
            ["Ready Serving", "Planned Planned", "Routed Routed", "not Degraded Healthy"],
            id="serving",
        ),
        pytest.param(
            view(TWO),
            ["not Ready ReplicasStarting", "Planned Planned", "Routed Routed", "not Degraded Healthy"],
            id="starting",
        ),
        pytest.param(
            view(short(10.0), *ONE_RUNS),
            ["not Ready Shortfall", "Planned Planned", "Routed Routed", "Degraded Shortfall"],
            id="shortfall",
        ),
        pytest.param(
            view(TWO, *RUNS, fleet_fault=SOLVER),
            ["not Ready SolverTimeout", "not Planned SolverTimeout", "Routed Routed", "Degraded SolverTimeout"],
            id="the solver fails",
        ),
        pytest.param(
            view(TWO, fleet_object(mode="Paused"), *RUNS),
            ["Ready Serving", "Planned Paused", "Routed Routed", "not Degraded Healthy"],
            id="paused",
        ),
        pytest.param(
            view(TWO, fleet_object(mode="Recommend"), *RUNS, decision=replace(short(0.0), approved=False)),
            ["Ready Serving", "Planned AwaitingApproval", "Routed Routed", "not Degraded Healthy"],
            id="a better plan awaits approval",
        ),
        pytest.param(
            view(TWO, *RUNS, synced=False),
            ["not Ready ReplicasStarting", "Planned Planned", "not Routed RouterNotSynced", "not Degraded Healthy"],
            id="a router that has not acknowledged",
        ),
    ],
)
def test_the_fleet_says(world: View, conditions: list[str]) -> None:
    assert said(world, "Fleet") == conditions


def test_c16_a_restart_at_the_fixed_point_says_nothing_new() -> None:
    first = view(TWO, *RUNS, trigger="changed: demands", phase=PlanPhase.COMPLETED)
    told = {(kind, name): status(first, kind, name) for kind, name in said_objects(first)}
    objects = {
        ref: {**obj, "status": told.get((ref.kind, ref.name), obj.get("status"))}
        for ref, obj in first.snapshot.objects.items()
    }
    again = replace(
        first,
        snapshot=replace(first.snapshot, objects=objects),
        planning=replace(first.planning, trigger="first look", solve_seconds=9.0),
    )
    assert told
    assert status_writes(again) == ()


def said_objects(of: View) -> list[tuple[str, str]]:
    """Kind and name of each object whose status is written."""
    intents = [item.intent for item in status_writes(of) if isinstance(item, ApplyStatus)]
    return [(intent["kind"], intent["metadata"]["name"]) for intent in intents]


def test_a_gap_is_never_negative() -> None:
    world = view(replace(TWO, bound_per_hour=TWO.cost_per_hour * (1 + 1e-9)), *RUNS)
    assert status(world, "Fleet")["gap"] == 0.0


@pytest.mark.parametrize(
    ("pool", "condition"),
    [
        pytest.param(pool_object(), "Ready Available", id="available"),
        pytest.param(pool_object(provisioning="Fixed"), "Ready Available", id="owned nodes are there"),
        pytest.param(
            pool_object("big", provisioning="Fixed"), "not Ready SelectorMatchesNothing", id="no owned node is there"
        ),
        pytest.param(
            pool_object()
            | {
                "status": {
                    "offerings": [{"zone": offering().zone, "capacityType": "on-demand", "maskedUntil": ago(-60)}]
                }
            },
            "not Ready OfferingMasked",
            id="R2: all offerings masked",
        ),
    ],
)
def test_a_pool_says(pool: Raw, condition: str) -> None:
    assert said(view(None, pool), "GPUNodePool") == [condition]


def test_r24_an_invalid_pool_says_why() -> None:
    broken = pool_object()
    broken["spec"]["gpu"]["kind"] = "H1000"
    (condition,) = said(view(None, broken), "GPUNodePool")
    assert condition.startswith("not Ready ")


def test_a_pool_tells_its_nodes_and_masks() -> None:
    item = {
        "zone": offering().zone,
        "capacityType": "on-demand",
        "maskedUntil": ago(-60),
        "maskedReason": "no node came",
        "strikes": 2,
    }
    (told,) = status(view(None, pool_object() | {"status": {"offerings": [item]}}), "GPUNodePool")["offerings"]
    assert {name: told[name] for name in ("maskedUntil", "maskedReason", "strikes")} == {
        "maskedUntil": ago(-60),
        "maskedReason": "no node came",
        "strikes": 2,
    }
    assert (told["readyNodes"], told["obtainableNodes"]) == (2, 2)


@pytest.mark.parametrize(
    ("world", "phase", "condition"),
    [
        (view(TWO), "Moving", "not Ready Adopted"),
        (view(TWO, *RUNS), "Completed", "Ready Completed"),
        (view(TWO, phase=PlanPhase.COMPLETED), "Completed", "Ready Completed"),
        (view(replace(TWO, approved=False), phase=PlanPhase.PROPOSED), "Proposed", "not Ready AwaitingApproval"),
        (view(TWO, phase=PlanPhase.SUPERSEDED), "Superseded", "not Ready Superseded"),
    ],
)
def test_a_plan_says(world: View, phase: str, condition: str) -> None:
    assert said(world, "FleetPlan") == [condition]
    assert status(world, "FleetPlan")["phase"] == phase


def test_a_plan_under_way_tells_how_far_it_is() -> None:
    moving = view(TWO, stored(SINGLE, replicas=3), *pods_of(SINGLE, "s0", "s1", ""))
    assert status(moving, "FleetPlan")["progress"] == {"wanted": 2, "ready": 2, "leaving": 1}


def test_what_runs_on_for_a_demand_at_fault_does_not_leave() -> None:
    broken = demand_object("broken")
    broken["spec"]["objectives"]["ttft"] = "-1s"
    other = plan(planned(replicas("small", demand="broken"), demand="broken"))
    (kept,) = deployments(other, demand_object("broken"), pool_object())
    world = view(TWO, *RUNS, broken, stored(kept), *pods_of(kept, "s0"))
    assert world.service.leaving_replicas == 0


@pytest.mark.parametrize(
    ("profile", "ready", "reason", "message"),
    [
        (profile_object(), "True", "Available", "rates strategies of team-a/chat"),
        (
            profile_object(architecture="Qwen/Qwen3-8B"),
            "True",
            "Available",
            "no ModelDemand has architecture 'Qwen/Qwen3-8B' and engine vllm",
        ),
        (profile_object(milliseconds=-1.0), "False", "InvalidSpec", "spec.points[0].milliseconds: -1.0 is refused"),
    ],
)
def test_a_profile_says_whom_it_serves(profile: Raw, ready: str, reason: str, message: str) -> None:
    (condition,) = status(view(TWO, profile, *RUNS), "PerformanceProfile")["conditions"]

    assert (condition["type"], condition["status"], condition["reason"]) == ("Ready", ready, reason)
    assert condition["message"].startswith(message)


def labelled(**labels: str) -> Raw:
    demand = demand_object(rate=20.0)
    return {**demand, "metadata": {**demand["metadata"], "labels": labels}}


def budgets(*payers: tuple[str, str]) -> Raw:
    rows = [{"by": by, "value": value, "perHour": 5.0} for by, value in payers]
    return fleet_object(cost={"labels": ["team"], "budgets": rows})


@pytest.mark.parametrize(
    ("demand", "fleet", "idle"),
    [
        pytest.param(labelled(), budgets(), "", id="no budget"),
        pytest.param(labelled(team="a"), budgets(("namespace", "team-a"), ("label=team", "a")), "", id="each has some"),
        pytest.param(labelled(), budgets(("label=team", "")), "", id="those without the label"),
        pytest.param(
            labelled(team="a"),
            budgets(("label=team", "A"), ("namespace", "team-b"), ("namespace", "team-a")),
            "label=team 'A', namespace 'team-b'",
            id="one slip each",
        ),
        pytest.param(
            {**labelled(team="a"), "spec": {}}, budgets(("label=team", "a")), "", id="a demand at fault is there too"
        ),
    ],
)
def test_a_fleet_says_which_budgets_bound_nobody(demand: Raw, fleet: Raw, idle: str) -> None:
    of = view(TWO, *RUNS, fleet, demand=demand)
    (planned_,) = [item for item in status(of, "Fleet")["conditions"] if item["type"] == "Planned"]
    assert planned_["status"] == "True"
    assert planned_["message"] == (
        f"spec.cost.budgets: no ModelDemand is of {idle}; mend the value where it should be of one" if idle else ""
    )


def test_a_fleet_says_which_fields_older_definitions_lack_and_stays_ready() -> None:
    of = view(TWO, *RUNS)
    of = replace(of, snapshot=replace(of.snapshot, pruned=("Fleet status.costs", "GPUNodePool status.masked")))
    assert "Degraded DefinitionsOutdated" in said(of, "Fleet")
    assert said(of, "Fleet")[0] == "Ready Serving"
    (degraded,) = [item for item in status(of, "Fleet")["conditions"] if item["type"] == "Degraded"]
    assert "does not take Fleet status.costs, GPUNodePool status.masked" in degraded["message"]
    assert "upgrade the chart" in degraded["message"]


def test_operators_of_two_fleets_say_the_same_of_a_profile() -> None:
    theirs = demand_object("theirs")
    theirs["spec"]["fleet"] = "other"
    world = [demand_object(), theirs, profile_object()]
    seen_by = [seen(*world, fleet=fleet) for fleet in ("default", "other", "third")]
    assert [list(map(str, snapshot.demands)) for snapshot in seen_by] == [["team-a/chat"], ["team-a/theirs"], []]
    views = [replace(view(TWO), snapshot=snapshot) for snapshot in seen_by]
    messages = [status(each, "PerformanceProfile")["conditions"][0]["message"] for each in views]
    assert messages == ["rates strategies of team-a/chat and 1 more"] * 3


def test_what_decisions_read_back_stays_while_a_demand_is_at_fault() -> None:
    demand = demand_object(rate=20.0)
    correction = {"gpuKind": "H100-80GB", "engine": "vllm", "observed": 1.1, "applied": 1.1, "windows": 40}
    demand["status"] = {
        "measured": {"estimate": 20.0},
        "lengths": {"input": 1024.0, "output": 256.0},
        "corrections": [correction],
        "costPerHour": 8.0,
    }

    found = status(view(TWO, *RUNS, demand=demand, faults={key(): FAULT}), "ModelDemand")

    assert {name: found[name] for name in ("measured", "lengths", "corrections")} == {
        name: demand["status"][name] for name in ("measured", "lengths", "corrections")
    }
    assert "costPerHour" not in found
