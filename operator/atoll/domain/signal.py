"""Demand that is measured: what is asked of Prometheus or counted by routers, what was heard, and what follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum

from atoll.domain.reason import Fault, Reason

SAMPLES = 120
"""Samples that a window is looked at by: with fewer, the quantile of the estimator's errors wanders with the noise."""

HISTORY = 4 * SAMPLES
"""Samples that are kept: of more than the window, to know how demand moves over a start-up time."""

SHORTEST_STEP_SECONDS = 5.0


class SignalSource(StrEnum):
    """Whose metrics the shipped query reads."""

    ROUTER = "Router"
    ENGINE = "Engine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Requests/s wanted at least, in some hours of some days.

    Attributes:
        start: from, on the schedule's clock.
        end: until; not after ``start``: until that time of the next day.
        days: on which it starts, Monday is 0; empty for every day.
        rate: requests/s wanted at least.
    """

    start: time
    end: time
    days: frozenset[int]
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Demand by the clock.

    Attributes:
        base: requests/s where no floor is in force.
        floors: where several are in force the highest counts.
        zone: whose clock; a change to or from summer time moves windows as it moves the people there.
    """

    base: float = 0.0
    floors: tuple[Floor, ...] = ()
    zone: tzinfo = UTC

    @property
    def peak(self) -> float:
        """Highest requests/s that it ever asks for."""
        return max([self.base, *(floor.rate for floor in self.floors)])

    def rate(self, now: datetime) -> float:
        """The highest floor in force at a moment with a time zone, or the base."""
        local = now.astimezone(self.zone)
        rates = [self.base]
        for floor in self.floors:
            for day in (local.date(), local.date() - timedelta(days=1)):
                until = day if floor.end > floor.start else day + timedelta(days=1)
                begin = datetime.combine(day, floor.start, tzinfo=self.zone)
                end = datetime.combine(until, floor.end, tzinfo=self.zone)
                # In UTC: two moments of one zone are compared by the clock, which an hour in autumn shows twice.
                is_day = not floor.days or day.weekday() in floor.days
                if is_day and begin.astimezone(UTC) <= now.astimezone(UTC) < end.astimezone(UTC):
                    rates.append(floor.rate)
        return max(rates)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandSignal:
    """How one demand is measured, and what is planned for by it.

    Attributes:
        query: PromQL of its own; empty for the shipped one.
        source: whose metrics the shipped one reads.
        counted: routers are asked for their own counters, and no Prometheus.
        window_seconds: how far back it is looked at, seconds.
        quantile: of demand until the next plan can be in place that is to be served, 0 to 1.
        headroom: share added to the estimate.
        minimum: requests/s planned for at least.
        maximum: requests/s planned for at most.
        stale_seconds: age from which on the last sample is too old to go by, seconds.
        schedule: floors beside it.
    """

    query: str = ""
    source: SignalSource = SignalSource.ROUTER
    counted: bool = False
    window_seconds: float = 3600.0
    quantile: float = 0.95
    headroom: float = 0.0
    minimum: float = 0.0
    maximum: float = 1e6
    stale_seconds: float = 120.0
    schedule: Schedule = field(default_factory=Schedule)

    @property
    def step_seconds(self) -> float:
        """Between two samples, seconds."""
        return max(SHORTEST_STEP_SECONDS, float(round(self.window_seconds / SAMPLES)))

    def floor(self, now: datetime) -> float:
        """Requests/s planned for at least at a moment."""
        return max(self.minimum, self.schedule.rate(now))

    def planned(self, estimate: float, now: datetime) -> float:
        """Requests/s that are planned for by an estimate: with head-room, within its limits; the floor wins."""
        return max(self.schedule.rate(now), self.unscheduled(estimate))

    def unscheduled(self, estimate: float) -> float:
        """The same without floors by the clock."""
        return max(self.minimum, min(self.maximum, estimate * (1.0 + self.headroom)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterCounts:
    """What one router has counted since it was started.

    Attributes:
        at: when it was asked, Unix seconds.
        uptime_seconds: since it was started, as it says; up to ten seconds too few.
        requests: that began, by demand (``namespace/name``), those too that reached no replica.
    """

    at: float
    uptime_seconds: float
    requests: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was heard of one measured demand.

    Attributes:
        samples: moments (Unix seconds, multiples of the step, rising) and requests/s as they were answered: they may be
            no numbers.
        heard_at: when Prometheus, or every router, last answered; None for never.
        fault: why the last question got no usable answer; None where it got one.
    """

    samples: tuple[tuple[float, float], ...] = ()
    heard_at: datetime | None = None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the cluster remembers of a measured demand; in memory only it would not outlive the operator.

    Attributes:
        estimate: requests/s that were planned for last, before head-room and limits; None for never.
        level: requests/s that it was told to have, without noise; None for never.
        measured_until: when the last usable sample was taken; None while measurements are fresh.
    """

    estimate: float | None = None
    level: float | None = None
    measured_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What follows from a reading.

    Attributes:
        estimate: requests/s to plan for, before head-room and limits; None where nothing is known.
        reason: how it stands: ``Measured``, or why the estimate is held.
        message: the same for people, with the mend.
        latest: requests/s of the last usable sample; None for none.
        level: requests/s now, without noise; None for none.
        sampled_at: when the last usable sample was taken; None for never.
        floor: requests/s planned for at least now.
    """

    estimate: float | None
    reason: Reason
    message: str = ""
    latest: float | None = None
    level: float | None = None
    sampled_at: datetime | None = None
    floor: float = 0.0

    @property
    def held(self) -> bool:
        """Whether what was planned for last is held because nothing better is known."""
        return self.reason not in {Reason.MEASURED, Reason.NO_TRAFFIC}
