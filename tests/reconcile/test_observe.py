"""Raw objects in, snapshot out."""

import re
from typing import Any

import pytest

from atoll.domain.gpu import CapacityType
from atoll.domain.objects import GPU_NODE_POOL, KINDS, MODEL_DEMAND, NODE, POD, Reference
from atoll.domain.reason import Reason
from atoll.handlers.slim import slim
from atoll.reconcile.observe import observe, observe_pod
from atoll.render import names
from reconcile.worlds import (
    NAMESPACE,
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
    replicas,
    seen,
    stored,
    stored_plan,
    strategy,
)


def test_without_any_object_the_defaults_hold() -> None:
    world = seen()
    assert (world.fleet.name, dict(world.demands), world.pods) == ("default", {}, ())


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        pytest.param({}, offering(), id="all labels"),
        pytest.param({"pool": "other"}, None, id="another pool"),
        pytest.param({"topology.kubernetes.io/zone": "us-east-2b"}, None, id="a zone that is not offered"),
        pytest.param({"topology.kubernetes.io/region": "eu-west-1"}, None, id="another region"),
        pytest.param({"karpenter.sh/capacity-type": "spot"}, None, id="terms that are not offered"),
        pytest.param({"karpenter.sh/capacity-type": None}, offering(), id="terms unknown"),
        pytest.param({"node.kubernetes.io/instance-type": "m5.large"}, None, id="another instance type"),
    ],
)
def test_a_node_belongs_to_the_offering_that_its_labels_name(labels: dict[str, Any], found: object) -> None:
    node = node_object("n1")
    merged = {**node["metadata"]["labels"], **labels}
    node["metadata"]["labels"] = {name: value for name, value in merged.items() if value is not None}
    assert seen(pool_object(), node).nodes["n1"].offering == found


@pytest.mark.parametrize(
    ("label", "terms"), [("SPOT", CapacityType.SPOT), ("ON_DEMAND", CapacityType.ON_DEMAND), (None, None)]
)
def test_an_offering_may_say_by_which_labels_its_nodes_are_told(label: str | None, terms: CapacityType | None) -> None:
    key, pool, node = "eks.amazonaws.com/capacityType", pool_object(), node_object("n1")
    of_zone = pool["spec"]["offerings"][0]
    pool["spec"]["offerings"] = [
        {**of_zone, "capacityType": each.value, "nodeSelector": {key: value}}
        for each, value in ((CapacityType.ON_DEMAND, "ON_DEMAND"), (CapacityType.SPOT, "SPOT"))
    ]
    del node["metadata"]["labels"]["karpenter.sh/capacity-type"]
    node["metadata"]["labels"] |= {key: label} if label else {}
    found = seen(pool, node).nodes["n1"].offering
    assert (found.capacity_type if found else None) == terms


@pytest.mark.parametrize(("served", "faults"), [(True, []), (False, [Reason.RESOURCE_CLAIMS_MISSING])])
def test_where_claims_are_not_served_a_pool_that_claims_is_at_fault(*, served: bool, faults: list[Reason]) -> None:
    pools = [pool_object(device_class="gpu.nvidia.com"), pool_object("big")]
    found = observe({GPU_NODE_POOL: pools}, router_versions={}, claims_served=served)
    assert [fault.reason for each in found.faults.values() for fault in each] == faults
    assert len(found.pools) == 2 - len(faults)


def test_owned_nodes_are_known_by_the_selector_alone() -> None:
    node = node_object("n1")
    node["metadata"]["labels"]["node.kubernetes.io/instance-type"] = "bare-metal"
    assert seen(pool_object(provisioning="Fixed"), node).nodes["n1"].offering == offering()


@pytest.mark.parametrize(
    ("change", "notice"),
    [
        ({}, ""),
        ({"spec": {"taints": [{"key": "karpenter.sh/disrupted"}]}}, "karpenter.sh/disrupted"),
        ({"spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler"}]}}, "ToBeDeletedByClusterAutoscaler"),
        (
            {"spec": {"taints": [{"key": "aws-node-termination-handler/spot-itn"}]}},
            "aws-node-termination-handler/spot-itn",
        ),
        (
            {"spec": {"taints": [{"key": "cloud.google.com/impending-node-termination"}]}},
            "cloud.google.com/impending-node-termination",
        ),
        (
            {"spec": {"taints": [{"key": "a"}, {"key": "node.kubernetes.io/out-of-service"}]}},
            "node.kubernetes.io/out-of-service",
        ),
        ({"spec": {"taints": [{"key": "nvidia.com/gpu"}]}}, ""),
        ({"spec": {"taints": [{"key": "node.kubernetes.io/not-ready"}]}}, ""),
        ({"spec": {"unschedulable": True}}, "unschedulable"),
        ({"metadata": {"deletionTimestamp": ago(0)}}, "deletionTimestamp"),
    ],
)
def test_every_sign_that_a_node_will_go_is_a_notice(change: dict[str, Any], notice: str) -> None:
    node = node_object("n1")
    for part, values in change.items():
        node[part] |= values
    assert seen(pool_object(), node).nodes["n1"].notice == notice
    assert seen(pool_object(), slim(NODE, node)).nodes["n1"].notice == notice


@pytest.mark.parametrize("allocatable", [{}, {"nvidia.com/gpu": "0"}, {"nvidia.com/gpu": "many"}])
def test_a_node_without_gpus_has_none(allocatable: dict[str, str]) -> None:
    node = node_object("n1")
    node["status"]["allocatable"] = allocatable
    assert seen(pool_object(), node).nodes["n1"].gpus == 0


def test_a_node_that_is_not_ready_is_seen_so() -> None:
    assert not seen(node_object("n1", ready=False)).nodes["n1"].ready


def test_a_pod_reads_the_same_whole_and_slimmed() -> None:
    pod = pod_object(
        "p", labels={"a": "b"}, annotations={"atoll.dev/x": "1"}, node="n1", restarts=2, waiting="ErrImagePull"
    )
    found = observe_pod(pod)
    assert found == observe_pod(slim_pod(pod))
    assert (found.gpus, found.restarts, found.waiting, found.ready, found.node) == (2, 2, "ErrImagePull", True, "n1")


def slim_pod(pod: Any) -> Any:
    return slim(POD, pod)


def test_a_pod_without_status_is_pending_and_not_ready() -> None:
    found = observe_pod({"metadata": {"name": "p"}})
    assert (found.phase, found.ready, found.gpus, found.finished) == ("Pending", False, 0, False)


@pytest.mark.parametrize(("said", "gpus"), [("4", 4), ("²", 0), ("9" * 5000, 0), ("-1", 0), ("", 0)])
def test_r24_claimed_gpus_that_nobody_can_read_are_none(said: str, gpus: int) -> None:
    objects = [demand_object(), pool_object()]
    (intent,) = deployments(plan(planned(replicas("small"))), *objects)
    (pod,) = pods_of(intent, "n1", gpus=0)
    pod["metadata"]["annotations"][names.GPUS] = said
    assert observe_pod(pod).gpus == gpus


@pytest.mark.parametrize("pools", [("small",), ("small", "big"), ("big", "big", "small")])
def test_a_deployment_is_read_back_as_it_was_meant(pools: tuple[str, ...]) -> None:
    objects = [demand_object(), pool_object("small"), pool_object("big")]
    intents = deployments(plan(planned(replicas(*pools))), *objects)
    found = seen(*(stored(intent) for intent in intents)).deployments
    assert [item.strategy for item in found] == [strategy(*pools)] * len(pools)
    assert [item.offering for item in found] == [offering(pool) for pool in pools]
    assert [item.stage for item in found] == list(range(len(pools)))
    assert {item.replica for item in found} == ({-1} if len(pools) == 1 else {0})
    assert {item.demand for item in found} == {key()}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["metadata"]["annotations"].pop(names.STRATEGY_SPEC),
        lambda d: d["metadata"]["annotations"].update({names.STRATEGY_SPEC: "{}"}),
        lambda d: d["metadata"]["annotations"].update({names.STRATEGY_SPEC: "[" * 100_000}),
        lambda d: d["metadata"]["annotations"].update(
            {names.STRATEGY_SPEC: re.sub(r'"tp":\d+', '"tp":1e999', d["metadata"]["annotations"][names.STRATEGY_SPEC])}
        ),
        lambda d: d["metadata"]["annotations"].update({names.OFFERINGS: "[" * 100_000}),
        lambda d: d["metadata"]["annotations"].update({names.OFFERINGS: "not json"}),
        lambda d: d["metadata"]["annotations"].update({names.OFFERINGS: "[]"}),
        lambda d: d["metadata"]["annotations"].update({names.OFFERINGS: '[["p","z","lease"]]'}),
        lambda d: d["metadata"]["labels"].update({names.STAGE: "7"}),
        lambda d: d["metadata"]["labels"].update({names.STAGE: "first"}),
        lambda d: d["metadata"]["labels"].update({names.MANAGED_BY: "helm"}),
        lambda d: d["metadata"].pop("labels"),
    ],
)
def test_r24_a_deployment_that_nobody_can_read_is_as_if_it_were_not_there(spoil: Any) -> None:
    objects = [demand_object(), pool_object()]
    (intent,) = deployments(plan(planned(replicas("small"))), *objects)
    good, bad = stored(intent), stored(intent)
    bad["metadata"] = {
        **bad["metadata"],
        "name": "bad",
        "labels": dict(bad["metadata"]["labels"]),
        "annotations": dict(bad["metadata"]["annotations"]),
    }
    spoil(bad)
    assert [item.name for item in seen(good, bad).deployments] == [intent["metadata"]["name"]]


def test_r24_a_bad_object_is_a_fault_of_its_own_and_the_others_are_seen() -> None:
    bad_demand = demand_object("bad")
    bad_demand["spec"]["model"]["architecture"]["name"] = "nobody/nothing"
    bad_pool = pool_object("big")
    bad_pool["spec"]["gpu"]["kind"] = "H1000"
    world = seen(demand_object(), bad_demand, pool_object(), bad_pool)
    assert list(world.demands) == [key()]
    assert list(world.pools) == ["small"]
    assert {str(ref): [fault.reason for fault in faults] for ref, faults in world.faults.items()} == {
        "ModelDemand team-a/bad": [Reason.UNKNOWN_ARCHITECTURE],
        "GPUNodePool big": [world.faults[Reference(kind="GPUNodePool", name="big")][0].reason],
    }


def test_of_two_demands_with_one_served_name_the_older_holds_it() -> None:
    younger = demand_object("copy")
    younger["metadata"]["creationTimestamp"] = ago(10)
    younger["spec"]["model"]["servedName"] = "chat"
    world = seen(younger, demand_object("chat"))
    assert list(world.demands) == [key("chat")]
    (fault,) = world.faults[Reference(kind="ModelDemand", namespace=NAMESPACE, name="copy")]
    assert fault.reason is Reason.SERVED_NAME_TAKEN
    assert "team-a/chat" in fault.message


def test_what_is_being_deleted_is_not_wanted_any_more() -> None:
    going = demand_object()
    going["metadata"]["deletionTimestamp"] = ago(1)
    assert not seen(going).demands


def test_demands_and_pools_of_other_fleets_are_not_seen() -> None:
    other, pool = demand_object(), pool_object()
    other["spec"]["fleet"] = pool["spec"]["fleet"] = "gold"
    world = seen(other, pool)
    assert (dict(world.demands), dict(world.pools)) == ({}, {})


def measured_object() -> Any:
    """A demand that is measured, and of which nothing was heard yet."""
    found = demand_object()
    del found["spec"]["demand"]["requestsPerSecond"]
    found["spec"]["demand"]["prometheus"] = {"query": "rate"}
    return found


def spoilt(raw: Any, field: str) -> Any:
    raw["spec"][field] = {"kind": "H1000"} if field == "gpu" else {"ttft": "-1s"}
    return raw


@pytest.mark.parametrize(
    "raw",
    [spoilt(demand_object(), "objectives"), spoilt(pool_object(), "gpu"), measured_object()],
    ids=["demand", "pool", "measured"],
)
def test_what_is_wrong_with_objects_of_other_fleets_is_theirs_to_say(raw: Any) -> None:
    objects = {KINDS[raw["kind"]]: [raw | {"spec": raw["spec"] | {"fleet": "gold"}}]}
    theirs = observe(objects, fleet="gold", router_versions={}, now=NOW)
    assert theirs.faults or theirs.measured
    world = observe(objects, router_versions={}, now=NOW)
    assert (dict(world.faults), dict(world.measured)) == ({}, {})


def test_engines_of_other_fleets_are_not_ours_to_move() -> None:
    objects = [demand_object(), pool_object()]
    (intent,) = deployments(plan(planned(replicas("small"))), *objects)
    theirs = demand_object()
    theirs["spec"]["fleet"] = "gold"
    assert seen(stored(intent), theirs).deployments == ()
    assert len(seen(stored(intent), theirs, fleet="gold").deployments) == 1
    assert len(seen(stored(intent)).deployments) == 1  # the garbage collector comes for what is left of none


def test_policy_is_the_fleet_s() -> None:
    assert seen(fleet_object(router={"drain": "7s"})).fleet.router.drain_seconds == 7.0


def test_plans_are_read_back_oldest_first() -> None:
    first, second = plan(planned(replicas("small"))), plan(planned(replicas("big")))
    world = seen(stored_plan(second, created=ago(1)), stored_plan(first, created=ago(2)))
    assert [item.name for item in world.plans] == [first.name, second.name]


@pytest.mark.parametrize(
    "offerings",
    [
        [{"zone": "z", "capacityType": "spot", "maskedUntil": "soon"}],
        [{"zone": "z", "capacityType": "lease", "maskedUntil": ago(-60)}],
        [{"capacityType": "spot", "maskedUntil": ago(-60)}],
        [{"zone": "z", "capacityType": "spot", "maskedUntil": ago(-60), "strikes": "many"}],
        None,
    ],
)
def test_r24_a_mask_that_nobody_can_read_is_no_mask(offerings: Any) -> None:
    pool = pool_object() | {"status": {"offerings": offerings}}
    assert not seen(pool).masks


def test_a_mask_is_read_back_whole() -> None:
    item = {
        "zone": offering().zone,
        "capacityType": "on-demand",
        "maskedUntil": ago(-60),
        "strikes": 3,
        "maskedReason": "no node came",
    }
    mask = seen(pool_object() | {"status": {"offerings": [item]}}).masks[offering()]
    assert (mask.strikes, mask.reason, (mask.until - NOW).total_seconds()) == (3, "no node came", 60.0)


@pytest.mark.parametrize(("hour", "rate"), [(12, 40.0), (23, 2.0)])
def test_r19_a_scheduled_demand_wants_the_highest_floor_in_force(hour: int, rate: float) -> None:
    scheduled = demand_object()
    floors = [
        {"start": "00:00", "end": "00:00", "requestsPerSecond": 2},
        {"start": "08:00", "end": "18:00", "requestsPerSecond": 40},
    ]
    del scheduled["spec"]["demand"]["requestsPerSecond"]
    scheduled["spec"]["demand"]["schedule"] = {"floors": floors}

    snapshot = observe({MODEL_DEMAND: [scheduled]}, router_versions={}, now=NOW.replace(hour=hour, minute=0))

    assert [demand.rate for demand in snapshot.demands.values()] == [rate]
