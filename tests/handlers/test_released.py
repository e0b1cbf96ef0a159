"""When the gates of pods were lifted, as far as it was seen."""

from datetime import timedelta
from typing import Any

import pytest

from atoll.handlers.released import Released
from reconcile.worlds import NOW, demand_object, deployments, plan, planned, pod_object, pods_of, pool_object, replicas
from reconcile.worlds import seen as snapshot

ENGINES = deployments(plan(planned(replicas("small"))), demand_object(), pool_object())[0]
LATER, LATEST = NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)


KUEUE = {"kueue.x-k8s.io/managed": "true"}


def pod(*, gated: bool, labels: dict[str, str] | None = None, node: str = "") -> Any:
    (found,) = pods_of(ENGINES, node, gates=("example.com/gate",) if gated else ())
    found["metadata"]["labels"] |= labels or {}
    return found


def test_a_pod_is_released_when_its_gate_is_first_seen_gone() -> None:
    released, uid = Released(), pod(gated=True)["metadata"]["uid"]

    assert released.of(snapshot(pod(gated=True)), NOW) == {}
    assert released.of(snapshot(pod(gated=False)), LATER) == {uid: LATER}
    assert released.of(snapshot(pod(gated=False)), LATEST) == {uid: LATER}
    assert released.of(snapshot(), LATEST) == {}


def test_after_a_restart_a_pod_of_kueue_s_counts_as_released_just_now() -> None:
    admitted = pod(gated=False, labels=KUEUE)

    assert list(Released().of(snapshot(admitted), NOW).values()) == [NOW]


def test_after_a_restart_a_pod_that_has_its_node_found_none_just_now() -> None:
    """Else an offering that is scarce would be taken for one that gives nodes again."""
    released, placed = Released(), pod(gated=False, labels=KUEUE, node="s0")

    assert released.of(snapshot(placed), NOW) == {}
    assert released.of(snapshot(placed), LATER) == {}


def test_a_pod_whose_wait_was_seen_keeps_its_release_when_it_finds_a_node() -> None:
    released, uid = Released(), pod(gated=True)["metadata"]["uid"]
    released.of(snapshot(pod(gated=False, labels=KUEUE)), NOW)

    assert released.of(snapshot(pod(gated=False, labels=KUEUE, node="s0")), LATER) == {uid: NOW}


@pytest.mark.parametrize("other", [pod(gated=False), pod_object("other", gates=("example.com/gate",))])
def test_pods_that_were_never_gated_or_are_not_ours_are_no_matter(other: Any) -> None:
    released = Released()
    released.of(snapshot(other), NOW)

    assert released.of(snapshot(other), LATER) == {}
