"""Numbers as people read them: thousands apart, no exponents, no more digits than matter."""

import math


def amount(value: float) -> str:
    """A rate or a count: two decimals at most from 1 up, two significant digits below, no trailing zeros."""
    size = abs(value)
    digits = 2 if size >= 1.0 or size == 0.0 else min(9, 1 - math.floor(math.log10(size)))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(value: float) -> str:
    """US dollars, to the cent."""
    return f"{value:,.2f}"


def counted(number: int, noun: str) -> str:
    """``1 node``, ``2 nodes``, ``12,000 nodes``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
