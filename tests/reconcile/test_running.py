"""Which replicas are counted on."""

from typing import Any

import pytest

from atoll.reconcile.running import lost_pods, running
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
    pods_of,
    pool_object,
    replicas,
    seen,
    stored,
)

POOLS = [pool_object("small"), pool_object("big")]
NODES = [node_object("s0"), node_object("s1"), node_object("b0", "big"), node_object("going", cordoned=True)]
SINGLE = deployments(plan(planned(replicas("small", count=2))), demand_object(), *POOLS)[0]
STAGES = deployments(plan(planned(replicas("small", "big"))), demand_object(), *POOLS)


def counted(*objects: Any) -> list[tuple[int, int]]:
    """Stages and count of each group that runs."""
    return [(len(group.strategy.stages), group.count) for group in running(seen(*objects), NOW)]


def masked() -> Raw:
    item = {"zone": offering().zone, "capacityType": "on-demand", "maskedUntil": ago(-60)}
    return pool_object("small") | {"status": {"offerings": [item]}}


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([stored(SINGLE), *pods_of(SINGLE, "s0", "s1")], [(1, 2)], id="both run"),
        pytest.param([stored(SINGLE)], [(1, 2)], id="replicas that start are decided, so they count"),
        pytest.param([stored(SINGLE), *pods_of(SINGLE, "s0", "gone")], [(1, 1)], id="one is on a node that is gone"),
        pytest.param([stored(SINGLE), *pods_of(SINGLE, "s0", "going")], [(1, 1)], id="one is on a node with a notice"),
        pytest.param([stored(SINGLE), *pods_of(SINGLE, "s0", "s1", deleting=True)], [(1, 2)], id="both are replaced"),
        pytest.param([masked(), stored(SINGLE), *pods_of(SINGLE, "s0", "")], [(1, 1)], id="one waits where nothing is"),
        pytest.param([masked(), stored(SINGLE)], [], id="all wait where nothing is"),
        pytest.param([*map(stored, STAGES)], [(2, 1)], id="a replica of two stages"),
        pytest.param([stored(STAGES[0])], [], id="a replica that lacks a stage"),
        pytest.param([stored(STAGES[0]), stored(STAGES[1], replicas=0)], [], id="a replica with a stopped stage"),
        pytest.param(
            [*map(stored, STAGES), *pods_of(STAGES[0], "s0"), *pods_of(STAGES[1], "gone")],
            [],
            id="a replica of which one stage is lost",
        ),
    ],
)
def test_running(objects: list[Any], expected: list[tuple[int, int]]) -> None:
    assert counted(demand_object(), *NODES, *POOLS, *objects) == expected


def test_what_runs_for_nobody_is_not_counted() -> None:
    assert counted(*NODES, *POOLS, stored(SINGLE)) == []


def test_replicas_of_one_index_but_two_templates_are_two() -> None:
    newer = demand_object(image="vllm/vllm:2")
    second = deployments(plan(planned(replicas("small", "big"))), newer, *POOLS)
    assert counted(demand_object(), *NODES, *POOLS, *map(stored, [*STAGES, *second])) == [(2, 2)]


def test_lost_pods_are_ours_only() -> None:
    other = pods_of(SINGLE, "gone", start=7)[0]
    other["metadata"]["labels"] = {}
    world = seen(demand_object(), *NODES, *POOLS, stored(SINGLE), *pods_of(SINGLE, "s0", "gone"), other)
    assert [pod.name for pod in lost_pods(world)] == [f"{SINGLE['metadata']['name']}-1"]
