"""While another plan is about to come, nothing breaks for the present one, and nothing is called Ready too early."""

from dataclasses import replace
from typing import Any

import pytest

from atoll.domain.objects import Apply, ApplyStatus, Reference
from atoll.domain.plan import Plan
from atoll.domain.planning import Planning
from atoll.domain.reason import Fault, Reason
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.plans import plan_in_force
from atoll.reconcile.problem import demand_digest, inputs_of, replan_due
from atoll.reconcile.service import service_of
from atoll.reconcile.status.demand import demand_status
from atoll.reconcile.status.view import View
from atoll.reconcile.transition import Step, next_step
from reconcile.worlds import (
    NAMESPACE,
    NOW,
    ROUTER,
    Raw,
    demand_object,
    deployments,
    fleet_object,
    key,
    node_object,
    plan,
    planned,
    pods_of,
    pool_object,
    replicas,
    seen,
    stored,
    stored_plan,
)

POOL = pool_object("small", max_nodes=2)
TWO = plan(planned(replicas("small", count=2), rate=20.0), approved=True)
ONE = plan(planned(replicas("small", count=1), rate=20.0), approved=True)
SINGLE = deployments(TWO, demand_object(), POOL)[0]
NODES = [node_object("s0"), node_object("s1")]
GOING = [node_object("s0", cordoned=True), node_object("s1")]
FLEET = fleet_object(router={"acknowledgement": {"mode": "None"}})
FAULT = Fault(reason=Reason.SOLVER_FAILED, message="it crashed")


def world(demand: Raw | None = None, nodes: list[Raw] = NODES) -> Snapshot:
    pods = pods_of(SINGLE, "s0", "s1")
    return seen(FLEET, POOL, demand or demand_object(rate=20.0), *nodes, stored(SINGLE), *pods, stored_plan(TWO))


def decided_for(snapshot: Snapshot, decision: Plan = TWO, **about: Any) -> Planning:
    demands = {each: demand_digest(demand) for each, demand in snapshot.demands.items()}
    return Planning(
        basis="b", solved_at=NOW, decision=decision, inputs=inputs_of(snapshot, NOW), demands=demands, **about
    )


@pytest.mark.parametrize(
    ("now", "planning", "due"),
    [
        pytest.param(world(), decided_for(world()), False, id="nothing has changed"),
        pytest.param(world(nodes=GOING), decided_for(world()), True, id="a node is going"),
        pytest.param(world(nodes=GOING), decided_for(world(), fleet_fault=FAULT), False, id="the solver fails"),
        pytest.param(world(), decided_for(world(), ONE), True, id="the next plan is decided and not written yet"),
    ],
)
def test_another_plan_is_due_where_something_has_changed(now: Snapshot, planning: Planning, due: bool) -> None:
    assert replan_due(now, planning, plan_in_force(now.plans, planning), NOW) == due


def test_r3_nothing_that_serves_breaks_for_a_plan_that_is_about_to_be_replaced() -> None:
    snapshot = world(nodes=GOING)

    def drained(*, due: bool) -> bool:
        return any("drain" in getattr(action, "why", "") for action in step_of(snapshot, due=due).actions)

    assert drained(due=False), "in its own offering there is no room for the replacement"
    assert not drained(due=True), "the next plan may find room elsewhere"


@pytest.mark.parametrize(("synced", "expected"), [(True, ["scale"]), (False, [])])
def test_r11_a_drain_goes_on_while_routers_learn_of_something_else(synced: bool, expected: list[str]) -> None:
    pods = [*pods_of(SINGLE, "s0"), *pods_of(SINGLE, "s1", start=1, drained=60.0)]
    snapshot = seen(fleet_object(), POOL, demand_object(), *NODES, stored(SINGLE), *pods, stored_plan(ONE))
    desired, _ = desired_objects(snapshot, ONE, ROUTER)
    versions = {"router": desired.router_version if synced else "before"}
    step = next_step(replace(snapshot, router_versions=versions), desired, NOW)
    written = [action for action in step.actions if not (isinstance(action, Apply) and action.why == "new")]
    assert [type(action).__name__.lower() for action in written] == expected
    assert not step.converged


def test_c5_a_demand_that_was_mended_keeps_its_replicas_until_a_plan_decides_about_it() -> None:
    without = plan(approved=True)
    pods = pods_of(SINGLE, "s0", "s1")
    snapshot = seen(FLEET, POOL, demand_object(rate=20.0), *NODES, stored(SINGLE), *pods, stored_plan(without))
    desired, _ = desired_objects(snapshot, without, ROUTER)
    touched = [each for each in next_step(snapshot, desired, NOW).actions if getattr(each, "why", "") != "new"]
    assert touched == []


def test_a_change_is_not_ready_before_it_was_planned_for() -> None:
    changed = demand_object(rate=20.0)
    changed["spec"]["placement"] = {"capacityTypes": ["spot"]}
    assert ready(world(), decided_for(world())) == ("True", "Serving")
    assert ready(world(changed), decided_for(world())) == ("False", "Planning")


def test_a_change_is_not_ready_before_everything_runs_as_declared() -> None:
    other_image = demand_object(rate=20.0, image="vllm/vllm:2")
    assert ready(world(other_image), decided_for(world(other_image))) == ("False", "ReplicasStarting")


def test_a_move_of_a_demand_that_was_ready_is_no_news() -> None:
    other_image = demand_object(rate=20.0, image="vllm/vllm:2")
    generation = other_image["metadata"]["generation"]
    other_image["status"] = {"conditions": [{"type": "Ready", "status": "True", "observedGeneration": generation}]}
    assert ready(world(other_image), decided_for(world(other_image)))[0] == "True"


def step_of(snapshot: Snapshot, *, due: bool = False) -> Step:
    desired, _ = desired_objects(snapshot, TWO, ROUTER)
    return next_step(snapshot, desired, NOW, replan_due=due)


def ready(snapshot: Snapshot, planning: Planning) -> tuple[str, str]:
    """Status and reason of Ready."""
    in_force = plan_in_force(snapshot.plans, planning)
    desired, _ = desired_objects(snapshot, in_force, ROUTER)
    view = View(
        snapshot=snapshot,
        planning=planning,
        plan=in_force,
        step=next_step(snapshot, desired, NOW),
        service=service_of(snapshot, in_force, desired),
        now=NOW,
    )
    ref = Reference(kind="ModelDemand", namespace=NAMESPACE, name=key().name)
    (written, *_) = demand_status(view, ref, snapshot.objects[ref])
    assert isinstance(written, ApplyStatus)
    found = next(each for each in written.intent["status"]["conditions"] if each["type"] == "Ready")
    return found["status"], found["reason"]
