"""What nodes can be had, of which pods on which nodes."""

from typing import Any

import pytest

from atoll.reconcile.supply import supplies
from reconcile.test_devices import claim_object, device, slice_object
from reconcile.worlds import (
    NOW,
    Raw,
    ago,
    demand_object,
    deployments,
    node_object,
    offering,
    plan,
    planned,
    pod_object,
    pods_of,
    pool_object,
    replicas,
    seen,
)


def had(*objects: Any) -> list[tuple[str, int, int, float]]:
    """Pool, free GPUs per node, nodes, price of each supply."""
    return [
        (item.offering.pool, item.gpus, item.obtainable, item.price_per_hour) for item in supplies(seen(*objects), NOW)
    ]


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([pool_object(max_nodes=4)], [(1.0, 0.0)], id="on demand nothing is paid beforehand"),
        pytest.param(
            [pool_object(provisioning="Fixed"), node_object("a"), node_object("b"), pod_object("o", node="b", gpus=1)],
            [(0.0, 1.0), (0.0, 0.5)],
            id="owned nodes are paid for, and of a shared one what is free",
        ),
        pytest.param(
            [pool_object(capacity_type="reserved")],
            [(0.0, 1.0)],
            id="reserved capacity is paid for up to what is reserved",
        ),
    ],
)
def test_what_is_paid_for_anyway_costs_nothing_more(objects: list[Any], expected: list[tuple[float, float]]) -> None:
    found = supplies(seen(*objects), NOW)
    assert [(item.price_per_hour, item.paid_per_hour) for item in found] == expected


NODES = [node_object(f"n{index}") for index in range(3)]
MASKED = {"offerings": [{"zone": offering().zone, "capacityType": "on-demand", "maskedUntil": ago(-60)}]}


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([pool_object(max_nodes=4)], [("small", 2, 4, 1.0)], id="an autoscaled pool gives its limit"),
        pytest.param([pool_object(max_nodes=0)], [("small", 2, 0, 1.0)], id="a limit of zero is valid"),
        pytest.param(
            [pool_object(max_nodes=4), *NODES], [("small", 2, 4, 1.0)], id="nodes that are there are part of the limit"
        ),
        pytest.param(
            [pool_object(provisioning="Fixed"), *NODES],
            [("small", 2, 3, 0.0)],
            id="owned nodes are those that are Ready",
        ),
        pytest.param(
            [pool_object(provisioning="Fixed", max_nodes=2), *NODES],
            [("small", 2, 2, 0.0)],
            id="and no more than allowed",
        ),
        pytest.param([pool_object(provisioning="Fixed")], [("small", 2, 0, 0.0)], id="no owned node, no supply"),
        pytest.param(
            [
                pool_object(provisioning="Fixed"),
                node_object("a", ready=False),
                node_object("b", cordoned=True),
                NODES[0],
            ],
            [("small", 2, 1, 0.0)],
            id="nodes that are not Ready or have a notice are not counted on",
        ),
        pytest.param(
            [pool_object(max_nodes=4) | {"status": MASKED}, *NODES],
            [("small", 2, 3, 1.0)],
            id="R2: a masked offering gives the nodes that are there",
        ),
        pytest.param(
            [pool_object(max_nodes=4), *NODES, pod_object("other", node="n1", gpus=1)],
            [("small", 2, 3, 1.0), ("small", 1, 1, 0.0)],
            id="a node that others share is a supply of what is left of it, and paid for",
        ),
        pytest.param(
            [pool_object(max_nodes=4), *NODES, pod_object("other", node="n1", gpus=2)],
            [("small", 2, 3, 1.0)],
            id="a node that others fill gives nothing",
        ),
        pytest.param(
            [pool_object(max_nodes=4), *NODES, pod_object("other", node="n1", gpus=2, phase="Succeeded")],
            [("small", 2, 4, 1.0)],
            id="finished pods hold nothing",
        ),
        pytest.param(
            [pool_object(max_nodes=4), *NODES, pod_object("other", node="n1", gpus=0)],
            [("small", 2, 4, 1.0)],
            id="pods without GPUs do not count",
        ),
        pytest.param(
            [pool_object(max_nodes=4), *NODES, pod_object("other", nominated="n1", gpus=2)],
            [("small", 2, 3, 1.0)],
            id="a pod for which the scheduler makes room has it",
        ),
        pytest.param(
            [pool_object(max_nodes=4), *NODES, pod_object("other", gpus=2)],
            [("small", 2, 4, 1.0)],
            id="a pod that is nowhere holds nothing",
        ),
        pytest.param(
            [pool_object("small"), pool_object("big")],
            [("big", 4, 4, 1.0), ("small", 2, 4, 1.0)],
            id="pools come in a stable order",
        ),
    ],
)
def test_supplies(objects: list[Any], expected: list[tuple[str, int, int, float]]) -> None:
    assert had(*objects) == expected


DEVICES = (device("gpu-0"), device("gpu-1"))
CLAIMED = [
    pool_object(max_nodes=4, device_class="gpu.nvidia.com"),
    *(node_object(f"n{index}", gpus=0) for index in range(3)),
    *(slice_object(f"n{index}", *DEVICES) for index in range(3)),
]


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([], [("small", 2, 4, 1.0)], id="all free"),
        pytest.param(
            [claim_object("other", ("n1", "gpu-0"))], [("small", 2, 3, 1.0), ("small", 1, 1, 0.0)], id="one is claimed"
        ),
        pytest.param(
            [claim_object("other", ("n1", "gpu-0"), ("n1", "gpu-1"))], [("small", 2, 3, 1.0)], id="a node is claimed"
        ),
        pytest.param(
            [pod_object("other", node="n1", gpus=1)],
            [("small", 2, 3, 1.0), ("small", 1, 1, 0.0)],
            id="asked for as an extended resource",
        ),
    ],
)
def test_gpus_that_others_claim_are_not_counted_on(objects: list[Raw], expected: list[Any]) -> None:
    assert had(*CLAIMED, *objects) == expected


def test_what_our_own_pods_claim_is_ours_to_move_unless_their_demand_is_at_fault() -> None:
    (intent,) = deployments(plan(planned(replicas("small"))), demand_object(), CLAIMED[0])
    pods = pods_of(intent, "n0", gpus=0)
    assert had(demand_object(), *CLAIMED, *pods) == [("small", 2, 4, 1.0)]
    assert had(*CLAIMED, *pods) == [("small", 2, 3, 1.0)]


def test_pods_of_planned_demands_are_ours_to_move_and_hold_nothing() -> None:
    objects = [demand_object(), pool_object(max_nodes=4), *NODES]
    (intent,) = deployments(plan(planned(replicas("small"))), *objects)
    assert had(*objects, *pods_of(intent, "n0")) == [("small", 2, 4, 1.0)]


def test_pods_of_a_demand_that_became_invalid_hold_their_gpus() -> None:
    pool = pool_object(max_nodes=4)
    (intent,) = deployments(plan(planned(replicas("small"))), demand_object(), pool)
    broken = demand_object()
    broken["spec"]["objectives"]["ttft"] = "-1s"
    assert had(broken, pool, *NODES, *pods_of(intent, "n0")) == [("small", 2, 3, 1.0)]
