"""What happens to a fleet over time, as a file says it: docs/reference/scenario.md."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from atoll.api.decode import decode, shown
from atoll.api.documents import ManifestFault, read_documents
from atoll.api.v1alpha1.base import Duration, Price, Rate, Schema, between, describe
from atoll.domain.reason import InvalidObjectError

LONGEST_EPOCHS = 100_000

Moment = Annotated[Duration, describe("Since the start.", between("0s", "87600h"))]
Length = Annotated[Duration, describe("How long.", between("0s", "87600h"))]
Pattern = Annotated[str, Meta(min_length=1, max_length=253)]
Nodes = Annotated[int, Meta(ge=0, le=1_000_000)]
Factor = Annotated[float, Meta(ge=0.0, le=1000.0)]


class Seen(StrEnum):
    """How the operator learns of a demand."""

    MEASURED = "Measured"
    DECLARED = "Declared"


class Begin(StrEnum):
    """In which state the fleet is when the first epoch begins."""

    SETTLED = "Settled"
    EMPTY = "Empty"


class Step(Schema, frozen=True, kw_only=True):
    """From a moment on, so many requests/s."""

    at: Annotated[Moment, describe("From when on, since the start.")]
    requests_per_second: Annotated[Rate, describe("Requests/s from then on.")]


class Trace(Schema, frozen=True, kw_only=True):
    """Requests/s from a CSV file with a header."""

    file: Annotated[
        Annotated[str, Meta(min_length=1, max_length=4096)], describe("CSV file; relative to the scenario's folder.")
    ]
    seconds: Annotated[Pattern, describe("Column of the time, in seconds; the first row is the start.")] = "seconds"
    requests_per_second: Annotated[Pattern, describe("Column of the requests/s.")] = "requestsPerSecond"
    where: Annotated[dict[str, str], describe("Rows that count: column and the value that it must have.")] = (
        msgspec.field(default_factory=dict)
    )
    scale: Annotated[Factor, describe("Factor on the requests/s.")] = 1.0


class DemandCurve(Schema, frozen=True, kw_only=True):
    """Demand of some served models over time."""

    name: Annotated[Pattern, describe("Which ModelDemands: namespace/name, or name alone; * stands for anything.")] = (
        "*"
    )
    requests_per_second: Annotated[
        Rate | None, describe("Constant requests/s; absent: what the ModelDemand declares.")
    ] = None
    scale: Annotated[Factor, describe("Factor on the requests/s.")] = 1.0
    steps: Annotated[Annotated[tuple[Step, ...], Meta(max_length=10_000)], describe("Changes, in order of time.")] = ()
    trace: Annotated[Trace | None, describe("Requests/s from a CSV file.")] = None
    noise: Annotated[
        Annotated[float, Meta(ge=0.0, le=2.0)],
        describe("Standard deviation of normal noise on every epoch, as a share; 0.05 is 5 %."),
    ] = 0.0
    seen: Annotated[
        Seen, describe("Measured: through the estimator, epoch by epoch. Declared: somebody edits the ModelDemand.")
    ] = Seen.MEASURED
    priority: Annotated[
        Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] | None, describe("Instead of the ModelDemand's.")
    ] = None


class Availability(Schema, frozen=True, kw_only=True):
    """How many nodes of some offerings can be had for a while."""

    at: Annotated[Moment, describe("From when on, since the start.")]
    until: Annotated[Moment | None, describe("Until when; absent: to the end.")] = None
    offerings: Annotated[Pattern, describe("Which: pool/zone/capacity-type; * stands for anything.")] = "*"
    nodes: Annotated[Nodes | None, describe("Most nodes of each.")] = None
    factor: Annotated[Factor | None, describe("Factor on what the pool says, rounded to whole nodes.")] = None
    told: Annotated[
        bool, describe("The operator is told. Otherwise it finds out when pods stay Pending, as with most clouds.")
    ] = True


class PriceChange(Schema, frozen=True, kw_only=True):
    """What nodes of some offerings cost for a while."""

    at: Annotated[Moment, describe("From when on, since the start.")]
    until: Annotated[Moment | None, describe("Until when; absent: to the end.")] = None
    offerings: Annotated[Pattern, describe("Which: pool/zone/capacity-type; * stands for anything.")] = "*"
    price: Annotated[Price | None, describe("US$ per node and hour.")] = None
    factor: Annotated[Factor | None, describe("Factor on the pool's price.")] = None


class Loss(Schema, frozen=True, kw_only=True):
    """Nodes that are taken away."""

    at: Annotated[Moment, describe("When, since the start.")]
    offerings: Annotated[Pattern, describe("Of which: pool/zone/capacity-type; * stands for anything.")] = "*/*/spot"
    nodes: Annotated[Nodes | None, describe("How many, the most used first; absent: all of them.")] = None
    notice: Annotated[Length, describe("How long before they go they are marked.")] = "0s"


class ZoneLoss(Schema, frozen=True, kw_only=True):
    """A zone that is away for a while, with all its nodes."""

    at: Annotated[Moment, describe("When, since the start.")]
    zone: Annotated[Pattern, describe("Which; * stands for anything.")]
    lasts: Annotated[Length, describe("For how long no node can be had there; the operator is not told.")] = "1h"


class Scenario(Schema, frozen=True, kw_only=True):
    """A file of ``atoll simulate --scenario``."""

    epochs: Annotated[Annotated[int, Meta(ge=1, le=LONGEST_EPOCHS)], describe("How many epochs are played.")] = 60
    epoch: Annotated[Duration, describe("Length of one; demand is constant within it.", between("1s", "24h"))] = "60s"
    seed: Annotated[Annotated[int, Meta(ge=0, le=2**53)], describe("Of all noise.")] = 0
    start: Annotated[
        Annotated[str, Meta(max_length=40)], describe("Moment of the first epoch, RFC 3339; schedules are read for it.")
    ] = "2026-01-05T08:00:00Z"
    begin: Annotated[
        Begin, describe("Settled: the fleet serves the first demand already. Empty: nothing runs yet.")
    ] = Begin.SETTLED
    demand: Annotated[
        Annotated[tuple[DemandCurve, ...], Meta(max_length=10_000)],
        describe("Demand; where several items name one ModelDemand the last counts."),
    ] = ()
    availability: Annotated[Annotated[tuple[Availability, ...], Meta(max_length=10_000)], describe("Supply.")] = ()
    prices: Annotated[Annotated[tuple[PriceChange, ...], Meta(max_length=10_000)], describe("Prices.")] = ()
    losses: Annotated[Annotated[tuple[Loss, ...], Meta(max_length=10_000)], describe("Nodes taken away.")] = ()
    zone_losses: Annotated[Annotated[tuple[ZoneLoss, ...], Meta(max_length=1000)], describe("Zones away.")] = ()


class ScenarioError(ValueError):
    """A scenario cannot be played; the message names file, field and value, and the mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioFile:
    """A scenario and where it came from.

    Attributes:
        path: of the file; names of traces are relative to its folder.
        content: what it says.
    """

    path: Path
    content: Scenario

    @property
    def start(self) -> datetime:
        """Moment of the first epoch; ScenarioError where the text is none."""
        text = self.content.start
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            mend = "write it as RFC 3339 with its time zone, like 2026-01-05T08:00:00Z"
            raise self.error("scenario.start", f"{shown(text)} is no moment: {mend}")
        return moment

    def error(self, field: str, message: str) -> ScenarioError:
        """An error that names file and field."""
        return ScenarioError(f"{self.path}: {field}: {message}")


def read_scenario(path: Path) -> ScenarioFile:
    """Read a scenario.

    Raises:
        ScenarioError: it cannot be understood.
        FileNotFoundError: there is no such file.
    """
    if path.is_dir():
        raise ScenarioError(f"{path}: is a folder: give the YAML file of one scenario")
    faults: list[ManifestFault] = []
    found = list(read_documents([path], faults))
    if faults:
        raise ScenarioError(str(faults[0]))
    if len(found) != 1:
        raise ScenarioError(f"{path}: {len(found)} documents: give exactly one scenario in a file")
    if not isinstance(found[0].value, dict):
        raise ScenarioError(f"{found[0].origin}: is no map: expected fields such as epochs, demand and losses")
    try:
        return ScenarioFile(path=path, content=decode(found[0].value, Scenario, "scenario"))
    except InvalidObjectError as invalid:
        raise ScenarioError(f"{found[0].origin}: {invalid.fault}") from invalid
