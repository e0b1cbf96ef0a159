"""Which objects a plan means."""

from dataclasses import replace
from typing import Any

import pytest

from atoll.domain.objects import ObjectLike, reference
from atoll.domain.reason import Fault, Reason
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.problem import without_faulty
from atoll.reconcile.routing import routed_demands
from atoll.render import names
from atoll.render.router.pods import RouterPods
from atoll.render.router.routing import RouterSettings
from reconcile.worlds import (
    ROUTER,
    demand_object,
    deployments,
    key,
    meant,
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

WORLD = [demand_object(), pool_object("small"), pool_object("big")]
NODES = [node_object("s0"), node_object("b0", "big"), node_object("going", "big", cordoned=True)]


def owned(objects: tuple[ObjectLike, ...], kind: str) -> list[str]:
    """Names of the companions of a kind that belong to a demand."""
    return [
        obj["metadata"]["name"] for obj in objects if obj["kind"] == kind and obj["metadata"].get("ownerReferences")
    ]


def test_a_plan_means_deployments_services_and_budgets() -> None:
    found = meant(plan(planned(replicas("small", count=3), replicas("small", "big", count=2))), *WORLD)
    assert sorted((item.count, item.replica, item.stage) for item in found.deployments.values()) == [
        (1, 0, 0),
        (1, 0, 1),
        (1, 1, 0),
        (1, 1, 1),
        (3, -1, 0),
    ]
    assert len(owned(found.companions, "Service")) == 2 + 2  # one per strategy, one per multi-stage replica
    assert sorted(owned(found.companions, "PodDisruptionBudget")) == ["chat-pipeline", "chat-single"]
    assert len({reference(obj) for obj in found.companions}) == len(found.companions)


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(planned(replicas("small", demand="gone"), demand="gone"), id="a demand that is gone"),
        pytest.param(replace(planned(replicas("small")), uid="uid-before"), id="a demand that was made anew"),
        pytest.param(planned(), id="a demand at zero"),
    ],
)
def test_nothing_is_meant_for(item: Any) -> None:
    found = meant(plan(item), *WORLD)
    assert not found.deployments
    assert not owned(found.companions, "Service")


def test_r24_a_demand_that_cannot_be_rendered_is_named_and_the_others_go_on() -> None:
    world = seen(demand_object("chat"), demand_object("code"), pool_object("small"))
    both = plan(planned(replicas("big"), demand="chat"), planned(replicas("small", demand="code"), demand="code"))
    found, faults = desired_objects(world, both, ROUTER)
    assert [(str(name), fault.reason) for name, fault in faults.items()] == [("team-a/chat", Reason.NO_POOL_FITS)]
    assert {str(item.demand) for item in found.deployments.values()} == {"team-a/code"}


# Indices of multi-stage replicas -------------------------------------------------------------------------------------

PAIR = replicas("small", "big", count=2)
STAGES = deployments(plan(planned(PAIR)), *WORLD)  # 0-s0, 0-s1, 1-s0, 1-s1


def indices(count: int, *objects: Any, image: str = "vllm/vllm:1") -> list[int]:
    group = replace(PAIR, group=replace(PAIR.group, count=count))
    found = meant(plan(planned(group)), demand_object(image=image), *WORLD[1:], *NODES, *map(stored, STAGES), *objects)
    return sorted({item.replica for item in found.deployments.values()})


FIRST = [*pods_of(STAGES[0], "s0"), *pods_of(STAGES[1], "b0")]
SECOND = [*pods_of(STAGES[2], "s0"), *pods_of(STAGES[3], "b0")]


@pytest.mark.parametrize(
    ("count", "pods", "expected"),
    [
        pytest.param(2, [*FIRST, *SECOND], [0, 1], id="those that run keep theirs"),
        pytest.param(3, [*FIRST, *SECOND], [0, 1, 2], id="a third one gets the next"),
        pytest.param(1, [*FIRST, *SECOND], [0], id="of two that serve the first stays"),
        pytest.param(1, [*pods_of(STAGES[0], "", ready=False), *SECOND], [1], id="the one that serves stays"),
        pytest.param(1, [*pods_of(STAGES[0], "s0", drained=1.0), *SECOND], [1], id="not the one that drains"),
        pytest.param(
            2, [*pods_of(STAGES[0], "s0"), *pods_of(STAGES[1], "gone"), *SECOND], [1, 2], id="a stage is gone"
        ),
        pytest.param(
            2, [*pods_of(STAGES[0], "s0"), *pods_of(STAGES[1], "going"), *SECOND], [1, 2], id="a stage is going"
        ),
        pytest.param(2, [], [0, 1], id="those that start are decided"),
    ],
)
def test_replicas_keep_their_index_and_lost_ones_are_replaced(count: int, pods: list[Any], expected: list[int]) -> None:
    assert indices(count, *pods) == expected


def test_another_template_counts_its_replicas_itself() -> None:
    lost = [*pods_of(STAGES[0], "s0"), *pods_of(STAGES[1], "gone")]
    assert indices(2, *lost, *SECOND, image="vllm/vllm:2") == [0, 1]


# -- Routes --


def routes(item: Any, *objects: Any) -> dict[str, tuple[tuple[str, ...], int]]:
    """Served names and number of endpoints by demand."""
    return {str(m.key): (m.served_names, len(m.endpoints)) for m in routed_demands(seen(*objects), item)}


def test_a_strategy_is_routed_while_it_is_planned_or_runs() -> None:
    old = deployments(plan(planned(replicas("small"))), *WORLD)[0]
    new = plan(planned(replicas("big")))
    assert routes(new, *WORLD) == {"team-a/chat": (("chat",), 1)}
    assert routes(new, *WORLD, stored(old)) == {"team-a/chat": (("chat",), 2)}


def test_a_demand_without_replicas_has_a_route_that_answers_503() -> None:
    assert routes(None, *WORLD) == {"team-a/chat": (("chat",), 0)}


def test_c5_a_demand_that_became_invalid_keeps_its_route() -> None:
    old = deployments(plan(planned(replicas("small"))), *WORLD)[0]
    broken = demand_object()
    broken["spec"]["objectives"]["ttft"] = "-1s"
    assert routes(None, broken, stored(old)) == {"team-a/chat": (("chat",), 1)}


def test_c5_a_demand_that_no_plan_can_serve_any_more_keeps_its_route() -> None:
    old = deployments(plan(planned(replicas("small"))), *WORLD)[0]
    fault = Fault(reason=Reason.NO_POOL_FITS, message="no pool fits")
    world = without_faulty(seen(*WORLD, stored(old)), {key(): fault})
    assert [(m.served_names, len(m.endpoints)) for m in routed_demands(world, None)] == [(("chat",), 1)]


def test_demands_of_other_fleets_are_not_routed() -> None:
    old = deployments(plan(planned(replicas("small"))), *WORLD)[0]
    other = demand_object()
    other["spec"]["fleet"] = "gold"
    assert routes(None, other, stored(old)) == {}


def test_weights_follow_what_a_replica_of_a_strategy_delivers_r14() -> None:
    item = plan(planned(replicas("small", rate=2.5), replicas("big", rate=10.0)))
    (model,) = routed_demands(seen(*WORLD, stored_plan(item)), item)
    assert sorted(endpoint.weight for endpoint in model.endpoints) == [2500, 10000]


def test_the_selector_of_a_deployment_finds_its_own_pods_only() -> None:
    intents = deployments(plan(planned(replicas("small"), replicas("big"), PAIR)), *WORLD)
    pods = [pod for intent in intents for pod in pods_of(intent, "s0")]
    for intent in intents:
        selector = intent["spec"]["selector"]["matchLabels"].items()
        mine = [pod for pod in pods if selector <= pod["metadata"]["labels"].items()]
        assert [pod["metadata"]["name"] for pod in mine] == [f"{intent['metadata']['name']}-0"]
        assert names.ROUTABLE not in dict(selector)


def test_the_number_of_routers_is_read_off_the_live_ones_where_an_autoscaler_sets_it() -> None:
    autoscaled = RouterSettings(pods=RouterPods(autoscaled=True))

    def number(*live: Any, router: RouterSettings) -> int:
        desired, _ = desired_objects(seen(*WORLD, *live), None, router)
        (found,) = [o["spec"]["replicas"] for o in desired.companions if o["kind"] == "Deployment"]
        return int(found)

    before, _ = desired_objects(seen(*WORLD), None, ROUTER)
    (declared,) = [item for item in before.companions if item["kind"] == "Deployment"]
    live = stored(declared, replicas=5)

    assert number(router=autoscaled) == 2
    assert number(live, router=autoscaled) == 5
    assert number(live, router=ROUTER) == 2
