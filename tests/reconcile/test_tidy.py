"""What is left behind, and what is left alone."""

from atoll.domain.reason import Fault, Reason
from atoll.render import names
from reconcile.steps import (
    B0,
    DEMAND,
    PAIR,
    S0,
    S1,
    SINGLE,
    TWO,
    companions,
    done,
    one,
    step,
)
from reconcile.worlds import (
    NAMESPACE,
    key,
    meant,
    plan,
    pod_object,
    pods_of,
    pool_object,
    replicas,
    stored,
)


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


def test_a_claim_template_stays_while_pods_may_be_made_of_it() -> None:
    pools = [pool_object("small", max_nodes=8, device_class="gpu.nvidia.com"), pool_object("big", max_nodes=8)]
    wanted = meant(TWO, DEMAND, *pools)
    (template,) = [obj for obj in wanted.companions if obj["kind"] == "ResourceClaimTemplate"]
    (old,) = [item.intent for item in wanted.deployments.values()]
    world = [stored(template), stored(SINGLE), *pods_of(SINGLE, "s0", "s1")]

    assert template["metadata"]["ownerReferences"][0]["name"] == "chat"
    assert "delete ResourceClaimTemplate" not in done(step(TWO, *world, stored(old, replicas=0)))
    assert done(step(TWO, *world)) == ["delete ResourceClaimTemplate"]
    assert done(step(TWO, stored(old), *pods_of(old, "s0", "s1", gpus=0), pools=pools)) == []


def test_a_demand_that_no_plan_can_serve_keeps_what_it_has() -> None:
    fault = Fault(reason=Reason.IMPOSSIBLE_OBJECTIVES, message="")
    old = [stored(obj) for obj in companions(TWO)]
    result = step(plan(), *old, stored(SINGLE), *pods_of(SINGLE, "s0", "s1"), faults={key(): fault}, before=[TWO])
    assert [line for line in done(result) if "ConfigMap" not in line] == []
