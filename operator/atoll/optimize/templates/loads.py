"""The grid of loads at which costs are tabulated: how many requests come in one slot, from idle to full."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atoll.domain.engineterms import CHUNK_TOKENS

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
POINTS_PER_OCTAVE = 8
OCTAVES = 14
"""From full to a load at which a replica is all but idle."""
LARGEST_BATCH = 256
"""Largest decode batch of one stage: the largest that the silicon tables know."""
FULL = float(OCTAVES * POINTS_PER_OCTAVE)
"""Position of the largest load; position 0 is the smallest, and each step of one is a factor 2^(1/8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """Loads of one workload.

    Attributes:
        most: requests that come in one slot at the largest load: they fill the batch or the step's prompt tokens.
        steps: mean decode steps of a request.
    """

    most: float
    steps: float

    def requests(self, position: Array) -> Array:
        """Requests that come in one slot."""
        return np.asarray(self.most * 2.0 ** (position / POINTS_PER_OCTAVE - OCTAVES))

    def batch(self, position: Array) -> Array:
        """Sequences that decode together: as many leave as come, each after its steps."""
        return self.requests(position) * self.steps


def loads_of(steps: float, computed_tokens: float) -> Loads:
    """Loads up to the largest batch, or up to steps whose prompt tokens are all taken.

    Args:
        steps: mean decode steps of a request.
        computed_tokens: mean prompt tokens of a request that the prefix cache does not hold.
    """
    most = min(LARGEST_BATCH / max(steps, 1e-9), CHUNK_TOKENS / computed_tokens)
    return Loads(most=most, steps=steps)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """Where curves are looked up at a load, linear between points; made once and used for many tables.

    Attributes:
        index: of the point to the left, in a table laid out flat.
        share: of the way to the next point.
    """

    index: Indices
    share: Array

    def at(self, table: Array) -> Array:
        """Values of a table by curve and load."""
        flat = table.reshape(-1)
        left = flat[self.index]
        return np.asarray(left + self.share * (flat[self.index + 1] - left))


def place_of(curve: Indices, position: Array) -> Place:
    """Look up curves at a load.

    Args:
        curve: rows of strategies, or of strategies and stages.
        position: of the load, by strategy.
    """
    left = np.minimum(position.astype(np.int64), int(FULL) - 1)
    share = position - left
    if curve.ndim > 1:
        left, share = left[:, None], share[:, None]
    return Place(index=curve * (int(FULL) + 1) + left, share=share)
