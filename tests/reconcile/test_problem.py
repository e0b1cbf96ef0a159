"""Why to solve again, and what faulty demands keep."""

from typing import Any

import pytest

from atoll.domain.objects import Reference
from atoll.domain.reason import Fault, Reason
from atoll.reconcile.problem import inputs_of, trigger, widths, without_faulty
from atoll.reconcile.supply import supplies
from reconcile.worlds import (
    NOW,
    ago,
    demand_object,
    deployments,
    fleet_object,
    key,
    node_object,
    offering,
    plan,
    planned,
    pod_object,
    pods_of,
    pool_object,
    profile_object,
    replicas,
    seen,
    stored,
)

INTENT = deployments(plan(planned(replicas("small"))), demand_object(), pool_object())[0]
BASE = [fleet_object(), demand_object(), pool_object(), node_object("n0"), stored(INTENT), *pods_of(INTENT, "n0")]


def why(*changed: Any) -> str:
    """The trigger when these objects replace those of the same name, or come on top."""
    names = {(obj["kind"], obj["metadata"]["name"]) for obj in changed}
    kept = [obj for obj in BASE if (obj["kind"], obj["metadata"]["name"]) not in names]
    return trigger(inputs_of(seen(*BASE), NOW), inputs_of(seen(*kept, *changed), NOW))


def masked_pool() -> Any:
    item = {"zone": offering().zone, "capacityType": "on-demand", "maskedUntil": ago(-60)}
    return pool_object() | {"status": {"offerings": [item]}}


def edited_pool(**spec: Any) -> Any:
    return pool_object() | {"spec": pool_object()["spec"] | spec}


def labelled(obj: Any) -> Any:
    return {**obj, "metadata": {**obj["metadata"], "labels": {"a": "b"}, "generation": 9}}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        pytest.param([], "", id="nothing"),
        pytest.param([labelled(demand_object())], "", id="labels"),
        pytest.param([demand_object(image="vllm/vllm:2")], "", id="an image costs nothing"),
        pytest.param([demand_object(rate=11.0)], "changed: demands", id="rate"),
        pytest.param([profile_object()], "changed: profiles", id="a profile"),
        pytest.param([demand_object(priority=5)], "changed: demands", id="priority"),
        pytest.param([demand_object("code")], "changed: demands", id="another demand"),
        pytest.param([pool_object(price=2.0)], "changed: pools", id="price"),
        pytest.param([pool_object(max_nodes=9)], "changed: pools", id="limit"),
        pytest.param([edited_pool(gpu={"kind": "L40S-48GB", "count": 2})], "changed: pools", id="GPU kind"),
        pytest.param([edited_pool(region="elsewhere")], "changed: pools", id="region"),
        pytest.param([edited_pool(startup="660s")], "changed: pools", id="start-up time"),
        pytest.param([masked_pool()], "changed: pools", id="R2: mask"),
        pytest.param([pod_object("x", node="n0")], "changed: pools", id="GPUs that others took"),
        pytest.param([pod_object("x", gpus=0, node="n0")], "", id="a pod of others without GPUs"),
        pytest.param([fleet_object(mode="Recommend")], "changed: policy", id="mode"),
        pytest.param([fleet_object(solve={"explain": False})], "changed: policy", id="explanations"),
        pytest.param([fleet_object(pendingTimeout="9m")], "", id="a time-out is no input of the solver"),
        pytest.param([node_object("n0", cordoned=True)], "changed: losses", id="a notice on a node with our pod"),
        pytest.param([node_object("n1", cordoned=True)], "", id="a notice elsewhere"),
        pytest.param(pods_of(INTENT, "n0", ready=False), "", id="R1: a pod that is not Ready for a while"),
    ],
)
def test_trigger(changed: list[Any], reason: str) -> None:
    assert why(*changed) == reason


def test_the_first_look_solves() -> None:
    assert trigger(None, inputs_of(seen(), NOW)) == "first look"


def test_a_kind_of_which_nothing_can_be_had_is_still_a_kind() -> None:
    world = seen(pool_object("small", max_nodes=0), pool_object("big"))
    assert widths(supplies(world, NOW)) == {"L4-24GB": 2, "H100-80GB": 4}


def test_r24_a_demand_that_nothing_can_serve_is_left_out_and_says_why() -> None:
    fault = Fault(reason=Reason.IMPOSSIBLE_OBJECTIVES, message="5 ms cannot be met")
    world = without_faulty(seen(demand_object("chat"), demand_object("code")), {key("chat"): fault, key("x"): fault})
    assert list(world.demands) == [key("code")]
    assert world.faults == {Reference(kind="ModelDemand", namespace="team-a", name="chat"): (fault,)}
