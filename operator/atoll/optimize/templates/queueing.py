"""How long prompts wait before their prefill, and the percentile of what they then see."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ENDLESS_SECONDS = 1e9
"""Wait of a queue that only grows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wait:
    """Waiting before prefill: utilisation, mean seconds and their variance, by strategy."""

    utilisation: Array
    mean: Array
    variance: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Service:
    """Seconds that a prompt takes of the slowest stage, by strategy: mean, and mean of the square."""

    mean: Array
    square: Array


def queueing(rate: Array, behind: Service, first: Service, arrival_cv: float) -> Wait:
    """Waiting in a G/G/1 queue by Allen and Cunneen's approximation; endless where the utilisation reaches one.

    mean = (ca^2 + cs^2) / 2 x utilisation / (1 - utilisation) x service (Allen, Probability, Statistics and Queueing
    Theory, 2nd ed., section 5.3). A prompt that finds nobody waiting fills its step alone and so takes longer; that
    adds rate (E[F^2] - E[S^2]) / (2 (1 + rate (E[F] - E[S]))) (Welch, Operations Research 12, 1964). The variance is
    that of M/G/1, mean^2 + rate E[S^3] / (3 (1 - utilisation)) (Takacs), with log-normal service.

    Args:
        rate: requests/s.
        behind: service of a prompt that waits behind others.
        first: service of one that does not.
        arrival_cv: coefficient of variation of the time between requests.
    """
    busy = rate * behind.mean
    below = np.minimum(busy, 1.0 - 1e-9)
    service_cv2 = behind.square / behind.mean**2 - 1.0
    variation = arrival_cv**2 + service_cv2
    more = np.maximum(first.square - behind.square, 0.0) * variation / (1.0 + service_cv2)
    mean = variation / 2.0 * below / (1.0 - below) * behind.mean
    mean += rate * more / (2.0 * (1.0 + rate * np.maximum(first.mean - behind.mean, 0.0)))
    cube = behind.mean**3 * (1.0 + service_cv2) ** 3
    tail = variation / (1.0 + service_cv2) * rate * cube / (3.0 * (1.0 - below))
    return Wait(
        utilisation=busy,
        mean=np.where(busy < 1.0, mean, ENDLESS_SECONDS),
        variance=mean**2 + tail,
    )


def log_normal_at(mean: Array, variance: Array, percentile: float) -> Array:
    """Percentile of the log-normal distribution with a mean and variance."""
    spread = np.log1p(variance / mean**2)
    z = NormalDist().inv_cdf(min(max(percentile, 0.01), 99.99) / 100.0)
    return np.asarray(mean * np.exp(z * np.sqrt(spread) - spread / 2.0))
