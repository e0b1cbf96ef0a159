"""Nodes that pods are bound to before the watch tells of them, and those that are gone."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from atoll.cluster.access import Access
from atoll.cluster.client import Client
from atoll.domain.objects import KINDS, Delete
from atoll.handlers.cache import Cache
from atoll.handlers.gather import Gatherer
from atoll.handlers.routes import Routes
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.problem import inputs_of
from atoll.reconcile.running import running
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
    stored,
    stored_plan,
)

TWO = plan(planned(replicas("small", count=2), rate=20.0))
RUNS = deployments(TWO, demand_object(), pool_object())[0]
LATER = NOW + timedelta(minutes=1)


def _gatherer(*objects: Any) -> Gatherer:
    cache = Cache()
    for item in objects:
        for obj in item if isinstance(item, list) else [item]:
            cache.upsert(KINDS[obj["kind"]], obj)
    return Gatherer(
        cache=cache,
        fleet="default",
        router=ROUTER,
        http=httpx.AsyncClient(),
        routes=Routes(Client(Access())),
    )


@pytest.fixture
def gatherer() -> Gatherer:
    """Two pods, of which one is bound to a node that the watch has not told of."""
    world = [fleet_object(), pool_object(), demand_object(rate=20.0), stored_plan(TWO), stored(RUNS)]
    return _gatherer(*world, *pods_of(RUNS, "s0", "new"), node_object("s0"))


def _doomed(gatherer: Gatherer, now: Any) -> list[str]:
    snapshot = gatherer.snapshot(now)
    desired, _ = desired_objects(snapshot, snapshot.plans[0], ROUTER)
    return [item.target.kind for item in next_step(snapshot, desired, now).actions if isinstance(item, Delete)]


def test_a_pod_is_neither_killed_nor_counted_out_because_the_watch_of_nodes_lags(gatherer: Gatherer) -> None:
    assert _doomed(gatherer, NOW) == []
    before = gatherer.snapshot(NOW)
    assert [group.count for group in running(before, NOW)] == [2]
    gatherer.cache.upsert(KINDS["Node"], node_object("new"))
    after = gatherer.snapshot(NOW)
    assert (before.unheard, after.unheard) == ({"new"}, frozenset())
    assert inputs_of(before, NOW)["losses"] == inputs_of(after, NOW)["losses"]


def test_a_node_that_is_not_heard_of_for_long_counts_as_gone(gatherer: Gatherer) -> None:
    assert _doomed(gatherer, NOW) == []
    assert _doomed(gatherer, LATER) == ["Pod"]
    assert [group.count for group in running(gatherer.snapshot(LATER), LATER)] == [1]


def test_a_node_that_was_there_is_gone_at_once(gatherer: Gatherer) -> None:
    gatherer.cache.upsert(KINDS["Node"], node_object("new"))
    assert _doomed(gatherer, NOW) == []
    gatherer.cache.remove(KINDS["Node"], node_object("new"))
    assert _doomed(gatherer, NOW) == ["Pod"]


def test_a_clock_that_is_set_back_lets_a_node_count_as_there_for_no_longer(gatherer: Gatherer) -> None:
    assert _doomed(gatherer, NOW) == []
    back = NOW - timedelta(hours=1)
    assert _doomed(gatherer, back) == []
    assert _doomed(gatherer, back + (LATER - NOW)) == ["Pod"]
