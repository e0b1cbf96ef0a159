"""What is no reason to move: pods that run keep their time to start, and are given annotations where they are."""

from dataclasses import replace
from typing import Any

import pytest

from atoll.domain.objects import Apply
from atoll.domain.plan import PlannedReplicas
from atoll.domain.snapshot import Snapshot
from atoll.domain.startup import NodeBandwidth, StartPolicy
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.difference import differs
from atoll.reconcile.wanted import WantedDeployment
from atoll.render import names
from atoll.render.deployment import single_stage_deployment
from atoll.render.standing import Standing, start_budget_seconds
from reconcile.steps import B0, DEMAND, FLEET, POOLS, S0, S1, TWO, done, one, step
from reconcile.steps import PAIR as PAIRED
from reconcile.worlds import ROUTER, demand_object, key, pods_of, replicas, seen, stored

GB = 1e9
STARTS = StartPolicy(image_seconds=100.0, engine_seconds=200.0, store_bytes_per_second=10 * GB)
NODE = NodeBandwidth(nic=4 * GB, disk=2 * GB)
SMALL, PAIR = (
    replace(item, phases=STARTS.phases(60 * GB, GB)) for item in (replicas("small"), replicas("small", "big"))
)
Wanted = list[WantedDeployment]


def under(
    item: PlannedReplicas, *live: Any, demand: Any = DEMAND, most: int = 4, start: StartPolicy = STARTS
) -> Wanted:
    """The Deployments that a plan of such replicas means beside what runs, by the Fleet's pace and loading."""
    found = seen(FLEET, demand, *POOLS, *live)
    snapshot: Snapshot = replace(
        found,
        pools={name: replace(pool, bandwidth=NODE) for name, pool in found.pools.items()},
        fleet=replace(found.fleet, max_moves=most, start=start),
    )
    desired, faults = desired_objects(snapshot, one(item), ROUTER)
    assert not faults
    return list(desired.deployments.values())


def named(wanted: Wanted) -> list[str]:
    return [item.intent["metadata"]["name"] for item in wanted]


def begun(wanted: Wanted) -> list[Any]:
    return [stored(item.intent) for item in wanted]


def budget(wanted: Wanted) -> int:
    (container,) = wanted[0].intent["spec"]["template"]["spec"]["containers"]
    return int(container["startupProbe"]["failureThreshold"]) * 10


@pytest.mark.parametrize("item", [pytest.param(SMALL, id="one stage"), pytest.param(PAIR, id="two stages")])
@pytest.mark.parametrize(("before", "after"), [(1, 50), (50, 1)])
def test_an_edit_of_the_pace_moves_nothing_that_runs(item: PlannedReplicas, before: int, after: int) -> None:
    slow = replace(STARTS, store_bytes_per_second=GB)
    first = under(item, most=before, start=slow)
    assert named(under(item, most=after, start=slow)) != named(first)
    again = under(item, *begun(first), most=after, start=slow)
    assert named(again) == named(first)
    assert not any(differs(new.intent, old.intent) for new, old in zip(again, first, strict=True))


@pytest.mark.parametrize("item", [pytest.param(SMALL, id="one stage"), pytest.param(PAIR, id="two stages")])
def test_an_edit_of_loading_moves_what_could_not_start_again_alone(item: PlannedReplicas) -> None:
    first = under(item)
    longer = replace(STARTS, engine_seconds=budget(first) - 200.0)
    assert budget(under(item, start=longer)) > budget(first)
    assert named(under(item, *begun(first), start=longer)) == named(first)
    too_long = replace(STARTS, engine_seconds=budget(first) + 100.0)
    assert named(under(item, *begun(first), start=too_long)) == named(under(item, start=too_long)) != named(first)


def test_what_is_another_pod_is_moved_and_made_as_pods_are_made_today() -> None:
    first = under(SMALL, most=1)
    other = demand_object(image="vllm/vllm:2")
    assert named(under(SMALL, *begun(first), demand=other, most=50)) == named(under(SMALL, demand=other, most=50))


def test_where_both_run_replicas_go_to_the_deployment_that_would_be_made_today() -> None:
    slow = replace(STARTS, store_bytes_per_second=GB)
    old, new = under(SMALL, most=1, start=slow), under(SMALL, most=50, start=slow)
    assert named(under(SMALL, *begun(old), *begun(new), most=50, start=slow)) == named(new)


def unprotected() -> Any:
    """A Deployment as an operator made it that knew nothing of the cluster autoscaler."""
    world = seen(FLEET, DEMAND, *POOLS)
    item = replicas("small", count=2)
    made = single_stage_deployment(
        demand=world.demands[key()],
        strategy=item.group.strategy,
        offering=item.group.site.offerings[0],
        pools=world.pools,
        count=2,
        startup_seconds=item.startup_seconds,
        fleet=world.fleet,
        standing=Standing(
            start_budget=start_budget_seconds(item.startup_seconds), protection=frozenset({names.DO_NOT_DISRUPT})
        ),
    )
    assert names.SAFE_TO_EVICT not in made["spec"]["template"]["metadata"]["annotations"]
    return stored(made)


def test_an_annotation_that_pods_can_be_given_moves_none_of_them() -> None:
    live = unprotected()
    result = step(TWO, live, *pods_of(live, "s0", "s1"))
    assert done(result) == ["route 0", "route 1"]
    for index, action in enumerate(result.actions):
        assert isinstance(action, Apply)
        assert action.intent["metadata"]["annotations"] == dict(names.PROTECTION)
        assert action.live_uid == f"uid-{live['metadata']['name']}-{index}"


def test_a_follower_is_given_them_without_a_label() -> None:
    pods = [*pods_of(stored(S0), "s0"), *pods_of(stored(S1), "b0")]
    for pod in pods:
        del pod["metadata"]["annotations"][names.SAFE_TO_EVICT]
    actions = step(PAIRED, stored(S0), stored(S1), *pods, B0).actions
    intents = [action.intent["metadata"] for action in actions if isinstance(action, Apply)]
    assert [intent.get("labels") for intent in intents if "annotations" in intent] == [{names.ROUTABLE: "true"}, None]


def test_pods_that_have_them_are_left_alone_whatever_they_say() -> None:
    live = unprotected()
    pods = pods_of(live, "s0", "s1")
    for pod in pods:
        pod["metadata"]["annotations"] |= {names.SAFE_TO_EVICT: "true"}
    assert done(step(TWO, live, *pods)) == []


def test_a_pod_that_drains_in_this_step_is_written_once_and_keeps_them() -> None:
    live = unprotected()
    result = step(TWO, {**live, "spec": {**live["spec"], "replicas": 3}}, *pods_of(live, "s0", "s1", "s2"))
    assert sorted(done(result)) == ["drain 0", "route 1", "route 2"]
    (drain,) = (a.intent for a in result.actions if a.intent["metadata"]["labels"][names.ROUTABLE] == "false")
    assert names.PROTECTION.items() <= drain["metadata"]["annotations"].items()
