import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.reconcile.estimate import FIRST_HEADROOM, HISTORY_SAMPLES, asked_rate, forecast

LEAD, KEEP = 17, 10


def asked_over(rates: list[float], first: int) -> list[float]:
    """What is asked for at every sample from ``first`` on."""
    asked: list[float] = []
    for end in range(first, len(rates) + 1):
        seen = rates[max(0, end - HISTORY_SAMPLES) : end]
        asked.append(asked_rate(seen, asked[-1] if asked else None, lead_samples=LEAD, keep_samples=KEEP))
    return asked


def noisy(level: float, noise: float, count: int, seed: int) -> list[float]:
    source = random.Random(seed)  # noqa: S311  # noise, no secret
    return [max(0.0, level * (1.0 + source.gauss(0.0, noise))) for _ in range(count)]


def changes(values: list[float]) -> int:
    return sum(before != after for before, after in pairwise(values))


@pytest.mark.parametrize("seed", range(8))
def test_r1_noise_of_a_twentieth_asks_for_nothing_new_in_a_hundred_samples(seed: int) -> None:
    asked = asked_over(noisy(25.0, 0.05, HISTORY_SAMPLES + 100, seed), HISTORY_SAMPLES)

    assert changes(asked) == 0
    assert 25.0 * 1.05 < asked[0] < 25.0 * 1.2


def test_at_least_nineteen_of_twenty_samples_are_below_what_is_asked_for() -> None:
    rates = noisy(25.0, 0.05, 1000, seed=7)

    asked = asked_over(rates, HISTORY_SAMPLES)
    below = [rate <= known for rate, known in zip(rates[HISTORY_SAMPLES:], asked, strict=False)]

    assert sum(below) / len(below) >= 0.95


def test_steady_demand_without_noise_needs_no_headroom() -> None:
    assert asked_rate([25.0] * 30, None, lead_samples=LEAD, keep_samples=KEEP) == 25.0


def test_a_jump_is_followed_at_once() -> None:
    asked = asked_over([25.0] * 60 + [40.0], 60)

    assert asked == [25.0, 40.0]


def test_a_jump_in_noise_is_followed_by_nine_tenths_in_two_samples_and_the_rest_in_six() -> None:
    asked = asked_over(noisy(25.0, 0.05, 60, seed=3) + noisy(40.0, 0.05, 6, seed=4), 60)

    assert asked[2] >= 36.0
    assert asked[6] >= 39.0


def test_less_is_asked_for_once_after_the_keep_window_and_not_before() -> None:
    asked = asked_over([40.0] * 60 + [20.0] * 60, 60)

    assert asked[:KEEP] == [40.0] * KEEP
    assert asked[-1] == 20.0
    assert changes(asked) == 1


def test_a_dip_shorter_than_the_keep_window_asks_for_nothing_less() -> None:
    asked = asked_over([40.0] * 60 + [20.0] * (KEEP - 1) + [40.0] * 30, 60)

    assert changes(asked) == 0


def test_growth_that_goes_on_is_asked_for_ahead() -> None:
    rates = [25.0 * 1.01**number for number in range(60)]

    assert forecast(rates, lead_samples=LEAD).upper >= rates[-1] * 1.01**LEAD * 0.99


def test_with_few_samples_the_usual_headroom_is_taken() -> None:
    found = forecast([10.0], lead_samples=LEAD)

    assert found.upper == pytest.approx(10.0 * (1.0 + FIRST_HEADROOM))
    assert found.headroom == pytest.approx(FIRST_HEADROOM)


def test_r6_demand_that_stops_goes_down_to_nothing() -> None:
    assert asked_over([40.0] * 60 + [0.0] * 60, 60)[-1] == 0.0


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=60), st.one_of(st.none(), st.floats(0.0, 1e6)))
def test_what_is_asked_for_is_never_below_the_level(rates: list[float], asked: float | None) -> None:
    level = forecast(rates, lead_samples=LEAD).level

    assert asked_rate(rates, asked, lead_samples=LEAD, keep_samples=KEEP) >= level * (1.0 - 1e-9)


def swinging(count: int) -> list[float]:
    """Demand that doubles and halves within an hour, smoothly: of an hour nobody can tell how far it goes."""
    return [100.0 * 2.0 ** (0.5 - 0.5 * math.cos(2.0 * math.pi * number / 120.0)) for number in range(count)]


def test_errors_over_the_lead_of_the_whole_history_are_learned_from() -> None:
    rates = swinging(HISTORY_SAMPLES)
    late = rates[: HISTORY_SAMPLES - 110]  # as demand is about to rise again
    known = forecast(late, lead_samples=LEAD).upper
    assert forecast(late[-100:], lead_samples=LEAD).upper < known
    assert known >= max(rates[len(late) : len(late) + LEAD])


def test_bursts_from_next_to_nothing_are_planned_for_by_their_height_and_not_by_their_growth() -> None:
    rates = ([0.001] * 9 + [10.0]) * (HISTORY_SAMPLES // 10)
    assert forecast(rates, lead_samples=LEAD).upper <= 2.0 * 10.0


def test_less_is_not_asked_for_before_a_whole_keep_window_is_known() -> None:
    assert asked_rate([20.0] * (KEEP - 1), 40.0, lead_samples=LEAD, keep_samples=KEEP) == 40.0
    assert asked_rate([20.0] * KEEP, 40.0, lead_samples=LEAD, keep_samples=KEEP) < 40.0
    assert asked_rate([80.0], 40.0, lead_samples=LEAD, keep_samples=KEEP) >= 80.0, "growth does not wait"


def test_a_keep_window_longer_than_all_that_is_kept_still_ends() -> None:
    known = [20.0] * HISTORY_SAMPLES
    assert asked_rate(known, 40.0, lead_samples=LEAD, keep_samples=3 * HISTORY_SAMPLES) < 40.0
