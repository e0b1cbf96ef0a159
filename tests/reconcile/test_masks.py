"""R2: offerings that give nothing are masked, longer each time, and tried again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atoll.domain.snapshot import Mask
from atoll.reconcile.masks import LONGEST_WAIT, next_masks
from reconcile.worlds import (
    NOW,
    ago,
    demand_object,
    deployments,
    fleet_object,
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

FLEET = fleet_object(pendingTimeout="60s")  # and pools need 60 s to start a node: patience is 120 s
INTENT = deployments(plan(planned(replicas("small"))), demand_object(), pool_object())[0]


def masks(*pods: Any, masked_until: float | None = None, strikes: int = 1) -> dict[Any, Mask]:
    pool = pool_object()
    if masked_until is not None:
        item = {
            "zone": offering().zone,
            "capacityType": "on-demand",
            "maskedUntil": ago(-masked_until),
            "strikes": strikes,
            "maskedReason": "no node came",
        }
        pool["status"] = {"offerings": [item]}
    return next_masks(seen(FLEET, demand_object(), pool, node_object("n0"), stored(INTENT), *pods), NOW)


def pending(age: float) -> Any:
    return pods_of(INTENT, "", age=age)


def placed(age: float) -> Any:
    return pods_of(INTENT, "n0", age=age)


@pytest.mark.parametrize(("age", "struck"), [(60.0, False), (120.0, False), (121.0, True)])
def test_a_pod_that_waits_longer_than_a_node_takes_is_a_strike(age: float, struck: bool) -> None:
    assert bool(masks(pending(age))) is struck


@pytest.mark.parametrize(("age", "struck"), [(60.0, False), (61.0, True)])
def test_where_an_autoscaler_says_that_it_makes_no_node_none_is_waited_for(age: float, *, struck: bool) -> None:
    (pod,) = pending(age)
    snapshot = seen(FLEET, demand_object(), pool_object(), stored(INTENT), pod)
    refused = {pod["metadata"]["uid"]: "cluster-autoscaler: max node group size reached"}
    found = next_masks(replace(snapshot, refused=refused), NOW)
    assert [mask.reason for mask in found.values()] == (
        ["a pod was Pending for 61 s and cluster-autoscaler: max node group size reached"] if struck else []
    )


KUEUE = "kueue.x-k8s.io/admission"


def test_a_pod_that_kueue_holds_back_says_nothing_of_nodes() -> None:
    assert not masks(pods_of(INTENT, "", age=10_000.0, gates=(KUEUE,)))


@pytest.mark.parametrize(("released", "struck"), [(120.0, False), (121.0, True)])
def test_a_pod_waits_for_a_node_only_since_its_gates_were_lifted(released: float, struck: bool) -> None:
    (pod,) = pods_of(INTENT, "", age=10_000.0)
    snapshot = seen(FLEET, demand_object(), pool_object(), stored(INTENT), pod)
    lifted = {pod["metadata"]["uid"]: NOW - timedelta(seconds=released)}
    assert bool(next_masks(replace(snapshot, released=lifted), NOW)) is struck


@pytest.mark.parametrize(("strikes", "minutes"), [(None, 5), (1, 10), (2, 20), (3, 40), (4, 60), (9, 60), (99, 60)])
def test_each_strike_doubles_the_wait_up_to_an_hour(strikes: int | None, minutes: int) -> None:
    before = {} if strikes is None else {"masked_until": -1.0, "strikes": strikes}
    mask = masks(pending(200.0), **before)[offering()]
    assert (mask.until - NOW, mask.strikes) == (timedelta(minutes=minutes), (strikes or 0) + 1)


def test_while_a_mask_counts_there_is_no_further_strike() -> None:
    mask = masks(pending(200.0), masked_until=30.0)[offering()]
    assert (mask.strikes, mask.until) == (1, NOW + timedelta(seconds=30))
    assert mask.reason == "no node came"


def test_strikes_are_remembered_for_an_hour_after_the_mask() -> None:
    assert masks(masked_until=-LONGEST_WAIT.total_seconds() + 1)
    assert not masks(masked_until=-LONGEST_WAIT.total_seconds() - 1)


def test_r24_a_mask_lasts_no_longer_than_the_longest_wait_whatever_clock_set_it() -> None:
    until = (datetime.max.replace(tzinfo=UTC) - NOW).total_seconds() - 1.0
    mask = masks(placed(30.0), masked_until=until)[offering()]
    assert (mask.strikes, mask.until) == (1, NOW + LONGEST_WAIT)


def test_a_pod_that_found_a_node_lately_clears_the_strikes() -> None:
    assert not masks(placed(30.0), masked_until=-1.0)


def test_a_pod_that_has_run_for_long_says_nothing_of_what_can_be_had_now() -> None:
    assert masks(placed(9999.0), masked_until=-1.0)


def test_a_pod_that_is_being_deleted_is_no_strike() -> None:
    assert not masks(pods_of(INTENT, "", age=300.0, deleting=True))
