"""The work of a look grows with the fleet, and not with its square: a look must never hold up the Lease's renewal."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Any

import pytest

from atoll.domain.planning import Planning
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.service import service_of
from atoll.reconcile.status.view import View
from atoll.reconcile.status.write import status_writes
from atoll.reconcile.transition import next_step
from reconcile.worlds import (
    NOW,
    ROUTER,
    demand_object,
    deployments,
    fleet_object,
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


def work(look: Callable[[], object]) -> int:
    """Python functions that are entered, or gone on with, in a look: the same on every machine."""
    count = 0

    def tell(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(tell)
    try:
        look()
    finally:
        sys.setprofile(None)
    return count


def looks(size: int) -> dict[str, Callable[[], object]]:
    """What the executor does for so many demands that run while another plan waits for approval."""
    names = [f"d{index}" for index in range(size)]
    demands, pools = [demand_object(name) for name in names], [pool_object("small", size), pool_object("big")]
    current = plan(*(planned(replicas("small", demand=name), demand=name) for name in names))
    intents = deployments(current, *demands, *pools)
    pods = [pod for index, intent in enumerate(intents) for pod in pods_of(intent, f"n{index}")]
    nodes = [node_object(f"n{index}") for index in range(size)]
    world: list[Any] = [fleet_object(mode="Recommend"), *demands, *pools, *nodes, *map(stored, intents), *pods]
    snapshot = seen(*world, stored_plan(current))
    desired, _ = desired_objects(snapshot, current, ROUTER)
    other = replace(current, demands=tuple(replace(item, uid="another") for item in current.demands), approved=False)
    planning = Planning(basis="", solved_at=NOW, decision=other, demands=dict.fromkeys(snapshot.demands, "other"))
    step = next_step(snapshot, desired, NOW)
    view = View(
        snapshot=snapshot,
        planning=planning,
        plan=current,
        step=step,
        service=service_of(snapshot, current, desired),
        now=NOW,
    )
    return {"step": partial(next_step, snapshot, desired, NOW), "statuses": partial(status_writes, view)}


@pytest.mark.parametrize("look", ["step", "statuses"])
def test_four_times_the_fleet_is_not_much_more_than_four_times_the_work(look: str) -> None:
    small, large = (work(looks(size)[look]) for size in (20, 80))
    assert large < 4.4 * small
