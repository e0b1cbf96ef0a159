"""What is planned for a measured demand: from what was heard and what the cluster remembers to an estimate or a hold.

Whatever a metrics server says, what serves is not given up for it (scenarios R6 to R8):

- no answer, no series, samples too old, a sample that is no rate: the last estimate is held, with the reason;
- no traffic, and 0/0 of it, is an answer: down to the floor, after the keep-window;
- a leap to more than four times what three samples of ten in the window have shown is believed once three samples of
  ten show it: a growth by less is followed at once; a lie of a sample or two moves nothing, however often it comes.

All samples come anew from a range query after a restart; the last estimate comes from the demand's status.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from atoll.domain.reason import Fault, Reason
from atoll.domain.signal import HISTORY, SAMPLES, DemandSignal, Kept, Measured, Reading
from atoll.reconcile.estimate import asked_rate, forecast
from atoll.reconcile.moments import format_moment, parse_moment

LEAP = 4.0
"""Times a confirmed rate of the window from which on a sample is doubted."""

CONFIRMED_BY = 3
"""Samples that confirm a rate, not far from each other."""

_NEAR = 10
"""Samples in a row among which they must be: lies that come one at a time, again and again, confirm nothing."""

MOST_REQUESTS_PER_SECOND = 1e6

_LEAST = 1e-6
"""Requests/s below which nobody asks: one request in eleven days."""

_DIGITS = 3
"""Of an estimate: it is stored and compared, and more would only be noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What the estimator must bridge.

    Attributes:
        lead_seconds: from a decision to a replica that serves, seconds.
        keep_seconds: demand must stay below for so long before less is asked for, seconds.
    """

    lead_seconds: float
    keep_seconds: float


def measure(signal: DemandSignal, reading: Reading | None, kept: Kept, pace: Pace, now: datetime) -> Measured:
    """The estimate of a measured demand, or the last one held, with the reason.

    Args:
        signal: how it is measured.
        reading: what was heard; None where nobody has asked since the operator started.
        kept: what the cluster remembers.
        pace: what the estimator must bridge.
        now: the moment.
    """
    if reading is None:
        return _held(signal, kept, Fault(reason=Reason.AWAITING_SIGNAL, message="not asked yet"), None, now)
    rates, wrong = _usable(reading.samples)
    stamped = reading.samples[: len(reading.samples) - wrong]
    last = datetime.fromtimestamp(stamped[-1][0], tz=UTC) if rates else None
    if last is None or now - last > timedelta(seconds=signal.stale_seconds + signal.step_seconds):
        return _held(signal, kept, reading.fault or _silence(reading, wrong, last, signal), last, now)
    filled = _evenly(stamped, rates, signal.step_seconds)[-HISTORY:]
    if kept.estimate is not None and len(filled) < CONFIRMED_BY:
        few = f"{len(filled)} of {CONFIRMED_BY} samples are known since the operator was started"
        return _held(signal, kept, Fault(reason=Reason.AWAITING_SIGNAL, message=few), last, now)
    believed, instead = _believed(filled)
    estimate = asked_rate(
        believed,
        kept.estimate,
        lead_samples=max(1, math.ceil(pace.lead_seconds / signal.step_seconds) + 1),
        keep_samples=max(1, math.ceil(pace.keep_seconds / signal.step_seconds)),
        quantile=signal.quantile,
    )
    level = forecast(believed, lead_samples=1).level
    reason, message = _standing(signal, filled, instead)
    return Measured(
        estimate=_rounded(min(estimate, MOST_REQUESTS_PER_SECOND)),
        reason=reason,
        message=message,
        latest=filled[-1],
        level=level,
        sampled_at=last,
        floor=signal.floor(now),
    )


def read_kept(demand: Mapping[str, Any]) -> Kept:
    """What a ModelDemand's status remembers; nothing of what nobody can read."""
    found = (demand.get("status") or {}).get("measured")
    if not isinstance(found, Mapping):
        return Kept()
    return Kept(
        estimate=_number(found.get("estimate", 0.0)),
        level=_number(found.get("observedRate", 0.0)),
        measured_until=parse_moment(found.get("measuredUntil")),
    )


def _number(value: object) -> float | None:
    is_rate = (
        isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= MOST_REQUESTS_PER_SECOND
    )
    return float(value) if is_rate else None  # type: ignore[arg-type]  # narrowed above


def _usable(samples: Sequence[tuple[float, float]]) -> tuple[list[float], int]:
    """Rates up to the last usable sample, and how many samples after it are no rates.

    0/0 is how a query says that there was no traffic. A sample before the last usable one that is no rate is taken for
    its predecessor: one bad scrape is not worth a hold.
    """
    rates: list[float] = []
    wrong = 0
    for _, value in samples:
        rate = 0.0 if math.isnan(value) else value
        if 0.0 <= rate <= MOST_REQUESTS_PER_SECOND:
            rates.extend([rates[-1] if rates else rate] * wrong)
            rates.append(rate)
            wrong = 0
        else:
            wrong += 1
    return rates, wrong


def _silence(reading: Reading, wrong: int, last: datetime | None, signal: DemandSignal) -> Fault:
    """Why there is no sample to go by although the query was answered."""
    if wrong:
        value = reading.samples[-1][1]
        return Fault(
            reason=Reason.INVALID_SIGNAL,
            message=f"the query gives {value!r}, not 0 to {MOST_REQUESTS_PER_SECOND:,.0f} requests/s: mend the query",
        )
    if last is None:
        return Fault(
            reason=Reason.SIGNAL_MISSING,
            message="the query gives no series: look whether its metrics are scraped and its labels are right",
        )
    return Fault(
        reason=Reason.SIGNAL_STALE,
        message=f"the last sample is older than staleAfter, {signal.stale_seconds:g} s: look whether its target is "
        "scraped",
    )


def _held(signal: DemandSignal, kept: Kept, fault: Fault, last: datetime | None, now: datetime) -> Measured:
    until, floor = last or kept.measured_until, signal.floor(now)
    if kept.estimate is None:
        said = f"nothing was measured before: the floor, {floor:g} requests/s, is planned for"
    else:
        said = f"the estimate of {kept.estimate:g} requests/s is held"
    return Measured(
        # Without a floor nothing is known, and what may serve it is left alone.
        estimate=kept.estimate if kept.estimate is not None or floor <= 0.0 else 0.0,
        reason=fault.reason,
        message=f"{fault.message}; {said}" + (f", measured until {format_moment(until)}" if until else ""),
        level=kept.level,
        sampled_at=until,
        floor=floor,
    )


def _evenly(samples: Sequence[tuple[float, float]], rates: Sequence[float], step: float) -> list[float]:
    """Rates on the whole grid: a sample that is missing is taken for its predecessor."""
    filled: list[float] = []
    before: float | None = None
    for (at, _), rate in zip(samples, rates, strict=True):
        missing = 0 if before is None else min(HISTORY, max(0, round((at - before) / step) - 1))
        filled.extend(filled[-1:] * missing)
        filled.append(rate)
        before = at
    return filled


def _believed(rates: Sequence[float]) -> tuple[list[float], float | None]:
    """The rates without leaps that too few samples confirm, and the rate that counts instead where the last one is.

    Of the last window by what the window has shown, and before it by what the whole history has. The first samples of
    all are believed, for there is nothing to doubt them by.
    """
    earlier, window = rates[:-SAMPLES], rates[-SAMPLES:]
    if len(rates) <= CONFIRMED_BY or max(rates) <= LEAP * min(median(rates), median(window)):
        return list(rates), None  # none is a leap: half of all samples confirm a quarter of it
    confirmed, ever = _confirmed(window), _confirmed(rates)
    believed = [min(rate, LEAP * ever) for rate in earlier]
    believed += [confirmed if rate > LEAP * confirmed else rate for rate in window]
    return believed, confirmed if rates[-1] > LEAP * confirmed else None


def _confirmed(rates: Sequence[float]) -> float:
    """The highest rate that enough samples near each other have shown."""
    ends = range(min(_NEAR, len(rates)), len(rates) + 1)
    return max(sorted(rates[max(0, end - _NEAR) : end])[-CONFIRMED_BY] for end in ends)


def _standing(signal: DemandSignal, rates: Sequence[float], instead: float | None) -> tuple[Reason, str]:
    if instead is not None:
        return Reason.SIGNAL_SUSPECT, (
            f"{rates[-1]:g} requests/s is more than {LEAP:g} times the {instead:g} that {CONFIRMED_BY} samples of the "
            f"window have shown: believed once {CONFIRMED_BY} samples, {signal.step_seconds:g} s apart, show it"
        )
    if not any(rates[-CONFIRMED_BY:]):
        return Reason.NO_TRAFFIC, "no requests come"
    return Reason.MEASURED, ""


def _rounded(estimate: float) -> float:
    """Up to three digits, never down: what is asked for must not fall below what is measured."""
    if estimate < _LEAST:
        return 0.0
    scale = 10.0 ** (_DIGITS - 1 - math.floor(math.log10(estimate)))
    up = math.ceil(estimate * scale * (1.0 - 1e-9)) / scale
    return float(f"{up:.{_DIGITS - 1}e}")


def with_former(kept: Kept, planned: float | None) -> Kept:
    """What is remembered where the status has nothing: what the plan in force was made for."""
    return kept if kept.estimate is not None or planned is None else replace(kept, estimate=planned)
