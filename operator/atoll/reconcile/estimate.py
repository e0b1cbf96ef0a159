"""From measured demand to the requests/s that a plan is made for: grow at once, shrink late, heed no noise.

A measured rate is a sample; a plan must last until the next one can be in place, that is for a start-up time. So what
is asked for is an upper quantile of demand over that time, from how wrong the same forecast was lately (design
section 5, uncertainty). What was asked for last is kept while it is about right:

- more is asked for as soon as half of the head-room is used up;
- less is asked for only once even the highest forecast of the whole keep-window would leave another head-room idle, and
  demand has stopped falling.

Noise moves neither: a mean over twenty samples wanders by a quarter of the noise, and the head-room is 1.6 times it.
Fixed and scheduled demand does not come this way (decision record 4): somebody wrote it, and it takes effect at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from statistics import median

from atoll.domain.signal import HISTORY, SAMPLES

HISTORY_SAMPLES = HISTORY

LONG_SAMPLES = 20
"""Samples of the mean that the forecast rests on while nothing happens."""

_SHORT_SAMPLES = (8, 4, 2, 1)
_SURE = 3.0
"""Standard errors by which the last few samples must lie off the long mean to be believed at once."""

_RELATIVE_DEVIATION = 1.4826 / math.sqrt(2.0)
"""From the median size of the step between two samples to their standard deviation, for normal noise."""

FIRST_HEADROOM = 0.2
"""Head-room while there are too few samples to tell how noisy demand is."""

_FAR = 5
"""Samples that are so far apart are taken to be independent: `rate` over five times the step at most."""

_MOST_ALIKE = 0.9
"""Correlation of neighbouring samples beyond which it is demand that moves, not noise."""

_FEWEST_SAMPLES = 5

_LEFT = 0.5
"""Share of the head-room that is left when more is asked for."""

_GROWTH = 0.9
"""Quantile of the growth over the lead that is reckoned with."""

_TREND = 0.25
"""Quantile of that growth by which more than was ever seen is expected: most of the window grew so, no single jump."""

_UNSEEN = 2.0
"""The same while there are too few samples to tell a trend."""

_FARTHEST = 2.0
"""Times the highest sample beyond which its own errors over the lead ask for nothing."""

_SETTLED = 0.05
"""Demand has stopped falling when the highest forecast of the keep-window is above the present one by this at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What demand is expected to be until the next plan can be in place.

    Attributes:
        level: requests/s now, without noise.
        upper: quantile of requests/s until then.
    """

    level: float
    upper: float

    @property
    def headroom(self) -> float:
        """Share by which the quantile is above the level."""
        return self.upper / self.level - 1.0 if self.level > 0.0 else 0.0


def forecast(rates: Sequence[float], *, lead_samples: int, quantile: float = 0.95) -> Forecast:
    """What is to be expected after these samples.

    The level is the mean of the last twenty samples, as far as the very last ones do not surely say otherwise. Two ways
    say what is above it, and the higher counts:

    - of the window: the quantile of the forecast's errors one sample ahead, times the growth over the lead that only a
      tenth of the window exceeded; but no more than the highest sample times the growth that three quarters of it
      reached, so that a single jump is no trend and bursts from next to nothing are not multiplied;
    - of the whole history: the quantile of the level's own errors over the lead, as a conformal forecast takes it: it
      learns what the window is too short for, and promises its quantile as far as the next hours are like the last.

    Args:
        rates: measured requests/s, evenly spaced, oldest first; at least one, finite. ``HISTORY_SAMPLES`` are enough.
        lead_samples: until a plan that is made now is in place, in samples.
        quantile: of demand that is to be served, 0 to 1.
    """
    levels = _levels(rates)
    return _forecast(rates, levels, lead_samples, quantile, _moved(rates, levels, lead_samples, quantile))


def asked_rate(
    rates: Sequence[float], asked: float | None, *, lead_samples: int, keep_samples: int, quantile: float = 0.95
) -> float:
    """Requests/s that a plan should be made for now.

    Args:
        rates: as for ``forecast``.
        asked: what was asked for last, as the plan in force tells; None before the first plan.
        lead_samples: as for ``forecast``.
        keep_samples: the keep-window, in samples; at least 1.
        quantile: as for ``forecast``.
    """
    now, peak = _outlook(tuple(rates), lead_samples, keep_samples, quantile)
    if asked is None:
        return peak
    if now.level * (1.0 + _LEFT * now.headroom) > asked:
        return peak
    if len(rates) < min(keep_samples, HISTORY_SAMPLES):
        return asked  # a keep-window of which only the end is known; of a longer one than is kept, that much is enough
    settled = peak <= now.upper * (1.0 + max(now.headroom, _SETTLED))
    return peak if settled and peak * (1.0 + now.headroom) < asked else asked


@lru_cache(maxsize=4096)
def _outlook(rates: tuple[float, ...], lead_samples: int, keep_samples: int, quantile: float) -> tuple[Forecast, float]:
    """The present forecast, and the highest upper one of the keep-window.

    Remembered, because one reading is looked at by many snapshots.
    """
    levels = _levels(rates)
    ends = range(max(min(_FEWEST_SAMPLES, len(rates)), len(rates) - keep_samples + 1), len(rates) + 1)
    moved = _moved(rates, levels, lead_samples, quantile)
    recent = [
        _forecast(
            rates[max(0, end - SAMPLES) : end], levels[max(0, end - SAMPLES) : end], lead_samples, quantile, moved
        )
        for end in ends
    ]
    return recent[-1], max(item.upper for item in recent)


def _moved(rates: Sequence[float], levels: Sequence[float], lead_samples: int, quantile: float) -> float:
    """Quantile of demand over the level a lead before it; 1 while fewer are known than a window has samples."""
    ratios = [after / before for before, after in zip(levels, rates[lead_samples:], strict=False) if before > 0.0]
    return _ratio(sorted(ratios), quantile) if len(ratios) >= SAMPLES else 1.0


def _forecast(
    rates: Sequence[float], levels: Sequence[float], lead_samples: int, quantile: float, moved: float
) -> Forecast:
    """By the window that ends with these samples, and by the errors over the lead of the whole history."""
    rates, levels = rates[-SAMPLES:], levels[-SAMPLES:]
    level = levels[-1]
    if len(rates) < _FEWEST_SAMPLES:
        return Forecast(level=level, upper=level * (1.0 + FIRST_HEADROOM))
    errors = sorted(after / before for before, after in zip(levels, rates[1:], strict=False) if before > 0.0)
    growths = sorted(
        after / before for before, after in zip(levels, levels[lead_samples:], strict=False) if before > 0.0
    )
    upper = level * _ratio(errors, quantile) * _ratio(growths, _GROWTH)
    most = max(rates) * (_ratio(growths, _TREND) if len(rates) >= LONG_SAMPLES else _UNSEEN)
    far = min(level * moved, _FARTHEST * max(rates))
    return Forecast(level=level, upper=max(level, min(upper, most), far))


def _ratio(ordered: Sequence[float], quantile: float) -> float:
    """A quantile of ratios; never below 1, and 1 where there are none."""
    return max(1.0, ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]) if ordered else 1.0


def _levels(rates: Sequence[float]) -> list[float]:
    """The level after each sample: the long mean, moved as far as shorter ones surely lie off it."""
    noise = _noise(rates[-SAMPLES:])
    errors = [(count, _SURE * noise / math.sqrt(count)) for count in _SHORT_SAMPLES]
    sums = [0.0, *accumulate(rates)]
    levels = []
    for end in range(1, len(rates) + 1):
        begin = max(0, end - LONG_SAMPLES)
        level = (sums[end] - sums[begin]) / (end - begin)
        for count, error in errors:
            since = max(0, end - count)
            mean = (sums[end] - sums[since]) / (end - since)
            level = min(max(level, mean * (1.0 - error)), mean * (1.0 + error))
        levels.append(max(0.0, level))
    return levels


def _noise(rates: Sequence[float]) -> float:
    """Standard deviation of a sample, as a share of its level, as a mean of many samples would have it.

    From steps between samples; a jump or two do not count. Samples that a query takes over windows longer than their
    distance are alike: their steps show too little of the noise, and a mean of them keeps more of it. Steps between
    samples farther apart show the one, and their ratio the other (as for a first-order autoregressive noise).
    """
    near, far = _deviation(rates, 1), _deviation(rates, _FAR)
    if near <= 0.0 or far <= near:
        return near
    alike = min(_MOST_ALIKE, 1.0 - (near / far) ** 2)
    return far * math.sqrt((1.0 + alike) / (1.0 - alike))


def _deviation(rates: Sequence[float], apart: int) -> float:
    """Standard deviation of a sample by steps over so many samples; steady growth is no noise."""
    steps = [
        2.0 * (after - before) / (after + before)
        for before, after in zip(rates, rates[apart:], strict=False)
        if after + before > 0.0
    ]
    if not steps:
        return 0.0
    usual = median(steps)
    return _RELATIVE_DEVIATION * median([abs(step - usual) for step in steps])
