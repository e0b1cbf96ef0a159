from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.render.quantities import MEBIBYTE, mebibytes, millicores, parse_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("500m", Decimal("0.5")),
        (4, 4),
        ("1.5", Decimal("1.5")),
        ("64Gi", 64 * 1024**3),
        ("1e3", 1000),
        ("2E", 2 * 10**18),
        ("10k", 10_000),
        ("100n", Decimal("1e-7")),
    ],
)
def test_quantities_as_apimachinery_reads_them(text: object, value: Decimal) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize("text", ["", "a lot", "64GB", "1e", "--1", "nan", "inf", "1 2", None])
def test_what_is_no_quantity_is_an_error(text: object) -> None:
    with pytest.raises(ValueError, match="quantity"):
        parse_quantity(text)


@given(st.integers(0, 10**7))
def test_written_quantities_are_read_back(value: int) -> None:
    assert parse_quantity(millicores(value)) * 1000 == value
    assert parse_quantity(mebibytes(value)) == value * MEBIBYTE
