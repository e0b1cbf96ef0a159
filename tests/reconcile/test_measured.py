"""State in, estimate and reason out: whatever a metrics server says, what serves is not given up for it."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.reason import Fault, Reason
from atoll.domain.signal import SAMPLES, DemandSignal, Kept, Measured, Reading, Schedule
from atoll.reconcile.measured import Pace, measure, read_kept, with_former

NOW = datetime(2026, 1, 5, 8, 0, 10, tzinfo=UTC)
STEP = 30.0
PACE = Pace(lead_seconds=966.0, keep_seconds=600.0)
SIGNAL = DemandSignal(minimum=0.5)
KEPT = Kept(estimate=25.0, level=25.0)
UNREACHABLE = Fault(reason=Reason.SIGNAL_UNREACHABLE, message="no answer")
HOUR = [25.0] * SAMPLES


def heard(*rates: float, age: float = 0.0, fault: Fault | None = None) -> Reading:
    """Samples on the grid, the last one so many seconds before the last moment of the grid."""
    last = math.floor(NOW.timestamp() / STEP) * STEP - age
    samples = tuple((last - back * STEP, rate) for back, rate in enumerate(reversed(rates)))
    return Reading(samples=samples[::-1], heard_at=NOW, fault=fault)


def measured(reading: Reading | None, kept: Kept = KEPT, signal: DemandSignal = SIGNAL) -> Measured:
    return measure(signal, reading, kept, PACE, NOW)


@pytest.mark.parametrize(
    ("reading", "reason", "estimate"),
    [
        (heard(*HOUR), Reason.MEASURED, 25.0),
        (heard(*HOUR, fault=UNREACHABLE), Reason.MEASURED, 25.0),
        (heard(*HOUR, age=150.0, fault=UNREACHABLE), Reason.SIGNAL_UNREACHABLE, 25.0),
        (heard(*[9.0] * SAMPLES, age=150.0), Reason.SIGNAL_STALE, 25.0),
        (heard(*[90.0] * SAMPLES, age=150.0), Reason.SIGNAL_STALE, 25.0),
        (None, Reason.AWAITING_SIGNAL, 25.0),
        (heard(90.0, 90.0), Reason.AWAITING_SIGNAL, 25.0),
        (heard(0.0, 0.0), Reason.AWAITING_SIGNAL, 25.0),
        (heard(90.0, 90.0, 90.0), Reason.MEASURED, 108.0),
        (heard(9.0, 9.0, 9.0), Reason.MEASURED, 25.0),
        (Reading(heard_at=NOW), Reason.SIGNAL_MISSING, 25.0),
        (Reading(fault=UNREACHABLE), Reason.SIGNAL_UNREACHABLE, 25.0),
        (heard(math.inf), Reason.INVALID_SIGNAL, 25.0),
        (heard(-1.0), Reason.INVALID_SIGNAL, 25.0),
        (heard(*HOUR, math.inf), Reason.MEASURED, 25.0),
        (heard(*HOUR, *[math.inf] * 6), Reason.INVALID_SIGNAL, 25.0),
        (heard(*HOUR, *[1e7] * 6), Reason.INVALID_SIGNAL, 25.0),
        (heard(*HOUR, 25_000.0), Reason.SIGNAL_SUSPECT, 25.0),
        (heard(*HOUR, 25_000.0, 25_000.0), Reason.SIGNAL_SUSPECT, 25.0),
        (heard(*HOUR, 25_000.0, 25_000.0, 25.0), Reason.MEASURED, 25.0),
        (heard(*HOUR, 200.0, 200.0, 200.0), Reason.MEASURED, 200.0),
        (heard(*([25.0] * 19 + [2_500.0]) * 20, 25.0), Reason.MEASURED, 25.0),
        (heard(*([25.0] * 19 + [2_500.0]) * 20), Reason.SIGNAL_SUSPECT, 25.0),
        (heard(*([25.0] * 19 + [0.0]) * 20), Reason.MEASURED, 25.0),
        (heard(*HOUR, 90.0), Reason.MEASURED, 90.0),
        (heard(*HOUR, 0.0), Reason.MEASURED, 25.0),
        (heard(*HOUR, *[math.nan] * 10), Reason.NO_TRAFFIC, 25.0),
        (heard(*[math.nan] * SAMPLES), Reason.NO_TRAFFIC, 0.0),
        (heard(*[0.0] * SAMPLES), Reason.NO_TRAFFIC, 0.0),
        (heard(*[0.0] * SAMPLES, 5.0), Reason.SIGNAL_SUSPECT, 0.0),
        (heard(*[0.0] * SAMPLES, 5.0, 5.0, 5.0), Reason.MEASURED, 5.0),
    ],
)
def test_r6_r7_r8_what_is_planned_for_by_what_was_heard(
    reading: Reading | None, reason: Reason, estimate: float
) -> None:
    found = measured(reading, KEPT if estimate else Kept(estimate=0.0, level=0.0))
    assert found.reason is reason
    assert found.estimate == pytest.approx(estimate)
    assert found.held == (reason not in {Reason.MEASURED, Reason.NO_TRAFFIC})


def test_r6_traffic_that_ends_goes_down_to_the_floor_after_the_keep_window_and_not_before() -> None:
    kept, asked = KEPT, []
    for count in range(1, 40):
        found = measured(heard(*HOUR[count:], *[math.nan] * count), kept)
        assert found.estimate is not None
        kept = Kept(estimate=found.estimate)
        asked.append(SIGNAL.planned(found.estimate, NOW))
    assert asked[:19] == [25.0] * 19
    assert asked[-1] == SIGNAL.minimum


def test_r8_what_is_held_says_what_until_when_and_why() -> None:
    said = measured(heard(*HOUR, age=150.0, fault=UNREACHABLE)).message
    assert said == "no answer; the estimate of 25 requests/s is held, measured until 2026-01-05T07:57:30Z"


def test_r8_after_a_restart_the_status_says_until_when_it_was_measured() -> None:
    until = NOW - timedelta(hours=3)
    found = measured(Reading(fault=UNREACHABLE), Kept(estimate=25.0, level=20.0, measured_until=until))
    assert (found.estimate, found.level, found.sampled_at) == (25.0, 20.0, until)


def test_never_measured_plans_the_floor_and_without_one_leaves_alone_what_may_serve() -> None:
    missing = Reading(heard_at=NOW)
    assert measured(missing, Kept()).estimate == 0.0
    assert measured(missing, Kept(), DemandSignal(minimum=0.0)).estimate is None
    assert measured(missing, Kept(), DemandSignal(schedule=Schedule(base=3.0))).floor == 3.0


def test_a_demand_that_was_fixed_before_is_held_at_what_is_planned_for_it() -> None:
    assert with_former(Kept(), 40.0).estimate == 40.0
    assert with_former(Kept(estimate=0.0), 40.0).estimate == 0.0
    assert with_former(Kept(), None) == Kept()


@pytest.mark.parametrize(
    "status", [None, {}, {"measured": None}, {"measured": 3}, {"measured": {"estimate": "x", "observedRate": -1}}]
)
def test_a_status_that_nobody_can_read_remembers_nothing(status: object) -> None:
    assert read_kept({"status": status}).estimate in {None, 0.0}


def test_gaps_count_as_what_was_before_them() -> None:
    whole = heard(*HOUR[:60], *[40.0] * 60)
    gappy = Reading(samples=tuple(sample for index, sample in enumerate(whole.samples) if index % 7), heard_at=NOW)
    assert measured(gappy).estimate == measured(whole).estimate


def test_what_was_decided_is_decided_again_from_the_same_samples() -> None:
    reading = heard(*(25.0 + 3.0 * math.sin(index) for index in range(SAMPLES)))
    first = measured(reading, Kept()).estimate
    assert measured(reading, Kept(estimate=first)).estimate == first


def test_estimates_have_three_digits_and_are_never_rounded_down() -> None:
    found = measured(heard(*[1234.5] * SAMPLES), Kept()).estimate
    assert found == 1240.0


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40),
    st.one_of(st.none(), st.floats(0.0, 1e6)),
)
def test_any_answer_gives_a_rate_that_can_be_planned_for(rates: list[float], estimate: float | None) -> None:
    found = measured(heard(*rates), Kept(estimate=estimate))
    assert found.estimate is not None
    assert 0.0 <= SIGNAL.planned(found.estimate, NOW) <= 1e6
