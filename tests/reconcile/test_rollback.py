"""Going back to a former plan: what is gone back to, that it is pinned, and how it ends."""

from dataclasses import replace

import pytest

from atoll.domain.objects import FLEET_PLAN, Reference
from atoll.domain.plan import Plan, PlanPhase
from atoll.domain.planning import Planning
from atoll.reconcile.plans import current_plan
from atoll.reconcile.problem import replan_due
from atoll.reconcile.rollback import former_plan, rollback_to
from reconcile.simulated_fleet import Fleet
from reconcile.worlds import NAMESPACE, NOW, fleet_object, plan, planned, replicas, seen, stored_plan

SUPERSEDED, COMPLETED, PROPOSED = PlanPhase.SUPERSEDED, PlanPhase.COMPLETED, PlanPhase.PROPOSED


def of(
    count: int, phase: PlanPhase, age: int = 0, *, rollback_of: str = "", approved: bool = True, late: bool = False
) -> Plan:
    """A plan with so many replicas; a higher age is younger."""
    base = plan(planned(replicas("small", count=count)), approved=approved)
    created = f"2026-11-21T09:{age:02}:00Z"
    since = created if approved and phase is not PROPOSED and not late else ""
    return replace(base, phase=phase, created=created, rollback_of=rollback_of, in_force_since=since)


@pytest.mark.parametrize(
    ("plans", "expected"),
    [
        pytest.param([of(1, SUPERSEDED, 1), of(2, SUPERSEDED, 2), of(3, COMPLETED, 3)], 2, id="the one before"),
        pytest.param([of(3, COMPLETED, 3)], None, id="there was none"),
        pytest.param(
            [of(1, SUPERSEDED, 1), of(2, SUPERSEDED, 2, late=True), of(3, COMPLETED, 3)],
            1,
            id="one was too late",
        ),
        pytest.param([of(2, SUPERSEDED, 2)], None, id="none is in force"),
        pytest.param([of(1, SUPERSEDED, 1, approved=False), of(3, COMPLETED, 3)], None, id="never approved"),
        pytest.param(
            [of(1, SUPERSEDED, 1), of(2, SUPERSEDED, 2), of(2, COMPLETED, 3, rollback_of=of(2, SUPERSEDED).name)],
            1,
            id="further back from a rollback",
        ),
    ],
)
def test_the_plan_before_the_one_in_force(plans: list[Plan], expected: int | None) -> None:
    found = former_plan(plans)
    assert (found.groups[0].count if found else None) == expected


def test_a_rollback_has_the_content_of_its_source_and_another_name() -> None:
    source = of(2, SUPERSEDED, 2)
    back = rollback_to(source, cost_now_per_hour=7.0)
    assert (back.groups, back.nodes) == (source.groups, source.nodes)
    assert (back.approved, back.phase, back.rollback_of) == (True, PROPOSED, source.name)
    assert back.previous_cost_per_hour == 7.0
    assert back.name != source.name
    assert rollback_to(back, cost_now_per_hour=7.0).name == back.name


def test_while_a_rollback_is_in_force_nothing_waits_for_a_plan_that_somebody_has_to_approve() -> None:
    decision, snapshot = of(3, PROPOSED), seen(fleet_object())
    planning = Planning(basis="b", solved_at=NOW, decision=decision, inputs={"demands": "other"})
    assert replan_due(snapshot, planning, of(2, COMPLETED), NOW)
    assert not replan_due(snapshot, planning, of(2, COMPLETED, rollback_of="default-1"), NOW)


def test_a_rollback_is_carried_out_stays_and_ends_with_an_approval() -> None:
    fleet = Fleet()
    fleet.pool("small", max_nodes=4)
    fleet.demand("chat", 10.0, "small")
    fleet.settle()
    source = in_force(fleet)
    fleet.demand("chat", 30.0, "small")
    fleet.settle()
    assert replicas_of(fleet) == 3

    back = rollback_to(source, cost_now_per_hour=in_force(fleet).cost_per_hour)
    for obj in stored_plan(back, None, created="2026-11-21T10:30:00Z"):
        fleet.cluster.put(obj)
    fleet.floors = {}
    fleet.settle()
    assert (replicas_of(fleet), in_force(fleet).name) == (1, back.name)
    assert in_force(fleet).phase is COMPLETED

    waiting = next(each for each in fleet.cluster.snapshot().plans if each.phase is PROPOSED)
    assert not waiting.approved
    head = fleet.cluster.objects[Reference(kind=FLEET_PLAN.name, name=waiting.name)]
    fleet.cluster.put({**head, "spec": {**head["spec"], "approved": True}})
    fleet.settle()
    assert replicas_of(fleet) == 3


def in_force(fleet: Fleet) -> Plan:
    found = current_plan(fleet.cluster.snapshot().plans)
    assert found is not None
    return found


def replicas_of(fleet: Fleet) -> int:
    """Of engines."""
    deployments = fleet.cluster.of("Deployment")
    return sum(item["spec"]["replicas"] for item in deployments if item["metadata"]["namespace"] == NAMESPACE)
