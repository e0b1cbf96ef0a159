"""One step: state in, actions out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from atoll.domain.objects import Action, Apply, Delete, Reference, Scale
from atoll.domain.plan import Plan, PlannedReplicas, PlanPhase
from atoll.domain.reason import Fault, Reason
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.drain import DRAINING_SINCE
from atoll.reconcile.problem import without_faulty
from atoll.reconcile.transition import Step, next_step
from atoll.render import names
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
    pod_object,
    pods_of,
    pool_object,
    replicas,
    seen,
    stored,
    stored_plan,
)

DEMAND = demand_object()
FLEET = fleet_object()
POOLS = [pool_object("small", max_nodes=8), pool_object("big", max_nodes=8)]
NODES = [node_object(f"s{index}") for index in range(4)]
GOING = node_object("going", cordoned=True)


def step(
    target: Plan | None,
    *objects: Any,
    before: Sequence[Plan] = (),
    synced: bool = True,
    faults: Any = None,
    pools: Sequence[Raw] = tuple(POOLS),
) -> Step:
    """The step towards a plan, with all companions of it already there."""
    plans = [stored_plan(item, PlanPhase.SUPERSEDED) for item in before if target is None or item.name != target.name]
    world: list[Any] = [FLEET, *pools, *NODES, *plans, *objects]
    if not any(obj["kind"] == "ModelDemand" for obj in objects if isinstance(obj, dict)):
        world.append(DEMAND)
    if target is not None:
        world.append(stored_plan(target))
    desired, _ = desired_objects(seen(*world), target, ROUTER)
    known = {(obj["kind"], obj["metadata"]["name"]) for obj in world if isinstance(obj, dict)}
    world += [stored(obj) for obj in desired.companions if (obj["kind"], obj["metadata"]["name"]) not in known]
    snapshot = seen(*world, versions={"r": desired.router_version if synced else "before"})
    snapshot = without_faulty(snapshot, faults or {})
    desired, _ = desired_objects(snapshot, target, ROUTER)
    if synced:
        snapshot = replace(snapshot, router_versions={"r": desired.router_version})
    return next_step(snapshot, desired, NOW, hold=target is None)


def done(result: Step) -> list[str]:
    """Each write in a few words."""
    return [said(action) for action in result.actions]


def said(action: Action) -> str:
    match action:
        case Apply(intent=intent) if intent["kind"] == "Pod":
            labels = intent["metadata"]["labels"]
            return f"{'route' if labels[names.ROUTABLE] == 'true' else 'drain'} {intent['metadata']['name'][-1]}"
        case Apply(intent=intent):
            verb = "change" if action.live_uid else "create"
            count = f" x{intent['spec']['replicas']}" if intent["kind"] == "Deployment" else ""
            return f"{verb} {intent['kind']}{count}"
        case Scale(replicas=count):
            return f"scale to {count}"
        case Delete(target=target):
            return f"delete {target.kind}{' by force' if action.force else ''}"
        case _:
            raise AssertionError(action)


def one(*groups: PlannedReplicas, **other: Any) -> Plan:
    return plan(planned(*groups, **other))


def only(item: Plan, demand: Raw = DEMAND) -> Any:
    (intent,) = deployments(item, demand, *POOLS)
    return intent


TWO, THREE, BIG = one(replicas("small", count=2)), one(replicas("small", count=3)), one(replicas("big", rate=20.0))
SINGLE = only(TWO)
BIG_ONE = only(BIG)
B0 = node_object("b0", "big")


def test_c15_a_fleet_that_is_as_meant_is_left_alone() -> None:
    result = step(TWO, stored(SINGLE), *pods_of(SINGLE, "s0", "s1"))
    assert (done(result), result.converged) == ([], True)


def test_no_plan_no_touch() -> None:
    result = step(None, stored(SINGLE), *pods_of(SINGLE, "s0", "gone"))
    assert (done(result), result.converged) == ([], False)


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([], ["create Deployment x2"], id="nothing is there"),
        pytest.param([stored(SINGLE, replicas=1), *pods_of(SINGLE, "s0")], ["change Deployment x2"], id="one is there"),
        pytest.param([stored(SINGLE, replicas=0)], ["change Deployment x2"], id="R10: somebody scaled it to zero"),
        pytest.param([stored(SINGLE), *pods_of(SINGLE, "s0", "")], [], id="R9: one is Pending, and is waited for"),
        pytest.param(
            [stored(SINGLE, replicas=3), *pods_of(SINGLE, "s0", "s1", "s2")], ["drain 0"], id="R11: one too many drains"
        ),
        pytest.param(
            [stored(SINGLE, replicas=3), *pods_of(SINGLE, "s0", "s1"), *pods_of(SINGLE, "s2", start=2, drained=5.0)],
            [],
            id="it is left alone while it drains",
        ),
        pytest.param(
            [stored(SINGLE, replicas=3), *pods_of(SINGLE, "s0", "s1"), *pods_of(SINGLE, "s2", start=2, drained=16.0)],
            ["scale to 2"],
            id="drained, it is stopped",
        ),
        pytest.param(
            [stored(SINGLE, replicas=3), *pods_of(SINGLE, "s0", "s1"), *pods_of(SINGLE, "", start=2)],
            ["scale to 2"],
            id="R5: a surplus pod that is Pending is withdrawn at once",
        ),
        pytest.param(
            [stored(SINGLE, replicas=3), *pods_of(SINGLE, "s0", "s1")],
            ["scale to 2"],
            id="a surplus that has no pod yet",
        ),
        pytest.param(
            [stored(SINGLE), *pods_of(SINGLE, "s0"), *pods_of(SINGLE, "s1", start=1, drained=5.0)],
            ["route 1"],
            id="one that drains is wanted after all",
        ),
        pytest.param(
            [stored(SINGLE), *pods_of(SINGLE, "s0", "gone")], ["delete Pod by force"], id="one on a node that is gone"
        ),
        pytest.param(
            [stored(SINGLE, replicas=3), *pods_of(SINGLE, "s0", "s1", "gone")],
            ["delete Pod by force", "scale to 2"],
            id="the surplus is the one whose node is gone",
        ),
        pytest.param(
            [GOING, stored(SINGLE), *pods_of(SINGLE, "s0", "going")],
            ["change Deployment x3"],
            id="one on a node with a notice is replaced first",
        ),
        pytest.param(
            [GOING, stored(SINGLE, replicas=3), *pods_of(SINGLE, "s0", "going", "s1")],
            ["drain 1"],
            id="and drained once its replacement serves",
        ),
        pytest.param(
            [
                GOING,
                stored(SINGLE, replicas=3),
                *pods_of(SINGLE, "s0", "going"),
                *pods_of(SINGLE, "s1", start=2, ready=False),
            ],
            [],
            id="and not before",
        ),
    ],
)
def test_towards_two_replicas(objects: list[Any], expected: list[str]) -> None:
    assert done(step(TWO, *objects)) == expected


def test_a_drain_writes_label_time_and_cost_and_checks_the_pod() -> None:
    result = step(TWO, stored(SINGLE, replicas=3), *pods_of(SINGLE, "s0", "s1", "s2"))
    (action,) = result.actions
    assert action.live_uid == f"uid-{SINGLE['metadata']['name']}-0"
    assert action.intent["metadata"]["labels"] == {names.ROUTABLE: "false"}
    assert action.intent["metadata"]["annotations"] == {
        DRAINING_SINCE: "2026-11-21T10:00:00Z",
        names.POD_DELETION_COST: "-1000",
    }


def test_a_replica_that_somebody_took_out_of_the_router_is_taken_back_r10() -> None:
    (pod,) = pods_of(SINGLE, "s1", start=1)
    pod["metadata"]["labels"] = {**pod["metadata"]["labels"], names.ROUTABLE: "false"}
    assert done(step(TWO, stored(SINGLE), *pods_of(SINGLE, "s0"), pod)) == ["route 1"]


def test_a_surplus_replica_whose_drain_has_no_date_is_dated() -> None:
    (pod,) = pods_of(SINGLE, "s2", start=2)
    pod["metadata"]["labels"] = {**pod["metadata"]["labels"], names.ROUTABLE: "false"}
    assert done(step(TWO, stored(SINGLE, replicas=3), *pods_of(SINGLE, "s0", "s1"), pod)) == ["drain 2"]


def test_r10_a_template_edited_by_hand_is_put_right_without_touching_the_replicas() -> None:
    edited = stored(SINGLE, replicas=3)
    container = {**edited["spec"]["template"]["spec"]["containers"][0], "image": "evil:1"}
    template = edited["spec"]["template"]
    edited["spec"]["template"] = {**template, "spec": {**template["spec"], "containers": [container]}}
    result = step(TWO, edited, *pods_of(SINGLE, "s0", "s1"), *pods_of(SINGLE, "s2", start=2, drained=5.0))
    assert done(result) == ["change Deployment x3"]
    assert result.actions[0].live_resource_version == "7"


def test_r10_annotations_edited_by_hand_are_put_right_even_where_there_is_no_room() -> None:
    edited = stored(SINGLE)
    edited["metadata"] = {**edited["metadata"], "annotations": {names.STRATEGY_SPEC: "{}"}}
    pools = [pool_object("small", max_nodes=2), POOLS[1]]
    assert done(step(TWO, edited, *pods_of(SINGLE, "s0", "s1"), pools=pools)) == ["change Deployment x2"]


def test_writes_carry_what_was_seen() -> None:
    (scaled,) = step(TWO, stored(SINGLE, replicas=3), *pods_of(SINGLE, "s0", "s1")).actions
    assert (scaled.uid, scaled.resource_version) == (f"uid-{SINGLE['metadata']['name']}", "7")
    assert scaled.target == Reference(kind="Deployment", namespace=NAMESPACE, name=SINGLE["metadata"]["name"])


# -- From one strategy to another --


@pytest.mark.parametrize(
    ("objects", "synced", "expected"),
    [
        pytest.param([*pods_of(SINGLE, "s0", "s1")], True, ["create Deployment x1"], id="R3: new first"),
        pytest.param(
            [stored(BIG_ONE), *pods_of(BIG_ONE, "b0", ready=False), *pods_of(SINGLE, "s0", "s1")],
            True,
            [],
            id="R3: not while the new one starts",
        ),
        pytest.param(
            [stored(BIG_ONE), *pods_of(BIG_ONE, "b0"), *pods_of(SINGLE, "s0", "s1")],
            False,
            [],
            id="R3: not before every router knows",
        ),
        pytest.param(
            [stored(BIG_ONE), *pods_of(BIG_ONE, "b0"), *pods_of(SINGLE, "s0", "s1")],
            True,
            ["drain 0", "drain 1"],
            id="R3",
        ),
        pytest.param(
            [stored(BIG_ONE), *pods_of(BIG_ONE, "b0"), *pods_of(SINGLE, "s0", "s1", drained=30.0)],
            True,
            ["delete Deployment"],
            id="the old Deployment goes whole",
        ),
        pytest.param(
            [stored(BIG_ONE), *pods_of(BIG_ONE, "b0", ready=False), *pods_of(SINGLE, "s0", "s1", drained=30.0)],
            True,
            ["route 0", "route 1"],
            id="a drain is taken back where the new replica fails meanwhile",
        ),
        pytest.param(
            [stored(BIG_ONE), *pods_of(BIG_ONE, "b0"), *pods_of(SINGLE, "", "")],
            True,
            ["delete Deployment"],
            id="R5: old pods that are Pending for ever",
        ),
        pytest.param([*pods_of(SINGLE, "", "")], True, ["create Deployment x1", "delete Deployment"], id="R5: at once"),
        pytest.param(
            [*pods_of(SINGLE, "gone", "gone")],
            True,
            ["delete Pod by force", "delete Pod by force", "create Deployment x1", "delete Deployment"],
            id="old pods whose nodes are gone",
        ),
    ],
)
def test_from_two_small_to_one_big(objects: list[Any], synced: bool, expected: list[str]) -> None:
    old_service = [stored(obj) for obj in companions(TWO) if obj["kind"] == "Service"]
    result = step(BIG, B0, stored(SINGLE), *old_service, *objects, before=[TWO], synced=synced)
    assert done(result) == expected
    assert not result.converged


def companions(item: Plan) -> list[Any]:
    found, _ = desired_objects(seen(DEMAND, *POOLS), item, ROUTER)
    return [obj for obj in found.companions if obj["metadata"].get("ownerReferences")]


def test_where_old_replicas_serve_more_than_is_wanted_some_go_before_the_new_come() -> None:
    less = one(replicas("big", rate=10.0), rate=10.0)
    result = step(less, B0, stored(SINGLE), *pods_of(SINGLE, "s0", "s1"), before=[TWO])
    assert done(result) == ["create Deployment x1", "drain 0"]


def test_two_deployments_of_one_demand_on_one_offering_are_told_apart() -> None:
    newer = demand_object(image="vllm/vllm:2")
    second = only(TWO, newer)
    assert second["metadata"]["name"] != SINGLE["metadata"]["name"]
    world = [newer, stored(SINGLE), *pods_of(SINGLE, "s0", "s1"), stored(second)]
    assert done(step(TWO, *world, *pods_of(second, "s2", ready=False), *pods_of(second, "s3", start=1))) == ["drain 0"]
    assert done(step(TWO, *world, *pods_of(second, "s2", "s3", ready=False))) == []


# -- Room --


def full(provisioning: str = "Autoscaler") -> list[Raw]:
    """Pools of which the small one has two nodes only."""
    return [pool_object("small", 2, provisioning), pool_object("big", 2, provisioning)]


LONG = one(replicas("small", count=2, sequences=128))
LONG_ONE = only(LONG)


def test_r4_with_no_room_one_old_replica_makes_it() -> None:
    result = step(LONG, stored(SINGLE), *pods_of(SINGLE, "s0", "s1"), before=[TWO], pools=full())
    assert done(result) == ["drain 0"]


def test_r4_while_one_is_being_stopped_no_other_is_broken() -> None:
    stopping = pods_of(SINGLE, "s1", start=1, deleting=True)
    result = step(LONG, stored(SINGLE, replicas=1), *pods_of(SINGLE, "s0"), *stopping, before=[TWO], pools=full())
    assert done(result) == []


def test_r4_nor_between_the_scaling_and_the_stop() -> None:
    pods = [*pods_of(SINGLE, "s0"), *pods_of(SINGLE, "s1", start=1, drained=20.0)]
    other = only(one(replicas("small", count=1, sequences=32)))
    result = step(LONG, stored(SINGLE, replicas=1), *pods, stored(other, replicas=0), before=[TWO], pools=full())
    assert "drain 0" not in done(result)


def test_r4_nor_while_its_successor_starts() -> None:
    world = [stored(SINGLE, replicas=1), *pods_of(SINGLE, "s0"), stored(LONG_ONE, replicas=1)]
    assert done(step(LONG, *world, *pods_of(LONG_ONE, "s1", ready=False), before=[TWO], pools=full())) == []
    assert done(step(LONG, *world, *pods_of(LONG_ONE, "", age=5.0), before=[TWO], pools=full())) == []
    assert done(step(LONG, *world, *pods_of(LONG_ONE, "s1"), before=[TWO], pools=full())) == ["drain 0"]


def test_r23_a_new_pod_that_no_node_takes_makes_room_but_only_after_the_scheduler_had_its_time() -> None:
    pools = full()
    world = [stored(SINGLE, replicas=1), *pods_of(SINGLE, "s0"), stored(LONG_ONE, replicas=1)]
    assert done(step(LONG, *world, *pods_of(LONG_ONE, "", age=5.0), before=[TWO], pools=pools)) == []
    assert done(step(LONG, *world, *pods_of(LONG_ONE, "", age=60.0), before=[TWO], pools=pools)) == ["drain 0"]


def test_r12_a_higher_priority_takes_the_room_of_a_lower_one_and_never_the_reverse() -> None:
    high, low = demand_object("high", priority=100), demand_object("low", priority=1)
    before = plan(planned(replicas("small", count=2, demand="low"), demand="low"))
    (intent,) = deployments(before, low, *POOLS)
    world = [high, low, stored(intent), *pods_of(intent, "s0", "s1")]
    after = plan(planned(replicas("small", count=2, demand="high"), demand="high"), planned(demand="low"))
    assert done(step(after, *world, before=[before], pools=full())) == ["drain 0", "drain 1"]

    reverse = plan(planned(replicas("small", count=2, demand="low"), demand="low"))
    mine = plan(planned(replicas("small", count=2, demand="high"), demand="high"))
    (held,) = deployments(mine, high, *POOLS)
    moved = plan(*reverse.demands, planned(replicas("big", demand="high", rate=20.0), demand="high"))
    result = step(moved, high, low, stored(held), *pods_of(held, "s0", "s1"), before=[mine], pools=full())
    assert done(result) == ["create Deployment x1"]
    assert result.waiting[key("low")] == "for room"


def test_no_more_replicas_start_at_one_time_than_the_fleet_allows() -> None:
    many = one(replicas("small", count=8))
    world = [fleet_object(pace={"maxMoves": 3}), *POOLS]
    plans = stored_plan(many)
    desired, _ = desired_objects(seen(*world, DEMAND, plans), many, ROUTER)
    result = next_step(seen(*world, DEMAND, plans), desired, NOW)
    assert "create Deployment x3" in done(result)
    assert result.waiting[key()] == "for earlier moves"


def test_pods_of_a_deleted_demand_do_not_count_twice() -> None:
    gone = deployments(plan(planned(replicas("small", demand="old"), demand="old")), demand_object("old"), *POOLS)[0]
    stopping = pods_of(gone, "s1", deleting=True)
    pools = [pool_object("small", 2, "Fixed"), POOLS[1]]
    nodes_left = [node for node in NODES if node["metadata"]["name"] in {"s0", "s1"}]
    snapshot = seen(FLEET, DEMAND, *pools, *nodes_left, *stopping, stored_plan(TWO))
    desired, _ = desired_objects(snapshot, TWO, ROUTER)
    assert "create Deployment x1" in done(next_step(snapshot, desired, NOW))


def test_r4_the_place_of_a_pod_whose_node_is_gone_is_kept_for_its_successor() -> None:
    both = plan(*TWO.demands, planned(replicas("small", demand="code"), demand="code"))
    pools = full("Fixed")
    (owned,) = deployments(TWO, DEMAND, *pools)
    world = [DEMAND, demand_object("code", priority=9), stored(owned), *pods_of(owned, "s0", "gone")]
    result = step(both, *world, pools=pools)
    assert done(result) == ["delete Pod by force"]
    assert result.waiting[key("code")] == "for room"


# -- Notices --


def test_where_nodes_that_go_hold_all_the_room_they_are_left_one_by_one() -> None:
    nodes = [node_object("s8", cordoned=True), node_object("s9", cordoned=True)]
    world = [FLEET, DEMAND, *full(), *nodes, stored(SINGLE), stored_plan(TWO)]
    desired, _ = desired_objects(seen(*world), TWO, ROUTER)

    def next_writes(*pods: Raw) -> list[str]:
        writes = done(next_step(seen(*world, *pods), desired, NOW))
        return [line for line in writes if "create" not in line]

    assert next_writes(*pods_of(SINGLE, "s8", "s9")) == ["drain 0"]
    drained = pods_of(SINGLE, "s8", drained=30.0)
    assert next_writes(*drained, *pods_of(SINGLE, "s9", start=1)) == ["delete Pod"]
    replaced = pods_of(SINGLE, "", age=5.0)
    assert next_writes(*replaced, *pods_of(SINGLE, "s9", start=1)) == []


# -- Several stages --

PAIR = one(replicas("small", "big", rate=20.0))
S0, S1 = deployments(PAIR, DEMAND, *POOLS)


def names_of(result: Step, kind: type) -> list[str]:
    return [action.target.name for action in result.actions if isinstance(action, kind)]


def test_stages_are_created_together() -> None:
    assert done(step(PAIR)) == ["create Deployment x1", "create Deployment x1"]


def test_a_missing_stage_is_created_again() -> None:
    assert done(step(PAIR, B0, stored(S0), *pods_of(S0, "s0", ready=False))) == ["create Deployment x1"]


def test_r10_a_stage_scaled_up_by_hand_is_scaled_back_at_once() -> None:
    live = [stored(S0, replicas=2), *pods_of(S0, "s0", "s1"), stored(S1), *pods_of(S1, "b0")]
    assert done(step(PAIR, B0, *live)) == ["change Deployment x1"]


@pytest.mark.parametrize("count", [0, 3])
def test_r10_a_stage_scaled_by_hand_is_one_pod_again(count: int) -> None:
    result = step(PAIR, B0, stored(S0), stored(S1, replicas=count), *pods_of(S0, "s0"), *pods_of(S1, "b0"))
    assert done(result) == ["change Deployment x1"]


def test_without_room_for_all_stages_none_is_created() -> None:
    result = step(PAIR, pools=[POOLS[0], pool_object("big", 0)])
    assert (done(result), result.waiting[key()]) == ([], "for room")


def test_all_stages_go_together_once_the_first_has_drained() -> None:
    old = [stored(S0), stored(S1), *pods_of(S1, "b0")]
    new = [stored(SINGLE), *pods_of(SINGLE, "s0", "s1")]
    assert done(step(TWO, B0, *old, *new, *pods_of(S0, "s2"), before=[PAIR])) == ["drain 0"]
    assert done(step(TWO, B0, *old, *new, *pods_of(S0, "s2", drained=5.0), before=[PAIR])) == []
    result = step(TWO, B0, *old, *new, *pods_of(S0, "s2", drained=15.0), before=[PAIR])
    assert names_of(result, Delete) == [S0["metadata"]["name"], S1["metadata"]["name"]]


def test_room_that_only_the_second_stage_holds_is_made_by_the_whole_replica() -> None:
    target = one(replicas("big", count=4, rate=20.0, sequences=256))
    pools = [pool_object("small", 8), pool_object("big", 2)]
    new = only(target)
    world = [B0, node_object("b1", "big"), stored(S0), stored(S1), *pods_of(S1, "b0"), stored(new, replicas=3)]
    pods = pods_of(new, "b0", "b1", "b1")
    assert done(step(target, *world, *pods, *pods_of(S0, "s0"), before=[PAIR], pools=pools)) == ["drain 0"]


def test_when_one_stage_is_lost_its_siblings_are_deleted_too() -> None:
    result = step(PAIR, B0, stored(S0), stored(S1), *pods_of(S0, "s0"), *pods_of(S1, "gone"))
    pods = [(action.target.name, action.force) for action in result.actions if isinstance(action, Delete)]
    assert (f"{S1['metadata']['name']}-0", True) in pods
    assert (f"{S0['metadata']['name']}-0", False) in pods


@pytest.mark.parametrize(
    ("head", "tail", "deleted"),
    [
        pytest.param({}, {}, [], id="both run"),
        pytest.param({"restarts": 1}, {}, ["s0", "s1"], id="the first restarted"),
        pytest.param({}, {"restarts": 1}, ["s0", "s1"], id="the second restarted"),
        pytest.param({"age": 600.0}, {"age": 30.0, "ready": False}, ["s0"], id="the second was replaced"),
        pytest.param({"age": 30.0, "ready": False}, {"age": 600.0}, ["s1"], id="the first was replaced"),
        pytest.param({"age": 50.0, "ready": False}, {"age": 30.0, "ready": False}, [], id="both start"),
    ],
)
def test_a_stage_that_starts_anew_cannot_join_one_that_runs(head: Any, tail: Any, deleted: list[str]) -> None:
    result = step(PAIR, B0, stored(S0), stored(S1), *pods_of(S0, "s0", **head), *pods_of(S1, "b0", **tail))
    assert sorted(name.rsplit("-", 2)[1] for name in names_of(result, Delete)) == deleted


def test_stages_of_two_templates_are_no_siblings() -> None:
    newer = demand_object(image="vllm/vllm:2")
    t0, t1 = deployments(PAIR, newer, *POOLS)
    old = [stored(S0), stored(S1), *pods_of(S0, "s0"), *pods_of(S1, "b0")]
    new = [stored(t0), stored(t1), *pods_of(t0, "s1", age=5.0, ready=False), *pods_of(t1, "b0", age=5.0)]
    assert done(step(PAIR, newer, B0, *old, *new)) == []


# -- What is left behind --


def test_services_and_budgets_stay_until_the_last_pod_is_gone() -> None:
    old = [stored(obj) for obj in companions(PAIR)]
    new = [stored(SINGLE), *pods_of(SINGLE, "s0", "s1")]
    stopping = [*pods_of(S0, "s2", deleting=True), *pods_of(S1, "b0", deleting=True)]
    assert done(step(TWO, B0, *old, *new, *stopping, before=[PAIR])) == []
    gone = step(TWO, B0, *old, *new, before=[PAIR])
    assert sorted(done(gone)) == ["delete PodDisruptionBudget", "delete Service", "delete Service"]


def test_a_budget_follows_the_number_of_replicas() -> None:
    (sole,) = [obj for obj in companions(one(replicas("small"))) if obj["kind"] == "PodDisruptionBudget"]
    result = step(TWO, stored(sole), stored(SINGLE), *pods_of(SINGLE, "s0", "s1"))
    assert done(result) == ["change PodDisruptionBudget"]
    assert result.actions[0].intent["spec"]["maxUnavailable"] == 1


def test_i3_what_is_not_ours_is_left_alone() -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "theirs", "namespace": NAMESPACE, "labels": {names.DEMAND: "chat"}, "uid": "u"},
        "spec": {"selector": {"a": "b"}},
    }
    lost = pod_object("theirs", node="gone")
    assert done(step(TWO, service, lost, stored(SINGLE), *pods_of(SINGLE, "s0", "s1"))) == []


def test_a_demand_that_no_plan_can_serve_keeps_what_it_has() -> None:
    fault = Fault(reason=Reason.IMPOSSIBLE_OBJECTIVES, message="")
    old = [stored(obj) for obj in companions(TWO)]
    result = step(plan(), *old, stored(SINGLE), *pods_of(SINGLE, "s0", "s1"), faults={key(): fault}, before=[TWO])
    assert [line for line in done(result) if "ConfigMap" not in line] == []
