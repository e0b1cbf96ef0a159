"""How unserved demand and broken soft limits are measured: one definition for program and heuristics.

Levels are minimised one after the other, never added up, so no weight has to dominate another (no big-M):
``shortfall/<priority>`` from the highest priority down, ``limits``, ``budget``, ``preference``, then ``cost``.
"""

BREAKS = (0.05, 0.10, 0.25, 0.50, 1.00)
"""Unserved shares at which the penalty grows steeper (design section 5): many are trimmed before one is dropped."""

SLOPES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Penalty per unserved share between one break and the next; rising, so the penalty is convex."""

FIX_TOLERANCE = 1e-6
"""By how much a level may worsen while later ones are minimised, in the level's unit."""

COVER_TOLERANCE = 1e-6
"""Unserved share of a demand that counts as none: HiGHS keeps rows to 1e-6."""

LIMITS = "limits"
BUDGET = "budget"
PREFERENCE = "preference"
COST = "cost"


def shortfall_level(priority: int) -> str:
    """Name of the level at which a priority's shortfall is minimised."""
    return f"shortfall/{priority}"


def penalty(unserved: float) -> float:
    """Penalty of one demand's unserved share (0 to 1), dimensionless."""
    total = previous = 0.0
    for limit, slope in zip(BREAKS, SLOPES, strict=True):
        total += slope * max(0.0, min(unserved, limit) - previous)
        previous = limit
    return total


def most_unserved(value: float) -> float:
    """The largest unserved share of one demand whose penalty is no more than this."""
    share = below = 0.0
    for limit, slope in zip(BREAKS, SLOPES, strict=True):
        piece = min(limit - below, max(0.0, value) / slope)
        share, value, below = share + piece, value - slope * piece, limit
    return min(1.0, share + FIX_TOLERANCE) if share > 0.0 else 0.0
