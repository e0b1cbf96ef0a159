"""Gateways of the cluster carry the requests: weights follow what is Ready, and nothing drains before they know."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from atoll.domain.fleet import Acknowledgement
from atoll.domain.objects import ApplyStatus, Delete, Reference
from atoll.domain.planning import Planning
from atoll.domain.reason import Fault, Reason
from atoll.domain.snapshot import ObservedPod, Snapshot
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.gateway import unacknowledged
from atoll.reconcile.plans import plan_in_force
from atoll.reconcile.service import service_of
from atoll.reconcile.status.view import View
from atoll.reconcile.status.write import status_writes
from atoll.reconcile.transition import Step, next_step
from atoll.render.router.configuration import router_labels
from reconcile.steps import done
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

PARENT = {"name": "public", "namespace": "gateways"}
OLD = replicas("small", sequences=32, rate=10.0)
NEW = replicas("small", count=2, rate=5.0)
BEFORE, AFTER = plan(planned(OLD)), plan(planned(NEW), planned(demand="other", rate=0.0))
DEMANDS = [demand_object(), demand_object("other", rate=0.0)]
POOLS = [pool_object("small", max_nodes=8)]
(OLD_ONE,) = deployments(BEFORE, *DEMANDS, *POOLS)
(NEW_ONE,) = deployments(AFTER, *DEMANDS, *POOLS)
BOTH_READY = [stored(OLD_ONE), *pods_of(OLD_ONE, "s0"), stored(NEW_ONE), *pods_of(NEW_ONE, "s1", "s2")]


def world(*objects: Any, target: str = "GatewayAPI") -> Snapshot:
    """A fleet on its way from one strategy to another, with Gateways for a router."""
    fleet = fleet_object(router={"target": target, "gateway": {"parents": [PARENT]}})
    nodes = [node_object(f"s{index}") for index in range(4)]
    return seen(fleet, *DEMANDS, *POOLS, *nodes, stored_plan(BEFORE), stored_plan(AFTER), *objects)


def routes_of(snapshot: Snapshot) -> dict[str, Raw]:
    desired, _ = desired_objects(snapshot, AFTER, ROUTER)
    return {route["metadata"]["name"]: dict(route) for route in desired.routes}


def taken(route: Raw, *, generation: int = 3, observed: int = 3, **states: str) -> Raw:
    """A route as the API server holds it, with what the Gateway says of it."""
    conditions = [
        {
            "type": kind,
            "status": states.get(kind, "True"),
            "reason": "R",
            "message": "M",
            "observedGeneration": observed,
        }
        for kind in ("Accepted", "ResolvedRefs")
    ]
    found = stored(route)
    found["metadata"]["generation"] = generation
    return {**found, "status": {"parents": [{"parentRef": {"group": "g", **PARENT}, "conditions": conditions}]}}


def known(*objects: Any, **said: Mapping[str, Any]) -> Snapshot:
    """The world with routes as wanted, each taken; ``said`` differs by demand."""
    routes = routes_of(world(*objects))
    return world(*objects, *(taken(route, **said.get(name, {})) for name, route in routes.items()))


def step(snapshot: Snapshot) -> Step:
    """The step, with everything but routes, drains and deletes taken as done."""
    desired, _ = desired_objects(snapshot, AFTER, ROUTER)
    objects = {**snapshot.objects}
    for intent in desired.companions:
        if intent["kind"] != "HTTPRoute":
            one = seen(stored(intent)).objects
            objects = {**one, **objects}
    return next_step(replace(snapshot, objects=objects), desired, NOW)


def said_of(snapshot: Snapshot) -> dict[tuple[str, str], dict[str, Any]]:
    """Conditions that are written, by object and type."""
    planning = Planning(basis="0123456789", solved_at=NOW, decision=AFTER)
    current = plan_in_force(snapshot.plans, planning)
    desired, _ = desired_objects(snapshot, current, ROUTER)
    service = service_of(snapshot, current, desired)
    view = View(snapshot=snapshot, planning=planning, plan=current, step=step(snapshot), service=service, now=NOW)
    return {
        (action.intent["metadata"]["name"], condition["type"]): condition
        for action in status_writes(view)
        if isinstance(action, ApplyStatus)
        for condition in action.intent["status"].get("conditions", ())
    }


def test_r14_weights_follow_ready_replicas_times_their_rate() -> None:
    weights = {
        ref["name"]: ref["weight"] for ref in routes_of(world(*BOTH_READY))["chat"]["spec"]["rules"][0]["backendRefs"]
    }
    assert sorted(weights.values()) == [10_000, 10_000]  # one of 10/s, two of 5/s

    starting = [stored(OLD_ONE), *pods_of(OLD_ONE, "s0"), stored(NEW_ONE), *pods_of(NEW_ONE, "s1", "")]
    assert sorted(_weights(starting)) == [5_000, 10_000]
    draining = [*pods_of(OLD_ONE, "s0", drained=1.0), stored(OLD_ONE), stored(NEW_ONE), *pods_of(NEW_ONE, "s1")]
    assert sorted(_weights(draining)) == [0, 10_000]
    assert _weights([stored(NEW_ONE), *pods_of(NEW_ONE, "")]) == [1]


def _weights(objects: list[Any]) -> list[int]:
    return [ref["weight"] for ref in routes_of(world(*objects))["chat"]["spec"]["rules"][0]["backendRefs"]]


def test_r3_nothing_drains_before_the_gateway_has_taken_the_route() -> None:
    assert done(step(world(*BOTH_READY))) == ["create HTTPRoute", "create HTTPRoute"]
    assert done(step(known(*BOTH_READY, chat={"observed": 2}))) == []
    assert done(step(known(*BOTH_READY, chat={"Accepted": "Unknown"}))) == []
    assert done(step(known(*BOTH_READY))) == ["drain 0"]


def test_r9_a_drained_replica_goes_only_when_the_gateway_knows_its_new_weight() -> None:
    drained = [stored(OLD_ONE), *pods_of(OLD_ONE, "s0", drained=60.0), stored(NEW_ONE), *pods_of(NEW_ONE, "s1", "s2")]

    assert done(step(known(*drained, chat={"observed": 2}))) == []
    assert done(step(known(*drained))) == ["delete Deployment"]


@pytest.mark.parametrize("kind", ["Accepted", "ResolvedRefs"])
def test_r24_a_route_that_the_gateway_refuses_holds_its_own_demand_and_says_why(kind: str) -> None:
    refused = known(*BOTH_READY, chat={kind: "False"})
    conditions = said_of(refused)

    assert done(step(refused)) == []
    assert conditions["chat", "Routed"]["reason"] == "RouteNotAccepted"
    assert "Gateway gateways/public" in conditions["chat", "Routed"]["message"]
    assert "R: M" in conditions["chat", "Routed"]["message"]
    assert conditions["other", "Routed"]["status"] == "True"
    assert conditions["default", "Routed"]["reason"] == "RouteNotAccepted"
    assert conditions["default", "Degraded"]["status"] == "True"

    assert done(step(known(*BOTH_READY, other={kind: "False"}))) == ["drain 0"]


def test_a_gateway_that_says_nothing_is_named() -> None:
    routes = routes_of(world(*BOTH_READY))
    silent = world(*BOTH_READY, *(stored(route) for route in routes.values()))

    faults = unacknowledged(silent, routes.values())

    assert "Gateway gateways/public has said nothing of HTTPRoute team-a/chat" in faults[key()].message


def test_what_another_gateway_says_does_not_count() -> None:
    route = taken(routes_of(world(*BOTH_READY))["chat"])
    route["status"]["parents"][0]["parentRef"]["name"] = "private"

    assert key() in unacknowledged(world(*BOTH_READY, route), [routes_of(world(*BOTH_READY))["chat"]])


def test_without_the_gateway_api_the_fleet_grows_drains_nothing_and_says_so() -> None:
    fault = Fault(reason=Reason.GATEWAY_API_MISSING, message="install it")
    missing = replace(world(stored(OLD_ONE), *pods_of(OLD_ONE, "s0")), gateway_fault=fault)
    conditions = said_of(missing)

    assert done(step(missing)) == ["create Deployment x2"]
    assert done(step(replace(world(*BOTH_READY), gateway_fault=fault))) == []
    for name in ("chat", "default"):
        assert conditions[name, "Routed"]["reason"] == "GatewayAPIMissing"
        assert conditions[name, "Routed"]["message"] == "install it"
    assert conditions["default", "Degraded"]["status"] == "True"


def test_r10_a_backend_that_somebody_added_is_taken_out_again() -> None:
    route = taken(routes_of(world(*BOTH_READY))["chat"])
    rule = route["spec"]["rules"][0]
    rule = {**rule, "backendRefs": [*rule["backendRefs"], {"name": "mine", "port": 80, "weight": 1}]}
    route["spec"] = {**route["spec"], "rules": [rule]}
    other = taken(routes_of(world(*BOTH_READY))["other"])

    assert done(step(world(*BOTH_READY, route, other))) == ["change HTTPRoute"]


def test_atolls_own_router_goes_once_gateways_know_all_routes() -> None:
    def router(namespace: str) -> Raw:
        metadata = {"name": "atoll-router", "namespace": namespace, "labels": router_labels(), "uid": namespace}
        return stored({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {}})

    other_fleets = router("other-fleet")
    calm = [stored(NEW_ONE), *pods_of(NEW_ONE, "s1", "s2"), router(ROUTER.namespace), other_fleets]

    assert done(step(known(*calm, chat={"observed": 2}))) == []
    (delete,) = step(known(*calm)).actions
    assert isinstance(delete, Delete)
    assert delete.target == Reference(kind="Service", namespace=ROUTER.namespace, name="atoll-router")


def back_to_envoy(*objects: Any, synced: bool = True) -> Snapshot:
    """Everything calm, and routes as they were while Gateways carried the requests."""
    left = [taken(route) for route in routes_of(world()).values()]
    snapshot = world(stored(NEW_ONE), *pods_of(NEW_ONE, "s1", "s2"), *left, *objects, target="Envoy")
    desired, _ = desired_objects(snapshot, AFTER, ROUTER)
    return replace(snapshot, router_versions={"r": desired.router_version if synced else "before"})


def test_routes_go_once_atolls_own_router_knows_all_served_models() -> None:
    assert done(step(back_to_envoy(synced=False))) == []

    deletes = [action for action in step(back_to_envoy()).actions if isinstance(action, Delete)]

    assert [(str(item.target), bool(item.uid and item.resource_version)) for item in deletes] == [
        ("HTTPRoute team-a/chat", True),
        ("HTTPRoute team-a/other", True),
    ]
    assert done(step(world(*BOTH_READY, target="Both"))).count("delete HTTPRoute") == 0


def test_where_nobody_is_asked_routes_go_once_a_router_is_ready() -> None:
    def unasked(*pods: ObservedPod) -> Snapshot:
        found = back_to_envoy(synced=False)
        router = replace(found.fleet.router, acknowledgement=Acknowledgement.NONE)
        return replace(found, fleet=replace(found.fleet, router=router), pods=(*found.pods, *pods))

    one = back_to_envoy().pods[0]
    pod = replace(one, namespace=ROUTER.namespace, name="r", uid="r", labels=router_labels(), ready=True)

    assert "delete HTTPRoute" not in done(step(unasked()))
    assert "delete HTTPRoute" not in done(step(unasked(replace(pod, ready=False))))
    assert done(step(unasked(pod))).count("delete HTTPRoute") == 2


def test_routes_of_others_and_of_other_fleets_stay() -> None:
    labels = dict(routes_of(world())["chat"]["metadata"]["labels"])
    foreign = demand_object("foreign")
    foreign["spec"]["fleet"] = "silver"
    others = []
    for name, own in (("mine", {}), ("foreign", {**labels, "atoll.dev/demand": "foreign"})):
        route = taken(routes_of(world())["chat"])
        route["metadata"] = {**route["metadata"], "name": name, "labels": own}
        others.append(route)

    gone = [
        action.target.name for action in step(back_to_envoy(foreign, *others)).actions if isinstance(action, Delete)
    ]

    assert gone == ["chat", "other"]


def test_a_configuration_that_is_too_large_is_told_and_the_last_one_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atoll.render.router.configuration.SIZE_LIMIT_BYTES", 1000)
    large = world(*BOTH_READY, target="Envoy")
    desired, _ = desired_objects(large, AFTER, ROUTER)
    conditions = said_of(large)

    assert "ConfigMap" not in {intent["kind"] for intent in desired.companions}
    assert done(step(large)) == []
    for name in ("chat", "default"):
        assert conditions[name, "Routed"]["reason"] == "RouterConfigTooLarge"
        assert "serve fewer models" in conditions[name, "Routed"]["message"]


def test_both_need_both_to_know() -> None:
    routes = routes_of(world(*BOTH_READY))
    both = world(*BOTH_READY, *(taken(route) for route in routes.values()), target="Both")
    desired, _ = desired_objects(both, AFTER, ROUTER)

    assert {"HTTPRoute", "ConfigMap"} <= {intent["kind"] for intent in desired.companions}
    assert done(step(both)) == []
    assert done(step(replace(both, router_versions={"r": desired.router_version}))) == ["drain 0"]
