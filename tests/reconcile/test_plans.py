"""Which plan counts, the phases of all, and what is written of them."""

from dataclasses import replace
from typing import Any

import pytest

from atoll.api.fleetplan_io import plan_objects
from atoll.domain.objects import Action, Apply, Delete
from atoll.domain.plan import Plan, PlannedReplicas, PlanPhase
from atoll.domain.planning import Planning
from atoll.reconcile.plans import current_plan, phases, plan_in_force, prunable
from atoll.reconcile.planwrites import plan_actions, prune
from reconcile.worlds import (
    NOW,
    ago,
    demand_object,
    fleet_object,
    plan,
    planned,
    replicas,
    seen,
    stored_plan,
)

PROPOSED, MOVING, COMPLETED, SUPERSEDED = PlanPhase


def of(count: int, phase: PlanPhase, at: int = 0, **other: Any) -> Plan:
    """A plan for so many replicas, written at a second of the last minute."""
    made = plan(planned(replicas("small", count=count)), phase=phase, **other)
    return replace(made, created=ago(60 - at))


def planning(decision: Plan | None = None, basis: str = "0123456789") -> Planning:
    return Planning(basis=basis, solved_at=NOW, decision=decision)


@pytest.mark.parametrize(
    ("plans", "current"),
    [
        pytest.param([], None, id="none"),
        pytest.param([of(1, COMPLETED)], 1, id="the completed one"),
        pytest.param([of(1, COMPLETED), of(2, MOVING, 1)], 2, id="the one under way"),
        pytest.param([of(1, COMPLETED, 0), of(2, MOVING, 1), of(3, PROPOSED, 2)], 3, id="the one just approved"),
        pytest.param([of(1, MOVING, 5), of(2, PROPOSED, 1)], 2, id="the one just approved, though older"),
        pytest.param([of(1, MOVING), of(2, PROPOSED, 1, approved=False)], 1, id="not one that nobody approved"),
        pytest.param([of(1, COMPLETED, 1), of(2, COMPLETED, 2)], 2, id="the one completed last"),
        pytest.param([of(1, SUPERSEDED), of(2, PROPOSED, approved=False)], None, id="not a superseded one"),
    ],
)
def test_current_plan(plans: list[Plan], current: int | None) -> None:
    found = current_plan(plans)
    assert (found.groups[0].count if found else None) == current


@pytest.mark.parametrize(
    ("plans", "converged", "expected"),
    [
        pytest.param([of(1, PROPOSED)], False, {1: MOVING}, id="approved"),
        pytest.param([of(1, MOVING)], True, {1: COMPLETED}, id="reached"),
        pytest.param([of(1, COMPLETED)], False, {}, id="Completed is terminal, whatever restarts"),
        pytest.param([of(1, PROPOSED, approved=False)], True, {}, id="waits for approval"),
        pytest.param(
            [of(1, COMPLETED), of(2, PROPOSED, 1)], False, {1: SUPERSEDED, 2: MOVING}, id="the next one supersedes"
        ),
        pytest.param(
            [of(1, MOVING), of(2, PROPOSED, 1, basis="old", approved=False)],
            False,
            {2: SUPERSEDED},
            id="stale proposal",
        ),
        pytest.param(
            [of(1, MOVING), of(2, PROPOSED, 1, basis="old")], False, {2: SUPERSEDED}, id="stale though approved"
        ),
        pytest.param(
            [of(1, MOVING), of(2, PROPOSED, 1, basis="old", rollback_of="default-1")],
            False,
            {1: SUPERSEDED, 2: MOVING},
            id="a rollback is never stale",
        ),
        pytest.param([of(9, PROPOSED, basis="old")], False, {9: MOVING}, id="the planner's decision is never stale"),
    ],
)
def test_phases(plans: list[Plan], converged: bool, expected: dict[int, PlanPhase]) -> None:
    names = {item.name: item.groups[0].count for item in plans}
    found = phases(plans, planning(of(9, PROPOSED)), converged=converged)
    assert {names[name]: phase for name, phase in found.items()} == expected


def test_approving_a_stale_plan_moves_nothing() -> None:
    running, stale = of(1, COMPLETED), of(2, PROPOSED, 1, basis="old")
    assert plan_in_force([running, stale], planning(of(1, PROPOSED))) is not None
    assert plan_in_force([running, stale], planning(of(1, PROPOSED))).content == running.content


def test_before_the_first_decision_no_proposal_is_stale() -> None:
    assert phases([of(1, PROPOSED, basis="old", approved=False)], planning(None, basis=""), converged=False) == {}


def test_the_plan_in_force_has_the_numbers_of_this_moment() -> None:
    decision = replace(of(1, PROPOSED), bound_per_hour=9.9, approved=False)
    found = plan_in_force([of(1, MOVING, 3, uid="u")], planning(decision))
    assert (found.bound_per_hour, found.approved, found.phase, found.uid) == (9.9, True, MOVING, "u")


def test_the_oldest_superseded_plans_are_pruned_and_a_rollback_s_source_is_pinned() -> None:
    old = [of(count, SUPERSEDED, count) for count in range(1, 6)]
    back = of(9, MOVING, 9, rollback_of=old[0].name)
    assert [item.groups[0].count for item in prunable([*old, back], 2)] == [2, 3]
    assert [item.groups[0].count for item in prunable([*old, replace(back, phase=SUPERSEDED)], 3)] == [1, 2, 3]
    assert prunable(old, 5) == ()


def doings(actions: list[Action]) -> list[tuple[str, str]]:
    """Verb and name of each action."""
    return [
        ("apply", item.intent["metadata"]["name"]) if isinstance(item, Apply) else ("delete", item.target.name)
        for item in actions
        if isinstance(item, Apply | Delete)
    ]


def test_a_decision_is_written_once() -> None:
    decision = of(1, PROPOSED)
    assert doings(plan_actions(decision, seen(fleet_object()))) == [("apply", decision.name)]
    assert plan_actions(decision, seen(stored_plan(decision, None))) == []


def test_a_proposal_that_waits_is_approved_where_the_fleet_needs_no_approval_any_more() -> None:
    decision = of(1, PROPOSED)
    waits = stored_plan(replace(decision, approved=False), PROPOSED)
    (action,) = plan_actions(replace(decision, approved=True), seen(waits))
    assert isinstance(action, Apply)
    assert action.intent["spec"] == {**waits[0]["spec"], "approved": True}, "nothing else may change"
    assert (action.live_uid, action.live_resource_version) == (f"uid-{decision.name}", "7")
    assert plan_actions(replace(decision, approved=False), seen(waits)) == []


def test_a_superseded_plan_that_is_decided_again_is_dated_anew() -> None:
    decision = of(1, PROPOSED)
    (action,) = plan_actions(decision, seen(stored_plan(decision, SUPERSEDED)))
    assert isinstance(action, Delete)
    assert (action.target.name, action.uid, action.resource_version) == (decision.name, f"uid-{decision.name}", "7")


def test_r24_a_plan_that_nobody_can_read_is_decided_anew() -> None:
    decision = of(1, PROPOSED)
    (head,) = stored_plan(decision)
    head["spec"] = {**head["spec"], "demands": []}
    assert doings(plan_actions(decision, seen(head))) == [("delete", decision.name)]


def test_shards_follow_their_head_and_are_owned_by_it() -> None:
    many: list[PlannedReplicas] = [replicas("small", sequences=n) for n in range(1, 700)]
    decision = plan(planned(*many))
    objects = plan_objects(decision)
    assert len(objects) > 1
    (head,) = plan_actions(decision, seen())
    assert head.intent["metadata"]["name"] == decision.name
    shards = plan_actions(decision, seen(stored_plan(decision)[:1]))
    assert doings(shards) == [("apply", f"{decision.name}-{index}") for index in range(1, len(objects))]
    assert {item.intent["metadata"]["ownerReferences"][0]["uid"] for item in shards} == {f"uid-{decision.name}"}
    assert plan_actions(decision, seen(stored_plan(decision))) == []


def test_while_a_rollback_is_in_force_the_planner_only_proposes() -> None:
    back = of(1, MOVING, rollback_of="default-0000000000")
    (action,) = plan_actions(of(2, PROPOSED), seen(demand_object(), stored_plan(back)))
    assert action.intent["spec"].get("approved") is not True
    (freed,) = plan_actions(of(2, PROPOSED), seen(demand_object(), stored_plan(back, SUPERSEDED)))
    assert freed.intent["spec"]["approved"] is True


def test_history_is_pruned_to_the_fleet_s_length() -> None:
    world = [stored_plan(of(count, PROPOSED), SUPERSEDED, created=ago(60 - count)) for count in range(1, 5)]
    found = prune(seen(fleet_object(planHistory=3), *world), None, NOW)
    assert doings(found) == [("delete", of(1, PROPOSED).name)]


def head_without_shards(created: str = "") -> tuple[Plan, Any]:
    decision = plan(planned(*(replicas("small", sequences=n) for n in range(1, 700))))
    head, *shards = stored_plan(decision, None, created=created)
    assert shards
    return decision, head


def test_a_head_without_its_shards_is_forgotten_once_something_else_is_decided() -> None:
    half, head = head_without_shards()
    other = stored_plan(of(2, PROPOSED), COMPLETED)
    assert doings(prune(seen(fleet_object(), head, other), None, NOW)) == [("delete", half.name)]
    assert doings(prune(seen(fleet_object(), head, other), of(3, PROPOSED), NOW)) == [("delete", half.name)]


def test_a_head_whose_shards_may_still_come_is_left_alone() -> None:
    half, head = head_without_shards()
    assert prune(seen(fleet_object(), head), half, NOW) == [], "it is the one being written"
    _, young = head_without_shards(created=ago(30))
    assert prune(seen(fleet_object(), young), None, NOW) == []
    going = {**head, "metadata": {**head["metadata"], "deletionTimestamp": ago(1)}}
    assert prune(seen(fleet_object(), going), None, NOW) == []


def test_neither_shards_nor_plans_of_other_fleets_are_taken_for_heads_that_nobody_can_read() -> None:
    half, head = head_without_shards()
    shards = stored_plan(half, None)[1:]
    theirs = {**head, "spec": {**head["spec"], "fleet": "theirs"}}
    assert prune(seen(fleet_object(), shards, theirs), None, NOW) == []
