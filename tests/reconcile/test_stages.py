"""Steps of replicas of several stages."""

from typing import Any

import pytest

from atoll.domain.objects import Delete, Reference
from atoll.reconcile.transition import Step
from reconcile.steps import (
    B0,
    PAIR,
    POOLS,
    S0,
    S1,
    SINGLE,
    TWO,
    done,
    one,
    only,
    step,
)
from reconcile.worlds import (
    demand_object,
    deployments,
    key,
    node_object,
    pods_of,
    pool_object,
    replicas,
    stored,
)


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


@pytest.mark.parametrize(
    ("tail", "expected"), [({"ready": True}, ["drain 0", "drain 1"]), ({"ready": False}, []), (None, [])]
)
def test_r3_a_leader_without_its_followers_is_no_successor(tail: dict[str, bool] | None, expected: list[str]) -> None:
    old = [stored(SINGLE), *pods_of(SINGLE, "s0", "s1")]
    followers = pods_of(S1, "b0", **tail) if tail else []
    new = [stored(S0), *pods_of(S0, "s2"), stored(S1), *followers]
    assert done(step(PAIR, B0, *old, *new, before=[TWO])) == expected


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


def test_what_was_deleted_before_is_not_deleted_again_while_a_finalizer_keeps_it() -> None:
    kept = pods_of(S1, "gone", deleting=True, grace=0)
    siblings = pods_of(S0, "s0", deleting=True)
    assert done(step(PAIR, B0, stored(S0), stored(S1), *siblings, *kept)) == []
    with_grace = pods_of(S1, "gone", deleting=True, grace=30)
    result = step(PAIR, B0, stored(S0), stored(S1), *siblings, *with_grace)
    assert [action.force for action in result.actions if isinstance(action, Delete)] == [True]


def test_what_is_deleted_for_a_node_that_is_gone_names_the_node_so_that_a_late_watch_kills_nothing() -> None:
    node = Reference(kind="Node", name="gone")
    result = step(PAIR, B0, stored(S0), stored(S1), *pods_of(S0, "s0"), *pods_of(S1, "gone"))
    assert {action.absent for action in result.actions if isinstance(action, Delete)} == {node}
    restarted = pods_of(S1, "b0", restarts=1)
    result = step(PAIR, B0, stored(S0), stored(S1), *pods_of(S0, "s0"), *restarted)
    assert {action.absent for action in result.actions if isinstance(action, Delete)} == {None}


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
