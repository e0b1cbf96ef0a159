"""Durations and quantities mean what they mean to Kubernetes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.api.quantities import mebibytes, millicores, seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [("1200ms", 1.2), ("1.5s", 1.5), ("10m", 600.0), ("1h30m", 5400.0), ("0s", 0.0), ("1m1ms", 60.001)],
)
def test_durations_are_go_s(text: str, value: float) -> None:
    assert seconds(text) == value


@given(st.integers(0, 10**6))
def test_milliseconds_are_exact(millis: int) -> None:
    assert seconds(f"{millis}ms") == millis / 1000


@pytest.mark.parametrize(("text", "value"), [("3920m", 3920), (8, 8000), ("0.5", 500), ("1k", 1_000_000)])
def test_cpu_is_in_thousandths_of_a_core(text: int | str, value: int) -> None:
    assert millicores(text) == value


@pytest.mark.parametrize(("text", "value"), [("14Gi", 14336), ("17Mi", 17), ("1G", 953), (2**20, 1), ("1Ti", 2**20)])
def test_memory_is_in_mib(text: int | str, value: int) -> None:
    assert mebibytes(text) == value
