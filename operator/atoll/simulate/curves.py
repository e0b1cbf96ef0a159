"""Demand over time: constant, by steps, or from a trace, each with or without noise."""

import csv
import math
import random
from bisect import bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path

from atoll.api.decode import shown
from atoll.api.quantities import seconds
from atoll.domain.demand import Demand, DemandKey
from atoll.simulate.scenario import DemandCurve, ScenarioFile, Seen, Trace

_MOST_RATE = 1e6
"""Requests/s; as the schema of a ModelDemand bounds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Demand of one served model.

    Attributes:
        times: from which on each rate holds, seconds since the start, rising; the first is 0.
        rates: requests/s, one per time.
        period_seconds: after which it begins again, as a trace does; infinite for never.
        noise: standard deviation of an epoch's noise, as a share.
        seed: of the noise.
        seen: how the operator learns of it.
    """

    times: tuple[float, ...]
    rates: tuple[float, ...]
    period_seconds: float = math.inf
    noise: float = 0.0
    seed: str = ""
    seen: Seen = Seen.MEASURED

    def rate(self, epoch: int, epoch_seconds: float) -> float:
        """Requests/s in an epoch; epochs before the start are negative, and constant there unless it goes in rounds."""
        at = epoch * epoch_seconds
        at = at % self.period_seconds if math.isfinite(self.period_seconds) else max(0.0, at)
        rate = self.rates[bisect_right(self.times, at) - 1]
        if self.noise:
            # A source of its own for every epoch: the same whatever was asked for before.
            rate *= max(0.0, 1.0 + self.noise * random.Random(f"{self.seed}/{epoch}").gauss(0.0, 1.0))  # noqa: S311
        return rate


def curves_of(
    scenario: ScenarioFile, demands: Iterable[Demand], *, queried: Collection[DemandKey] = ()
) -> dict[DemandKey, Curve]:
    """The curve of every demand; one that the scenario does not name has what it declares, and keeps it.

    Args:
        scenario: what happens.
        demands: as declared.
        queried: demands that declare a query instead of requests/s: the scenario must say how many come.

    Raises:
        ScenarioError: an item contradicts itself, names no demand, or its trace cannot be read.
    """
    found = {
        demand.key: Curve(times=(0.0,), rates=(demand.rate,), seen=Seen.DECLARED)
        for demand in sorted(demands, key=lambda item: item.key)
    }
    declared = {key: curve.rates[0] for key, curve in found.items()}
    unknown = set(queried)
    for index, item in enumerate(scenario.content.demand):
        field = f"scenario.demand[{index}]"
        named = [key for key in found if _names(item.name, key)]
        if not named:
            known = ", ".join(str(key) for key in found)
            raise scenario.error(f"{field}.name", f"{shown(item.name)} names none of the demands: {known}")
        _check(scenario, item, field)
        if item.trace is not None or item.requests_per_second is not None:
            unknown -= set(named)
        traced = _read_trace(scenario, item.trace, f"{field}.trace") if item.trace is not None else None
        for key in named:
            times, rates, period = traced or _stepped(item, declared[key])
            scaled = tuple(rate * item.scale for rate in rates)
            if max(scaled) > _MOST_RATE:
                raise scenario.error(field, f"{max(scaled):g} requests/s are more than {_MOST_RATE:,.0f}: lower scale")
            found[key] = Curve(
                times=times,
                rates=scaled,
                period_seconds=period,
                noise=item.noise,
                seed=f"{scenario.content.seed}/{key}",
                seen=item.seen,
            )
    if unknown:
        keys = ", ".join(sorted(map(str, unknown)))
        raise scenario.error("scenario.demand", f"{keys}: measured by a query: give requestsPerSecond or a trace")
    return found


def priorities_of(scenario: ScenarioFile, demands: Iterable[Demand]) -> dict[DemandKey, int]:
    """Priorities by demand: the scenario's where it gives one."""
    found = {demand.key: demand.priority for demand in demands}
    for item in scenario.content.demand:
        if item.priority is not None:
            found |= {key: item.priority for key in found if _names(item.name, key)}
    return found


def _names(pattern: str, key: DemandKey) -> bool:
    return fnmatchcase(str(key), pattern) or fnmatchcase(key.name, pattern)


def _check(scenario: ScenarioFile, item: DemandCurve, field: str) -> None:
    if item.trace is not None and (item.steps or item.requests_per_second is not None):
        raise scenario.error(field, "trace beside steps or requestsPerSecond: give one way to tell the demand")
    times = [seconds(step.at) for step in item.steps]
    for number, (before, after) in enumerate(pairwise(times), start=1):
        if after <= before:
            at = item.steps[number].at
            raise scenario.error(f"{field}.steps[{number}].at", f"{shown(at)} is not after the step before: sort them")


def _stepped(item: DemandCurve, declared: float) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    first = declared if item.requests_per_second is None else item.requests_per_second
    points = {0.0: first} | {seconds(step.at): step.requests_per_second for step in item.steps}
    return tuple(points), tuple(points.values()), math.inf


def _read_trace(scenario: ScenarioFile, trace: Trace, field: str) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Times, rates and length of a trace; the last row holds as long as the one before it."""
    path = scenario.path.parent / trace.file
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(_matching(scenario, trace, field, path, csv.DictReader(stream)))
    except OSError as error:
        raise scenario.error(f"{field}.file", f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise scenario.error(f"{field}.file", f"{path}: is no CSV in UTF-8: {error}") from error
    if len(rows) < 2:
        raise scenario.error(f"{field}.where", f"{len(rows)} rows of {path} match: a trace needs two or more")
    first = rows[0][0]
    times = tuple(at - first for at, _ in rows)
    for number, (before, after) in enumerate(pairwise(times)):
        if after <= before:
            raise scenario.error(
                f"{field}.seconds",
                f"{path}: {rows[number + 1][0]:g} comes after {rows[number][0]:g}: sort the rows by time, and choose "
                "one series by where",
            )
    return times, tuple(rate * trace.scale for _, rate in rows), times[-1] + (times[-1] - times[-2])


def _matching(
    scenario: ScenarioFile, trace: Trace, field: str, path: Path, reader: "csv.DictReader[str]"
) -> Iterable[tuple[float, float]]:
    header = reader.fieldnames or []
    columns = {"seconds": trace.seconds, "requestsPerSecond": trace.requests_per_second}
    for name, column in (*columns.items(), *(("where", column) for column in trace.where)):
        if column not in header:
            raise scenario.error(f"{field}.{name}", f"{shown(column)} is no column of {path}: {', '.join(header)}")
    for row in reader:
        if any(row[column] != value for column, value in trace.where.items()):
            continue
        at, rate = (_number(row[column]) for column in columns.values())
        if math.isnan(at) or math.isnan(rate):
            name = "seconds" if math.isnan(at) else "requestsPerSecond"
            seen = shown(row[columns[name]])
            raise scenario.error(f"{field}.{name}", f"{path}:{reader.line_num}: {seen} is no number from 0 up: mend it")
        yield at, rate


def _number(text: str | None) -> float:
    """A finite number from 0 up; not a number for anything else."""
    try:
        value = float(text or "")
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and value >= 0.0 else math.nan
