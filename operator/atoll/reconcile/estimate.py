"""From measured demand to the requests/s that a plan is made for: grow at once, shrink late, heed no noise.

A measured rate is a sample; a plan must last until the next one can be in place, that is for a start-up time. So what
is asked for is an upper quantile of demand over that time, from how wrong the same forecast was lately (design
section 5, uncertainty). What was asked for last is kept while it is about right:

- more is asked for as soon as most of the head-room is used up;
- less is asked for only once even the highest forecast of the whole keep-window would leave another head-room idle, and
  demand has stopped falling.

Noise moves neither: a mean over twenty samples wanders by a quarter of the noise, and the head-room is 1.6 times it.
Fixed and scheduled demand does not come this way (decision record 4): somebody wrote it, and it takes effect at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

HISTORY_SAMPLES = 120
"""Samples that are enough: with fewer, the quantile of the errors wanders with the noise."""

LONG_SAMPLES = 20
"""Samples of the mean that the forecast rests on while nothing happens."""

_SHORT_SAMPLES = (8, 4, 2, 1)
_SURE = 3.0
"""Standard errors by which the last few samples must lie off the long mean to be believed at once."""

_RELATIVE_DEVIATION = 1.4826 / math.sqrt(2.0)
"""From the median size of the step between two samples to their standard deviation, for normal noise."""

FIRST_HEADROOM = 0.2
"""Head-room while there are too few samples to tell how noisy demand is: the default of a ModelDemand's query."""

_FEWEST_SAMPLES = 5

_LEFT = 0.25
"""Share of the head-room that is left when more is asked for."""

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

    The level is the mean of the last twenty samples, as far as the very last ones do not surely say otherwise. The
    quantile is that of the forecast's errors one sample ahead, times the growth over the lead that most of the time
    lately had (the lower quartile, so that a single jump is no trend).

    Args:
        rates: measured requests/s, evenly spaced, oldest first; at least one, finite. ``HISTORY_SAMPLES`` are enough.
        lead_samples: until a plan that is made now is in place, in samples.
        quantile: of demand that is to be served, 0 to 1.
    """
    return _forecast(rates, _levels(rates), lead_samples, quantile)


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
    levels = _levels(rates)
    ends = range(max(1, len(rates) - keep_samples + 1), len(rates) + 1)
    recent = [_forecast(rates[:end], levels[:end], lead_samples, quantile) for end in ends]
    now, peak = recent[-1], max(item.upper for item in recent)
    if asked is None:
        return peak
    if now.level * (1.0 + _LEFT * now.headroom) > asked:
        return peak
    settled = peak <= now.upper * (1.0 + max(now.headroom, _SETTLED))
    return peak if settled and peak * (1.0 + now.headroom) < asked else asked


def _forecast(rates: Sequence[float], levels: Sequence[float], lead_samples: int, quantile: float) -> Forecast:
    level = levels[-1]
    if len(rates) < _FEWEST_SAMPLES:
        return Forecast(level=level, upper=level * (1.0 + FIRST_HEADROOM))
    errors = sorted(after / before for before, after in zip(levels, rates[1:], strict=False) if before > 0.0)
    growths = sorted(
        after / before for before, after in zip(levels, levels[lead_samples:], strict=False) if before > 0.0
    )
    error = errors[min(len(errors) - 1, int(quantile * len(errors)))] if errors else 1.0
    growth = growths[len(growths) // 4] if growths else 1.0
    return Forecast(level=level, upper=level * max(1.0, error) * max(1.0, growth))


def _levels(rates: Sequence[float]) -> list[float]:
    """The level after each sample."""
    noise = _noise(rates)
    return [_level(rates[max(0, end - LONG_SAMPLES) : end], noise) for end in range(1, len(rates) + 1)]


def _noise(rates: Sequence[float]) -> float:
    """Standard deviation of a sample, as a share of its level; a jump or two do not count."""
    steps = [2.0 * abs(after - before) / (after + before) for before, after in pairwise(rates) if after + before > 0.0]
    return _RELATIVE_DEVIATION * median(steps) if steps else 0.0


def _level(rates: Sequence[float], noise: float) -> float:
    level = fmean(rates)
    for count in _SHORT_SAMPLES:
        mean, error = fmean(rates[-count:]), _SURE * noise / math.sqrt(count)
        level = min(max(level, mean * (1.0 - error)), mean * (1.0 + error))
    return level
