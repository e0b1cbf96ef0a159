"""One step: state in, actions out."""

from typing import Any

import pytest

from atoll.domain.objects import Reference
from atoll.reconcile.drain import DRAINING_SINCE
from atoll.render import names
from reconcile.steps import (
    B0,
    BIG,
    BIG_ONE,
    GOING,
    POOLS,
    SINGLE,
    TWO,
    companions,
    done,
    one,
    only,
    step,
)
from reconcile.worlds import (
    NAMESPACE,
    demand_object,
    pods_of,
    pool_object,
    replicas,
    stored,
)


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
            [stored(SINGLE, replicas=3), *pods_of(SINGLE, "s0", "s1"), *pods_of(SINGLE, "s2", start=2, drained=-600.0)],
            ["drain 2"],
            id="a drain that began in the future, by another operator's clock, begins anew",
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
            [
                stored(SINGLE, replicas=3),
                *pods_of(SINGLE, "s0", "s1", "s2"),
                *pods_of(SINGLE, "s3", start=3, drained=20.0),
            ],
            ["drain 0"],
            id="R11: one that is being stopped already does not stand for the next, which drains too",
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
        pytest.param(
            [
                GOING,
                stored(SINGLE, replicas=3),
                *pods_of(SINGLE, "s0", "going"),
                *pods_of(SINGLE, "s1", start=2, ready_for=2.0),
            ],
            [],
            id="nor before routers had the time to find it",
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
        **names.PROTECTION,
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
            [stored(BIG_ONE), *pods_of(BIG_ONE, "b0", ready_for=15.0), *pods_of(SINGLE, "s0", "s1")],
            True,
            [],
            id="R3: not before routers had the time to find the new one's address",
        ),
        pytest.param(
            [stored(BIG_ONE), *pods_of(BIG_ONE, "b0", ready_for=16.0), *pods_of(SINGLE, "s0", "s1")],
            True,
            ["drain 0", "drain 1"],
            id="R3: a second later than the drain time, since Kubernetes leaves parts of seconds out",
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
