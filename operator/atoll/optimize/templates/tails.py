"""How many requests see more than a given time per output token."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BISECTIONS = 20
WIDEST = 12.0
"""Standard deviations beyond which no request is looked for."""


def share_beyond(limit: float | Array, mean: Array, deviation: Array, steps: Array) -> Array:
    """Share of requests, by strategy, whose TPOT exceeds a limit.

    Args:
        limit: seconds.
        mean: TPOT, seconds, by answer length and strategy.
        deviation: of a request's TPOT about it, by answer length and strategy.
        steps: decode steps of equally likely answers; requests without any have no TPOT.
    """
    over = (limit - mean) / np.maximum(deviation, 1e-9 * mean)
    return np.asarray((_upper_tail(over) * (steps > 0.0)[:, None]).mean(axis=0))


def tpot_at(mean: Array, deviation: Array, steps: Array, percentile: float) -> Array:
    """TPOT that a percentile of requests does not exceed, seconds; zero where hardly any has one.

    Args:
        mean: TPOT, seconds, by answer length and strategy.
        deviation: of a request's TPOT about it, by answer length and strategy.
        steps: decode steps of equally likely answers.
        percentile: percent.
    """
    allowed = 1.0 - min(percentile, 99.99) / 100.0
    if (steps > 0.0).mean() <= allowed:
        return np.zeros(mean.shape[1])
    low, high = np.zeros(mean.shape[1]), (mean + WIDEST * deviation).max(axis=0)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        late = share_beyond(middle, mean, deviation, steps) > allowed
        low, high = np.where(late, middle, low), np.where(late, high, middle)
    return np.asarray(low)


def _upper_tail(deviations: Array) -> Array:
    """Of the normal distribution, within 1.4e-4 (Bowling et al., J. Industrial Engineering and Management 2, 2009)."""
    z = np.clip(deviations, -8.0, 8.0)
    return np.asarray(1.0 / (1.0 + np.exp(z * (1.5976 + 0.07056 * z * z))))
