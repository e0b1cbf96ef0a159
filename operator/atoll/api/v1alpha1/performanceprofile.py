"""PerformanceProfile: measured step times of a served model (cluster-scoped, short name ``perf``)."""

from typing import Annotated, ClassVar

from msgspec import Meta

from atoll.api.v1alpha1.base import (
    CONDITIONS,
    OBSERVED_GENERATION,
    Column,
    Conditions,
    Generation,
    Rule,
    Schema,
    Text,
    Word,
    describe,
)
from atoll.domain.architecture import Quantisation
from atoll.domain.profile import Phase
from atoll.domain.strategy import EngineName


class MeasuredPoint(Schema, frozen=True, kw_only=True):
    """One measured step of the whole model."""

    phase: Annotated[Phase, describe("Prefill: one pass over prompts. Decode: one token for every sequence.")]
    sequences: Annotated[Annotated[int, Meta(ge=1, le=65536)], describe("Sequences in the batch.")]
    tokens: Annotated[
        Annotated[int, Meta(ge=1, le=100_000_000)],
        describe("Prefill: prompt tokens per sequence. Decode: context tokens per sequence."),
    ]
    milliseconds: Annotated[Annotated[float, Meta(gt=0.0, le=3_600_000.0)], describe("Time of the step, milliseconds.")]


class PerformanceProfileSpec(Schema, frozen=True, kw_only=True):
    """What was measured, and on what."""

    architecture: Annotated[
        Annotated[str, Meta(min_length=1, max_length=128)],
        describe("Hugging Face name of the architecture, as ModelDemands give it."),
    ]
    gpu_kind: Annotated[Word, describe("GPU kind, such as H100-80GB.")]
    tp: Annotated[Annotated[int, Meta(ge=1, le=64)], describe("Tensor-parallel width, GPUs.")]
    quantisation: Annotated[Quantisation, describe("How weights were held.")] = Quantisation.BF16
    engine: Annotated[EngineName, describe("Engine that was measured.")] = EngineName.VLLM
    points: Annotated[
        Annotated[tuple[MeasuredPoint, ...], Meta(min_length=1, max_length=1024)],
        describe("Measured steps.", list_type="map", list_map_keys=["phase", "sequences", "tokens"]),
    ]
    source: Annotated[Text, describe("Who measured it, when and how; for people.")] = ""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.tp in [1, 2, 4, 8]", "tp must be 1, 2, 4 or 8: engines are planned with no other width"),
        Rule("self.points.exists(p, p.phase == 'Decode')", "points must hold at least one Decode step"),
    )


class PerformanceProfileStatus(Schema, frozen=True, kw_only=True):
    """What is."""

    observed_generation: Annotated[Generation, OBSERVED_GENERATION] = 0
    conditions: Annotated[Conditions, CONDITIONS] = ()


class PerformanceProfile(Schema, frozen=True, kw_only=True):
    """Measured step times of a served model on GPUs of one kind; wins over every estimate."""

    spec: Annotated[PerformanceProfileSpec, describe("What was measured, and on what.")]
    status: Annotated[PerformanceProfileStatus, describe("What is; written by Atoll.")] = PerformanceProfileStatus()

    columns: ClassVar[tuple[Column, ...]] = (
        Column("Architecture", ".spec.architecture"),
        Column("GPU", ".spec.gpuKind"),
        Column("TP", ".spec.tp", "integer"),
        Column("Quantisation", ".spec.quantisation"),
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Age", ".metadata.creationTimestamp", "date"),
    )
