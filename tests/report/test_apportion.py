"""Whole parts of a total: they add up, and none is further from its due than a unit."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.report.apportion import apportioned

WEIGHTS = st.lists(st.floats(min_value=0.0, max_value=1e9, allow_subnormal=False), min_size=1, max_size=30)


@given(total=st.integers(min_value=0, max_value=10**12), weights=WEIGHTS)
def test_parts_add_up_and_none_is_a_unit_off(total: int, weights: list[float]) -> None:
    parts = apportioned(total, weights)

    assert sum(parts) == total
    whole = sum(map(Fraction, weights))
    if whole:
        assert all(
            abs(part - total * Fraction(weight) / whole) < 1 for part, weight in zip(parts, weights, strict=True)
        )


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (10, [1.0, 1.0, 1.0], [4, 3, 3]),
        (100, [2.0, 1.0], [67, 33]),
        (3, [0.0, 0.0], [2, 1]),  # equal where no weight tells
        (7, [0.0, 5.0], [0, 7]),
        (0, [], []),
    ],
)
def test_what_is_left_over_goes_to_the_largest_remainders(total: int, weights: list[float], parts: list[int]) -> None:
    assert apportioned(total, weights) == parts
