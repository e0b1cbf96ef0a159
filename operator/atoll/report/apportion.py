"""Whole numbers that add up: a total shared out by weights, nothing lost to rounding."""

from collections.abc import Sequence
from fractions import Fraction


def apportioned(total: int, weights: Sequence[float]) -> list[int]:
    """Whole parts of a total by weights, each less than 1 from its exact part, that add up to the total.

    What rounding down leaves over goes to the largest remainders (Hamilton's method), the first of equal ones first.

    Args:
        total: to share out, at least 0.
        weights: at least 0 each; where all are 0, they count as equal.
    """
    exact = [Fraction(weight) for weight in weights]
    whole = sum(exact)
    if not whole:
        exact, whole = [Fraction(1)] * len(exact), Fraction(len(exact))
    due = [total * weight / whole for weight in exact]
    parts = [int(part) for part in due]
    largest = sorted(range(len(due)), key=lambda index: parts[index] - due[index])
    for index in largest[: total - sum(parts)]:
        parts[index] += 1
    return parts
