"""ModelDemand: what a team wants served (namespaced, short name ``md``)."""

from typing import Annotated, ClassVar

from msgspec import Meta

from atoll.api.v1alpha1.base import (
    FLEET,
    Column,
    Duration,
    FleetName,
    Fraction,
    Rule,
    Schema,
    Word,
    between,
    describe,
)
from atoll.api.v1alpha1.demandsource import DemandSource
from atoll.api.v1alpha1.engine import EngineChoice
from atoll.api.v1alpha1.modeldemandstatus import ModelDemandStatus
from atoll.api.v1alpha1.servedmodel import ServedModel
from atoll.domain.demand import Loss
from atoll.domain.gpu import CapacityType


class ObjectiveTimes(Schema, frozen=True, kw_only=True):
    """What a request must see."""

    ttft: Annotated[Duration, describe("Time to first token, such as 1200ms.", between("1ms", "10m"))]
    tpot: Annotated[Duration, describe("Time per output token, such as 60ms.", between("1ms", "10s"))]
    percentile: Annotated[
        Annotated[float, Meta(ge=50.0, le=99.9)], describe("Percent of requests that must see it.")
    ] = 95.0


class SurviveSettings(Schema, frozen=True, kw_only=True):
    """Which loss a demand is to survive, and how much of it."""

    loss: Annotated[
        Loss,
        describe(
            "Any one replica, any one spot pool (the spot nodes of one GPU kind in a zone), any one zone; or none."
        ),
    ] = Loss.NONE
    share: Annotated[
        Annotated[float, Meta(ge=0.01, le=1.0)],
        describe("Share of the demand that what is left still serves within the objectives."),
    ] = 1.0

    # The API server compares a whole number with the whole part of a minimum, so 0 would pass.
    rules: ClassVar[tuple[Rule, ...]] = (Rule("self.share >= 0.01", "share must be at least 0.01"),)


class PlacementLimits(Schema, frozen=True, kw_only=True):
    """Where replicas may run; an empty list allows everything."""

    regions: Annotated[
        Annotated[tuple[Word, ...], Meta(max_length=32)], describe("Regions allowed.", list_type="set")
    ] = ()
    gpu_kinds: Annotated[
        Annotated[tuple[Word, ...], Meta(max_length=32)],
        describe("GPU kinds allowed, such as H100-80GB.", list_type="set"),
    ] = ()
    capacity_types: Annotated[
        Annotated[tuple[CapacityType, ...], Meta(max_length=3)], describe("Terms allowed.", list_type="set")
    ] = ()
    preference: Annotated[
        Annotated[tuple[CapacityType, ...], Meta(max_length=3)],
        describe(
            "Capacity types, first choice first: used while it can be had, whatever it costs, before the next; those "
            "not named come last. Limits and budget come before it.",
            list_type="set",
        ),
    ] = ()
    spot_share: Annotated[Fraction, describe("Largest share of the rate on spot.")] = 1.0
    min_replicas: Annotated[
        Annotated[int, Meta(ge=0, le=1000)], describe("Smallest number of replicas while demand is above zero.")
    ] = 0
    min_domains: Annotated[
        Annotated[int, Meta(ge=0, le=16)], describe("Smallest number of zones that replicas are spread over.")
    ] = 0
    survive: Annotated[
        SurviveSettings,
        describe("Loss that the rest makes up for without new nodes; a soft limit, below shortfall."),
    ] = SurviveSettings()

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "size(self.capacityTypes) == 0 || self.preference.all(term, term in self.capacityTypes)",
            "preference names a capacity type that capacityTypes does not allow",
        ),
        Rule(
            "self.spotShare >= 1.0 || self.capacityTypes != ['spot']",
            "spotShare below 1 asks for other capacity, but capacityTypes allows spot only",
        ),
        Rule(
            "self.minReplicas == 0 || self.minDomains <= self.minReplicas",
            "minDomains must not exceed minReplicas: a replica is in one zone",
        ),
    )


class ModelDemandSpec(Schema, frozen=True, kw_only=True):
    """What is wanted."""

    fleet: Annotated[FleetName, FLEET] = "default"
    model: Annotated[ServedModel, describe("Which LLM, under which name.")]
    demand: Annotated[DemandSource, describe("How many requests of which shape.")]
    objectives: Annotated[ObjectiveTimes, describe("What a request must see.")]
    priority: Annotated[
        Annotated[int, Meta(ge=0, le=1000)], describe("Higher is served first when there is not enough.")
    ] = 0
    placement: Annotated[PlacementLimits, describe("Where replicas may run.")] = PlacementLimits()
    engine: Annotated[EngineChoice, describe("What runs the served model.")] = EngineChoice()


class ModelDemand(Schema, frozen=True, kw_only=True):
    """A demand for a served model: which LLM, how many requests of which shape, and what each must see."""

    spec: Annotated[ModelDemandSpec, describe("What is wanted.")]
    status: Annotated[ModelDemandStatus, describe("What is; written by Atoll.")] = ModelDemandStatus()

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            "metadata.name must have at most 40 lower-case letters, digits and hyphens and start with a letter",
        ),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Served", ".spec.model.servedName"),
        Column("Demand", ".status.demandRate", "number"),
        Column("Observed", ".status.measured.observedRate", "number"),
        Column("Shortfall", ".status.shortfall", "number"),
        Column("Replicas", ".status.replicas", "integer"),
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("GPUs", ".status.gpuKinds"),
        Column("$/h", ".status.costPerHour", "number"),
        Column("Reason", ".status.conditions[?(@.type=='Ready')].reason", wide=True),
        Column("Fleet", ".spec.fleet", wide=True),
        Column("Age", ".metadata.creationTimestamp", "date"),
    )
