"""How many requests come, how long they are, and who says so."""

from typing import Annotated, ClassVar

from msgspec import Meta

from atoll.api.v1alpha1.base import (
    Duration,
    Fraction,
    Rate,
    Rule,
    Schema,
    between,
    describe,
)
from atoll.domain.signal import SignalSource

TimeOfDay = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", max_length=5)]
Variation = Annotated[float, Meta(ge=0.0, le=20.0)]


class MeasuredDemand(Schema, frozen=True, kw_only=True):
    """What all ways to measure demand share: what is planned for by what was measured."""

    window: Annotated[
        Duration,
        describe(
            "How far back demand is looked at, in 120 samples, to learn its noise and trend; four of them tell how far "
            "it moves while a replica starts.",
            between("10m", "24h"),
        ),
    ] = "1h"
    quantile: Annotated[
        Annotated[float, Meta(ge=0.5, le=0.999)],
        describe("Quantile of demand until the next plan can be in place that is planned for."),
    ] = 0.95
    headroom: Annotated[
        Annotated[float, Meta(ge=0.0, le=10.0)], describe("Share added to the estimate; 0.2 adds 20 %.")
    ] = 0.0
    minimum: Annotated[
        Rate,
        describe(
            "Requests/s planned for at least. 0 lets the served model stop; then only a measurement that counts "
            "requests which nobody serves, or a schedule, starts it again."
        ),
    ] = 0.01
    maximum: Annotated[Rate, describe("Requests/s planned for at most, whatever is measured.")] = 1e6
    stale_after: Annotated[
        Duration,
        describe(
            "Age from which on the last sample is too old: the last plan is held, and said.", between("10s", "1h")
        ),
    ] = "2m"

    rules: ClassVar[tuple[Rule, ...]] = (Rule("self.minimum <= self.maximum", "minimum must not exceed maximum"),)


class PrometheusDemand(MeasuredDemand, frozen=True, kw_only=True):
    """Demand measured by a query; the server's URL belongs to the operator's settings, never to a tenant."""

    query: Annotated[
        Annotated[str, Meta(max_length=4096)],
        describe("PromQL that gives requests/s as one number. Empty: the shipped one, of the source below."),
    ] = ""
    source: Annotated[
        SignalSource,
        describe("Whose metrics the shipped query reads: Router (Envoy's statistics) or Engine (vLLM's)."),
    ] = SignalSource.ROUTER


class RouterDemand(MeasuredDemand, frozen=True, kw_only=True):
    """Demand counted by the router: the operator reads every router pod's own statistics, and needs no Prometheus.

    Requests that were answered 503 because no replica can take them count, too.
    """

    minimum: Annotated[
        Rate,
        describe(
            "Requests/s planned for at least. 0 lets the served model stop; the first requests that come then are "
            "answered 503, and once three samples show them it is started again."
        ),
    ] = 0.01


class FloorItem(Schema, frozen=True, kw_only=True):
    """Requests/s wanted at least, in some hours of some days."""

    start: Annotated[TimeOfDay, describe("From, HH:MM in the schedule's time zone.")]
    end: Annotated[
        TimeOfDay, describe("Until, HH:MM in the schedule's time zone; not after start: until then of the next day.")
    ]
    days: Annotated[
        Annotated[
            tuple[Annotated[str, Meta(pattern="^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)$", max_length=3)], ...],
            Meta(max_length=7),
        ],
        describe("Days on which it starts: Mon, Tue, … Empty: every day.", list_type="set"),
    ] = ()
    requests_per_second: Annotated[Rate, describe("Requests/s wanted at least.")]


class ScheduledDemand(Schema, frozen=True, kw_only=True):
    """Demand by the clock: the highest floor in force, or the base; beside measured demand, its least."""

    time_zone: Annotated[
        Annotated[str, Meta(pattern="^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$", max_length=64)],
        describe("Whose clock: a name of the IANA time zone database, such as Europe/Berlin."),
    ] = "UTC"
    base: Annotated[Rate, describe("Requests/s wanted where no floor is in force.")] = 0.0
    floors: Annotated[
        Annotated[tuple[FloorItem, ...], Meta(max_length=32)],
        describe("Floors; where several are in force the highest counts.", list_type="atomic"),
    ] = ()

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.base > 0 || size(self.floors) > 0", "give floors, or a base above 0"),
    )


class LengthMoments(Schema, frozen=True, kw_only=True):
    """Lengths by mean and coefficient of variation; taken as log-normal."""

    mean: Annotated[Annotated[float, Meta(ge=1.0, le=1e7)], describe("Mean length, tokens.")]
    cv: Annotated[Variation, describe("Standard deviation over mean.")] = 1.0


class WorkloadShape(Schema, frozen=True, kw_only=True):
    """The shape of the requests."""

    input: Annotated[LengthMoments, describe("Prompt lengths.")]
    output: Annotated[LengthMoments, describe("Answer lengths.")]
    prefix_hit_rate: Annotated[
        Fraction, describe("Share of prompt tokens found in the prefix cache: saves prefill arithmetic only.")
    ] = 0.0
    arrival_cv: Annotated[Variation, describe("Variation of the time between requests; 1 is Poisson.")] = 1.0


class DemandSource(Schema, frozen=True, kw_only=True):
    """How many requests of which shape."""

    requests_per_second: Annotated[Rate | None, describe("Fixed requests/s; 0 stops the served model.")] = None
    prometheus: Annotated[PrometheusDemand | None, describe("Requests/s measured by a Prometheus query.")] = None
    router: Annotated[
        RouterDemand | None, describe("Requests/s counted by the fleet's own router; no Prometheus is needed.")
    ] = None
    schedule: Annotated[
        ScheduledDemand | None,
        describe("Requests/s by the clock; beside prometheus or router: floors of what is measured."),
    ] = None
    workload: Annotated[WorkloadShape, describe("Lengths of prompts and answers.")]

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.requestsPerSecond) ? !has(self.prometheus) && !has(self.router) && !has(self.schedule)"
            " : has(self.prometheus) ? !has(self.router) : has(self.router) || has(self.schedule)",
            "give requestsPerSecond, or prometheus, or router, or schedule; only schedule goes beside prometheus or "
            "router",
        ),
    )
