"""Real demand as samples that a metrics server would show."""

import csv
import math
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rows import FileError

STEP_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Samples:
    """A curve as it is measured.

    Attributes:
        name: of the curve.
        rates: requests/s, one for each step; None where nothing was collected.
        drawn: arrivals are drawn around a real mean; otherwise every arrival is real.
    """

    name: str
    rates: tuple[float | None, ...]
    drawn: bool


def read_curves(path: Path) -> list[Samples]:
    """All curves of a file: of counts (``requests``) or of means (``requests_per_second``); FileError for another."""
    try:
        with path.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise FileError(path, error.strerror or "cannot be read", "give a file of curves") from error
    found: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for row in rows:
        found[row.get("curve", "")].append(row)
    try:
        if rows and "requests" in rows[0]:
            return [_counted(name, items) for name, items in found.items()]
        return [_drawn(name, items) for name, items in found.items()]
    except (KeyError, TypeError, ValueError) as error:
        mend = "give columns curve, seconds and requests, or requests_per_second and cv"
        raise FileError(path, f"no curve ({error})", mend) from error


def _counted(name: str, rows: list[Mapping[str, str]]) -> Samples:
    """Arrivals counted in short intervals, added up over each step."""
    each = float(rows[1]["seconds"]) - float(rows[0]["seconds"])
    per_step = round(STEP_SECONDS / each)
    counts = [int(row["requests"]) for row in rows]
    steps = range(0, len(counts) - per_step + 1, per_step)
    return Samples(name=name, rates=tuple(sum(counts[at : at + per_step]) / STEP_SECONDS for at in steps), drawn=False)


def _drawn(name: str, rows: list[Mapping[str, str]]) -> Samples:
    """Arrivals of each step drawn around the real mean, between windows' middles by a straight line.

    The count of a step has the variance of a renewal process with the real variation of the time between requests,
    cv^2 times its mean.
    """
    times = [float(row["seconds"]) for row in rows]
    means = [float(row["requests_per_second"]) for row in rows]
    variations = [float(row["cv"]) for row in rows]
    half = (times[1] - times[0]) / 2.0
    source = random.Random(name)  # noqa: S311  # noise, no secret
    rates: list[float | None] = []
    for step in range(int((times[-1] - times[0]) / STEP_SECONDS)):
        at = times[0] + half + step * STEP_SECONDS
        here = min(len(times) - 2, bisect_right(times, at - half) - 1)
        if means[here] <= 0.0 or means[here + 1] <= 0.0:
            rates.append(None)
            continue
        share = (at - half - times[here]) / (times[here + 1] - times[here])
        mean = means[here] + share * (means[here + 1] - means[here])
        spread = variations[here] * math.sqrt(mean / STEP_SECONDS)
        rates.append(max(0.0, source.gauss(mean, spread)))
    return Samples(name=name, rates=tuple(rates), drawn=True)
