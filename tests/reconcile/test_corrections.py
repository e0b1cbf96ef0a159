"""Observed corrections: slow, bounded, and steady whatever is heard."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.correction import Correction, CorrectionUse, EngineLoad, Observed
from atoll.domain.strategy import EngineName, Phase
from atoll.reconcile.corrections import (
    DEAD_BAND,
    LEAST,
    MEMORY_SECONDS,
    MOST,
    applied_factors,
    corrected,
    correction_fields,
    is_telling,
    read_corrections,
)
from atoll.reconcile.problem import inputs_of
from reconcile.worlds import (
    NOW,
    demand_object,
    deployments,
    key,
    plan,
    planned,
    pods_of,
    pool_object,
    replicas,
    seen,
    stored,
)

WINDOW = 600.0
START = Correction(gpu_kind="L4-24GB", engine=EngineName.VLLM, until=datetime.fromtimestamp(0.0, tz=UTC))


def windows(*slowness: float, after: float = 0.0, seconds: float = WINDOW) -> list[Observed]:
    return [
        Observed(ended_at=after + (place + 1) * seconds, seconds=seconds, slowness=value)
        for place, value in enumerate(slowness)
    ]


def applied(values: list[float]) -> list[float]:
    """What plans would be made with after each window."""
    state, found = START, []
    for window in windows(*values):
        state = corrected(state, [window])
        found.append(state.applied)
    return found


anything = st.floats(1e-3, 1e3)


@given(st.lists(anything, max_size=200))
def test_whatever_is_heard_it_stays_within_bounds(values: list[float]) -> None:
    found = corrected(START, windows(*values))
    assert LEAST <= found.observed <= MOST
    assert LEAST <= found.applied <= MOST
    assert all(LEAST <= value <= MOST for value in applied(values))


@given(truth=st.floats(0.5, 1.5), noise=st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=300))
def test_noise_of_half_the_dead_band_makes_it_go_one_way_and_then_stand(truth: float, noise: list[float]) -> None:
    found = [1.0, *applied([truth * math.exp(DEAD_BAND / 2.0 * each) for each in noise])]
    steps = [math.log(b / a) for a, b in pairwise(found) if a != b]
    assert all(step > 0.0 for step in steps) or all(step < 0.0 for step in steps)
    assert all(abs(step) > DEAD_BAND * 0.95 for step in steps)  # each is worth a plan; rounded to three digits
    assert len(steps) <= math.log(MOST / LEAST) / DEAD_BAND


@given(st.lists(st.sampled_from([0.6, 1.0, 1.7]), min_size=36, max_size=200))
def test_one_window_never_moves_what_plans_are_made_with_far(values: list[float]) -> None:
    most = -math.expm1(-WINDOW / MEMORY_SECONDS) * math.log(MOST / LEAST)
    found = applied(values)
    for before, after in pairwise(found):
        assert abs(math.log(after / before)) <= DEAD_BAND + most + 2e-3


def test_it_reaches_a_truth_in_hours_and_not_in_minutes() -> None:
    assert applied([1.2])[-1] == 1.0
    assert applied([1.2] * 6)[-1] == 1.0
    found = corrected(START, windows(*[1.2] * 200))
    assert found.observed == pytest.approx(1.2, abs=0.01)
    assert found.applied == pytest.approx(1.2, rel=DEAD_BAND)
    assert found.windows == 200


def test_windows_that_it_knows_count_for_nothing() -> None:
    """After a restart all that Prometheus still has may come again."""
    heard = windows(*[1.1] * 20)
    once = corrected(START, heard)
    assert corrected(once, heard) == once
    assert corrected(corrected(START, heard[:7]), heard).observed == pytest.approx(once.observed, rel=1e-3)


def test_nothing_heard_changes_nothing() -> None:
    state = replace(START, observed=1.2, applied=1.15)
    assert corrected(state, []) == state


def test_what_is_written_is_read_back_and_only_news_is_written() -> None:
    state = corrected(START, windows(*[1.25] * 30))
    live = {"status": correction_fields([state], {})}
    (known,) = read_corrections(live)
    assert known.observed == pytest.approx(state.observed, abs=1e-3)
    assert (known.applied, known.windows, known.until) == (state.applied, state.windows, state.until)
    later = replace(state, observed=state.observed * 1.01, until=state.until + timedelta(minutes=10))
    assert correction_fields([later], live) == live["status"]
    assert correction_fields([replace(later, observed=state.observed * 0.97)], live) != live["status"]
    assert correction_fields([], live) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"observed": 9.0},
        {"applied": None},
        {"until": "yesterday"},
        {"engine": "other"},
        {"windows": -1},
        {"gpuKind": 3},
    ],
    ids=str,
)
def test_what_nobody_can_read_is_forgotten(change: dict[str, Any]) -> None:
    item = {"gpuKind": "L4-24GB", "engine": "vllm", "observed": 1.1, "applied": 1.1, "windows": 3}
    item["until"] = "2026-11-21T10:00:00Z"
    assert len(read_corrections({"status": {"corrections": [item]}})) == 1
    assert read_corrections({"status": {"corrections": [item | change]}}) == ()
    assert read_corrections({"status": {"corrections": "many"}}) == ()


LOAD = EngineLoad(
    namespace="team-a",
    pod="chat",
    ended_at=NOW.timestamp(),
    seconds=WINDOW,
    running=12.0,
    least_running=3.0,
    generated=500.0,
    prompted=2000.0,
    kv_usage=0.5,
)


@pytest.mark.parametrize(
    ("load", "pod", "tells"),
    [
        ({}, {}, True),
        ({"running": 7.0}, {}, False),
        ({"least_running": 0.0}, {}, False),
        ({"kv_usage": 0.99}, {}, False),
        ({"generated": 0.0}, {}, False),
        ({"prompted": math.nan}, {}, False),
        ({}, {"ready": False}, False),
        ({}, {"ready_since": NOW - timedelta(minutes=5)}, False),
        ({}, {"ready_since": None}, False),
    ],
    ids=str,
)
def test_only_engines_that_were_ready_loaded_and_had_room_tell(
    load: dict[str, Any], pod: dict[str, Any], tells: bool
) -> None:
    intent = deployments(plan(planned(replicas("small"))), demand_object(), pool_object("small"))
    live = [stored(intent[0]), *pods_of(intent[0], "s0")]
    snapshot = seen(demand_object(), pool_object("small"), live)
    (deployment,), found = snapshot.deployments, snapshot.pods[0]
    whole = replace(found, ready_since=NOW - timedelta(hours=1), ready=True)
    assert is_telling(replace(LOAD, **load), replace(whole, **pod), deployment) is tells
    side = replace(deployment, strategy=replace(deployment.strategy, phase=Phase.DECODE))
    assert not is_telling(LOAD, whole, side)


@pytest.mark.parametrize("use", CorrectionUse)
def test_plans_are_made_with_it_only_where_the_fleet_wants_that(use: CorrectionUse) -> None:
    plain = seen(demand_object(), pool_object("small"))
    fleet = replace(plain.fleet, corrections=use)
    known = {key(): (replace(START, observed=1.2, applied=1.15), replace(START, gpu_kind="H100-80GB"))}
    snapshot = replace(plain, fleet=fleet, corrections=known)
    applies = use is CorrectionUse.APPLY
    assert applied_factors(snapshot) == ({key(): {"L4-24GB": 1.15}} if applies else {})
    before = inputs_of(replace(snapshot, corrections={}), NOW)
    assert (inputs_of(snapshot, NOW) != before) is applies
    moved = {key(): (replace(START, observed=1.21, applied=1.15),)}
    assert inputs_of(replace(snapshot, corrections=moved), NOW) == inputs_of(snapshot, NOW)
