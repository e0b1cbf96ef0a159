"""Floors by the clock of a place, and what is planned for within a demand's limits."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from atoll.domain.signal import DemandSignal, Floor, Schedule

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Schedule(
    base=1.0,
    zone=BERLIN,
    floors=(
        Floor(start=time(8), end=time(18), days=frozenset(range(5)), rate=20.0),
        Floor(start=time(22), end=time(2), days=frozenset({4}), rate=30.0),
        Floor(start=time(9), end=time(10), days=frozenset(), rate=5.0),
    ),
)


@pytest.mark.parametrize(
    ("moment", "rate"),
    [
        ("2026-01-05T06:59:59+00:00", 1.0),  # Monday, one second to eight in winter
        ("2026-01-05T07:00:00+00:00", 20.0),
        ("2026-07-06T06:00:00+00:00", 20.0),  # Monday, eight in summer
        ("2026-07-06T05:59:00+00:00", 1.0),
        ("2026-01-05T16:59:59+00:00", 20.0),
        ("2026-01-05T17:00:00+00:00", 1.0),
        ("2026-01-09T21:30:00+00:00", 30.0),  # Friday night
        ("2026-01-10T00:30:00+00:00", 30.0),  # and Saturday, before two
        ("2026-01-10T01:00:00+00:00", 1.0),
        ("2026-01-11T08:30:00+00:00", 5.0),  # Sunday
    ],
)
def test_r19_floors_follow_the_clock_of_their_place(moment: str, rate: float) -> None:
    assert OFFICE.rate(datetime.fromisoformat(moment)) == rate


def test_an_hour_that_the_clock_shows_twice_counts_twice() -> None:
    night = Schedule(zone=BERLIN, floors=(Floor(start=time(2), end=time(3), days=frozenset(), rate=7.0),))
    summer, winter = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert [night.rate(moment) for moment in (summer, winter)] == [7.0, 7.0]
    assert night.rate(datetime(2026, 10, 25, 2, 0, tzinfo=UTC)) == 0.0


def test_start_equal_to_end_is_the_whole_day() -> None:
    always = Schedule(floors=(Floor(start=time(0), end=time(0), days=frozenset(), rate=7.0),))
    assert always.rate(datetime(2026, 1, 5, 0, 0, tzinfo=UTC)) == 7.0
    assert always.rate(datetime(2026, 1, 5, 23, 59, 59, tzinfo=UTC)) == 7.0
    assert always.peak == 7.0


def test_headroom_then_limits_then_floors_by_the_clock() -> None:
    now = datetime(2026, 1, 5, 8, tzinfo=UTC)
    signal = DemandSignal(headroom=0.5, minimum=2.0, maximum=10.0)
    assert [signal.planned(estimate, now) for estimate in (0.0, 4.0, 40.0)] == [2.0, 6.0, 10.0]
    scheduled = DemandSignal(maximum=10.0, schedule=OFFICE)
    assert scheduled.planned(40.0, now) == 20.0, "a floor that somebody wrote wins over the limit of what is measured"


@pytest.mark.parametrize(("window", "step"), [(600.0, 5.0), (3600.0, 30.0), (86400.0, 720.0)])
def test_a_window_has_as_many_samples_as_the_estimator_wants(window: float, step: float) -> None:
    assert DemandSignal(window_seconds=window).step_seconds == step
