"""Ways to say what to plan for, and what each would have had in place at every moment."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from atoll.domain.signal import HISTORY, SAMPLES, DemandSignal, Kept, Reading
from atoll.reconcile.measured import Pace, measure
from benchmarks.estimate.curves import STEP_SECONDS

Asked = list[float]
"""What is planned for after each sample, requests/s."""

START = datetime(2026, 1, 5, tzinfo=UTC)
NAIVE_HEADROOM = 0.2


def atoll(rates: Sequence[float | None], lead_seconds: float, keep_seconds: float) -> Asked:
    """The operator's own decision after every sample; all that it keeps is its last estimate."""
    signal = DemandSignal(window_seconds=STEP_SECONDS * SAMPLES)
    pace = Pace(lead_seconds=lead_seconds, keep_seconds=keep_seconds)
    kept, asked = Kept(), []
    samples: list[tuple[float, float]] = []
    for index, rate in enumerate(rates):
        now = START + timedelta(seconds=index * STEP_SECONDS)
        if rate is not None:
            samples = [*samples, (now.timestamp(), rate)][-HISTORY:]
        since = now.timestamp() - STEP_SECONDS * HISTORY
        reading = Reading(samples=tuple(sample for sample in samples if sample[0] > since), heard_at=now)
        found = measure(signal, reading, kept, pace, now)
        kept = Kept(estimate=found.estimate)
        asked.append(found.estimate or 0.0)
    return asked


def last_value(rates: Sequence[float | None], lead_seconds: float, keep_seconds: float) -> Asked:
    """The last sample and a fifth, as autoscalers are often set up."""
    del lead_seconds, keep_seconds
    last, asked = 0.0, []
    for rate in rates:
        last = rate if rate is not None else last
        asked.append(last * (1.0 + NAIVE_HEADROOM))
    return asked


def window_quantile(rates: Sequence[float | None], lead_seconds: float, keep_seconds: float) -> Asked:
    """The 0.95 quantile of the samples of the same window."""
    del lead_seconds, keep_seconds
    asked = [0.0]
    for end in range(1, len(rates) + 1):
        window = sorted(rate for rate in rates[max(0, end - SAMPLES) : end] if rate is not None)
        asked.append(window[min(len(window) - 1, int(0.95 * len(window)))] if window else asked[-1])
    return asked[1:]


WAYS: dict[str, Callable[[Sequence[float | None], float, float], Asked]] = {
    "atoll": atoll,
    "last value x 1.2": last_value,
    "0.95 of window": window_quantile,
}


def in_place(asked: Sequence[float], lead_seconds: float) -> Asked:
    """Capacity at each sample: what was planned for during the whole lead before it, for less takes effect at once."""
    lead = int(lead_seconds / STEP_SECONDS) + 1
    return [min(asked[max(0, end - lead) : end]) for end in range(1, len(asked) + 1)]
