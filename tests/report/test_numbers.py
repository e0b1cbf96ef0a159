"""Numbers for people: no exponents, thousands apart, no digits that say nothing."""

import pytest

from atoll.report.numbers import amount, counted, money


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (25.0, "25"),
        (2.5, "2.5"),
        (12.345, "12.35"),
        (0.5, "0.5"),
        (0.0004, "0.0004"),
        (0.00123456, "0.0012"),
        (999.999, "1,000"),
        (1e6, "1,000,000"),
        (1234567.891, "1,234,567.89"),
        (1e-15, "0"),
    ],
)
def test_amounts(value: float, text: str) -> None:
    assert amount(value) == text


def test_money_has_cents_and_thousands() -> None:
    assert (money(0.0), money(1234567.891)) == ("0.00", "1,234,567.89")


def test_one_is_singular() -> None:
    assert [counted(n, "node") for n in (0, 1, 2, 12_000)] == ["0 nodes", "1 node", "2 nodes", "12,000 nodes"]
