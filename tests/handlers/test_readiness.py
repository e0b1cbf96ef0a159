"""A node whose clock is ahead says of its pods that they are Ready from the future on."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from atoll.cluster.access import Access
from atoll.cluster.client import Client
from atoll.domain.objects import KINDS
from atoll.domain.snapshot import ObservedPod
from atoll.handlers.cache import Cache
from atoll.handlers.gather import Gatherer
from atoll.handlers.routes import Routes
from atoll.reconcile.drain import is_found
from reconcile.worlds import NOW, ROUTER, fleet_object, node_object, pod_object

DRAIN = 15.0
AHEAD = 3600.0
LATER = NOW + timedelta(seconds=DRAIN + 1.0)


def gatherer(pod: Any) -> Gatherer:
    cache = Cache()
    for obj in (fleet_object(), node_object("n1"), pod):
        cache.upsert(KINDS[obj["kind"]], obj)
    return Gatherer(
        cache=cache, fleet="default", router=ROUTER, http=httpx.AsyncClient(), routes=Routes(Client(Access()))
    )


def only_pod(of: Gatherer, now: Any) -> ObservedPod:
    (pod,) = of.snapshot(now).pods
    return pod


@pytest.mark.parametrize("ready_for", [-1.0, -AHEAD])
def test_it_is_relied_on_after_the_drain_time_from_when_it_was_first_seen(ready_for: float) -> None:
    seen = gatherer(pod_object("p", node="n1", ready_for=ready_for))
    assert not is_found(only_pod(seen, NOW), NOW, DRAIN)
    assert not is_found(only_pod(seen, LATER - timedelta(seconds=1)), LATER - timedelta(seconds=1), DRAIN)
    assert is_found(only_pod(seen, LATER), LATER, DRAIN)


def test_it_waits_anew_when_it_became_ready_again() -> None:
    seen = gatherer(pod_object("p", node="n1", ready_for=-AHEAD))
    only_pod(seen, NOW)
    again = pod_object("p", node="n1", ready_for=-AHEAD - 60.0)
    again["metadata"]["resourceVersion"] = "2"
    seen.cache.upsert(KINDS["Pod"], again)
    assert not is_found(only_pod(seen, LATER), LATER, DRAIN)
    assert is_found(only_pod(seen, LATER + (LATER - NOW)), LATER + (LATER - NOW), DRAIN)


def test_a_clock_that_is_right_or_behind_is_believed() -> None:
    pod = only_pod(gatherer(pod_object("p", node="n1", ready_for=40.0)), NOW)
    assert pod.ready_since == NOW - timedelta(seconds=40)


def test_pods_that_are_gone_are_forgotten() -> None:
    seen = gatherer(pod_object("p", node="n1", ready_for=-AHEAD))
    only_pod(seen, NOW)
    assert seen.readiness.first_seen
    seen.cache.remove(KINDS["Pod"], pod_object("p"))
    seen.snapshot(NOW)
    assert not seen.readiness.first_seen
