"""Steps where there is not room for old and new replicas at once."""

from collections.abc import Callable
from typing import Any

import pytest

from atoll.domain.objects import ObjectLike
from atoll.domain.reason import Fault, Reason
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.transition import next_step
from reconcile.steps import (
    DEMAND,
    FLEET,
    GOING,
    NODES,
    POOLS,
    SINGLE,
    TWO,
    done,
    one,
    only,
    step,
)
from reconcile.worlds import (
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
    assert done(step(LONG, stored(SINGLE, replicas=1), *pods, before=[TWO], pools=full())) == []


def test_r4_a_replica_that_drains_to_make_room_is_not_exchanged_for_another() -> None:
    before = one(replicas("small"), replicas("small", sequences=32))
    first, second = sorted(deployments(before, DEMAND, *POOLS), key=lambda intent: intent["metadata"]["name"])
    for kept, going in ((first, second), (second, first)):
        pods = [*pods_of(kept, "s0"), *pods_of(going, "s1", start=1, drained=5.0)]
        assert done(step(LONG, stored(first), stored(second), *pods, before=[before], pools=full())) == []


def test_r4_nor_while_its_successor_starts() -> None:
    world = [stored(SINGLE, replicas=1), *pods_of(SINGLE, "s0"), stored(LONG_ONE, replicas=1)]
    assert done(step(LONG, *world, *pods_of(LONG_ONE, "s1", ready=False), before=[TWO], pools=full())) == []
    assert done(step(LONG, *world, *pods_of(LONG_ONE, "", age=5.0), before=[TWO], pools=full())) == []
    assert done(step(LONG, *world, *pods_of(LONG_ONE, "s1"), before=[TWO], pools=full())) == ["drain 0"]


def test_r4_nor_before_routers_had_the_time_to_find_its_successor() -> None:
    """Routers see by DNS that old ones left sooner than that new ones came: both would be missing at once."""
    world = [stored(SINGLE, replicas=1), *pods_of(SINGLE, "s0"), stored(LONG_ONE, replicas=1)]
    assert done(step(LONG, *world, *pods_of(LONG_ONE, "s1", ready_for=0.0), before=[TWO], pools=full())) == []
    assert done(step(LONG, *world, *pods_of(LONG_ONE, "s1", ready_for=60.0), before=[TWO], pools=full())) == ["drain 0"]


def test_r23_a_new_pod_that_no_node_takes_makes_room_but_only_after_the_scheduler_had_its_time() -> None:
    pools = full()
    world = [stored(SINGLE, replicas=1), *pods_of(SINGLE, "s0"), stored(LONG_ONE, replicas=1)]
    assert done(step(LONG, *world, *pods_of(LONG_ONE, "", age=5.0), before=[TWO], pools=pools)) == []
    assert done(step(LONG, *world, *pods_of(LONG_ONE, "", age=60.0), before=[TWO], pools=pools)) == ["drain 0"]


def test_a_pod_that_kueue_holds_back_makes_nobody_give_way() -> None:
    gated = pods_of(LONG_ONE, "", age=10_000.0, gates=("kueue.x-k8s.io/admission",))
    world = [stored(SINGLE, replicas=1), *pods_of(SINGLE, "s0"), stored(LONG_ONE, replicas=1)]
    assert done(step(LONG, *world, *gated, before=[TWO], pools=full())) == []


def test_pods_that_are_held_back_take_none_of_the_pace() -> None:
    queued, other = demand_object("queued"), demand_object("other")
    many = plan(
        planned(replicas("small", count=3, demand="queued"), demand="queued"),
        planned(replicas("big", count=3, demand="other"), demand="other"),
    )
    waits = deployments(many, queued, other, *POOLS)[0]
    gated = pods_of(waits, "", "", "", gates=("kueue.x-k8s.io/admission",))
    world = [fleet_object(pace={"maxMoves": 3}), *POOLS, queued, other, stored(waits), *gated, stored_plan(many)]
    desired, _ = desired_objects(seen(*world), many, ROUTER)
    assert "create Deployment x3" in done(next_step(seen(*world), desired, NOW))


@pytest.mark.parametrize(
    "how", [{"waiting": "ImagePullBackOff"}, {"restarts": 3}, {"waiting": "CreateContainerConfigError"}]
)
def test_replicas_that_fail_hold_up_nobody_elses(how: Any) -> None:
    assert "create Deployment x3" in beside_broken(lambda intent: pods_of(intent, "s0", "s1", "s2", ready=False, **how))


@pytest.mark.parametrize(
    ("condition", "held_up"),
    [
        ({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}, False),
        ({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}, False),
        ({"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}, True),
    ],
)
def test_replicas_that_kubernetes_has_given_up_hold_up_nobody_elses(condition: Raw, *, held_up: bool) -> None:
    found = beside_broken(lambda _: [], status={"conditions": [condition]})
    assert ("create Deployment x3" not in found) is held_up


def test_no_more_replicas_are_made_of_a_demand_whose_replicas_fail() -> None:
    failing = beside_broken(lambda intent: pods_of(intent, "s0", "s1", "s2", ready=False, restarts=1), wanted=4)
    assert not [action for action in failing if action.startswith("change Deployment")]
    serving = beside_broken(lambda intent: pods_of(intent, "s0", "s1", "s2"), wanted=4)
    assert "change Deployment x4" in serving


@pytest.mark.parametrize("waiting", ["", "ContainerCreating", "PodInitializing"])
def test_replicas_that_start_take_their_part_of_the_pace(waiting: str) -> None:
    found = beside_broken(lambda intent: pods_of(intent, "s0", "s1", "s2", ready=False, waiting=waiting))
    assert "create Deployment x3" not in found


def test_replicas_of_a_demand_at_fault_or_of_another_fleet_take_none_of_the_pace() -> None:
    found = beside_broken(lambda intent: pods_of(intent, "s0", "s1", "s2", ready=False), spec={"fleet": "gold"})
    assert "create Deployment x3" in found


def beside_broken(
    pods: Callable[[ObjectLike], list[Raw]], *, spec: Raw | None = None, status: Raw | None = None, wanted: int = 3
) -> list[str]:
    """What is done for a demand beside another whose three replicas, as many as may start, do not serve."""
    broken, other = demand_object("broken"), demand_object("other")
    many = plan(
        planned(replicas("small", count=wanted, demand="broken"), demand="broken"),
        planned(replicas("big", count=3, demand="other"), demand="other"),
    )
    intent = deployments(many, broken, other, *POOLS)[0]
    live = stored(intent, replicas=3) | ({"status": status} if status else {})
    changed = broken | {"spec": broken["spec"] | (spec or {})}
    world = [fleet_object(pace={"maxMoves": 3}), *POOLS, *NODES, changed, other, live, *pods(intent), stored_plan(many)]
    desired, _ = desired_objects(seen(*world), many, ROUTER)
    return done(next_step(seen(*world), desired, NOW))


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


def test_an_owned_node_that_goes_holds_none_of_the_room_for_its_replacement() -> None:
    pools = full("Fixed")
    (owned,) = deployments(TWO, DEMAND, *pools)
    result = step(TWO, GOING, stored(owned), *pods_of(owned, "s0", "going"), pools=pools)
    assert done(result) == ["change Deployment x3"]


def test_r24_pods_of_a_demand_with_a_fault_do_not_count_twice() -> None:
    code = plan(planned(replicas("small", demand="code"), demand="code"))
    (bad,) = deployments(code, demand_object("code"), *POOLS)
    fault = Fault(reason=Reason.IMPOSSIBLE_OBJECTIVES, message="")
    world = [DEMAND, demand_object("code"), stored(bad), *pods_of(bad, "s3")]
    result = step(TWO, *world, pools=[pool_object("small", 3), POOLS[1]], faults={key("code"): fault}, before=[code])
    assert done(result) == ["create Deployment x2"]


def test_r4_a_drain_that_makes_room_is_not_taken_back_where_some_of_its_deployment_stay() -> None:
    """The plan keeps one replica of the old strategy: what drains beside it is not a replica that starts."""
    target = one(replicas("small"), replicas("small", count=2, sequences=128))
    pools = [pool_object("small", 3), pool_object("big", 2)]
    pods = pods_of(SINGLE, "s0", "s1", "s2")
    fresh = step(target, stored(SINGLE, replicas=3), *pods, before=[TWO], pools=pools)
    assert [item.split()[0] for item in done(fresh)] == ["drain"]

    drained = [*pods_of(SINGLE, "s0", "s1"), *pods_of(SINGLE, "s2", start=2, drained=5.0)]
    again = step(target, stored(SINGLE, replicas=3), *drained, before=[TWO], pools=pools)
    assert done(again) == []
