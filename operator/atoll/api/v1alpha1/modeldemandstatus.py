"""What a ModelDemand says of itself."""

from typing import Annotated

from msgspec import Meta

from atoll.api.v1alpha1.base import (
    CONDITIONS,
    OBSERVED_GENERATION,
    Conditions,
    Count,
    Generation,
    Money,
    Rate,
    Schema,
    Text,
    Timestamp,
    Word,
    describe,
)
from atoll.domain.strategy import EngineName


class StrategyStatus(Schema, frozen=True, kw_only=True):
    """Replicas that run alike."""

    id: Annotated[Annotated[str, Meta(max_length=10)], describe("Value of the label atoll.dev/strategy.")]
    strategy: Annotated[Text, describe("GPU kinds, widths, layers and quantisation, for people.")] = ""
    replicas: Annotated[Count, describe("Replicas wanted.")] = 0
    ready_replicas: Annotated[Count, describe("Replicas Ready.")] = 0
    rate: Annotated[Rate, describe("Requests/s of one replica within the objectives.")] = 0.0


class MeasuredStatus(Schema, frozen=True, kw_only=True):
    """What was measured, and what is planned for by it."""

    observed_rate: Annotated[
        Rate, describe("Requests/s measured lately, without noise; written again once it has moved by a tenth.")
    ] = 0.0
    estimate: Annotated[
        Rate, describe("Requests/s planned for by what was measured, before headroom, minimum, maximum and floors.")
    ] = 0.0
    floor: Annotated[Rate, describe("Requests/s planned for at least now: minimum, and floors in force.")] = 0.0
    headroom_cost_per_hour: Annotated[
        Money, describe("Part of the cost that is for more than observedRate, by requests/s, US$/h.")
    ] = 0.0
    measured_until: Annotated[
        Timestamp, describe("When the last usable sample was taken, RFC 3339; empty while measurements are fresh.")
    ] = ""


MeanTokens = Annotated[float, Meta(ge=0.0, le=1e7)]


class LengthsStatus(Schema, frozen=True, kw_only=True):
    """How long requests were in the last hour."""

    input: Annotated[MeanTokens, describe("Mean prompt, tokens.")] = 0.0
    output: Annotated[MeanTokens, describe("Mean answer, tokens.")] = 0.0
    differ: Annotated[
        Annotated[tuple[Word, ...], Meta(max_length=2)],
        describe("Which of them differ from what is declared.", list_type="set"),
    ] = ()


Factor = Annotated[float, Meta(ge=0.7, le=1.3)]


class CorrectionStatus(Schema, frozen=True, kw_only=True):
    """What engines on one GPU kind report about the estimates."""

    gpu_kind: Annotated[Word, describe("GPU kind, such as H100-80GB.")]
    engine: Annotated[EngineName, describe("That reported.")]
    observed: Annotated[
        Factor,
        describe(
            "How many times as long as estimated steps take, a mean over some six hours; written again once it has "
            "moved by 2 %."
        ),
    ] = 1.0
    applied: Annotated[
        Factor,
        describe("The same as plans are made with, where the Fleet's solve.corrections is Apply; follows in leaps."),
    ] = 1.0
    windows: Annotated[Count, describe("Windows of ten minutes in which engines were loaded enough to tell.")] = 0
    until: Annotated[Timestamp, describe("End of the last of them that was written, RFC 3339.")] = ""


class ModelDemandStatus(Schema, frozen=True, kw_only=True):
    """What is."""

    observed_generation: Annotated[Generation, OBSERVED_GENERATION] = 0
    conditions: Annotated[Conditions, CONDITIONS] = ()
    demand_rate: Annotated[Rate, describe("Requests/s wanted now.")] = 0.0
    measured: Annotated[MeasuredStatus | None, describe("What was measured; absent where demand is not measured.")] = (
        None
    )
    lengths: Annotated[
        LengthsStatus | None,
        describe("Lengths as engines count them; written again once one moved by a tenth, absent before 200 requests."),
    ] = None
    corrections: Annotated[
        Annotated[tuple[CorrectionStatus, ...], Meta(max_length=32)],
        describe(
            "What engines report about the estimates, by GPU kind; none before they did.",
            list_type="map",
            list_map_keys=["gpuKind"],
        ),
    ] = ()
    served_rate: Annotated[Rate, describe("Requests/s that Ready replicas can serve within the objectives.")] = 0.0
    shortfall: Annotated[Rate, describe("Requests/s wanted that the plan does not serve.")] = 0.0
    cost_per_hour: Annotated[Money, describe("Its part of the nodes' price, US$/h.")] = 0.0
    cost_per_million_tokens: Annotated[
        Money | None,
        describe("The same per million tokens of prompts and answers served, US$; absent where none are."),
    ] = None
    replicas: Annotated[Count, describe("Replicas wanted.")] = 0
    ready_replicas: Annotated[Count, describe("Replicas Ready.")] = 0
    gpu_kinds: Annotated[Text, describe("GPU kinds in use, joined by commas.")] = ""
    strategies: Annotated[
        Annotated[tuple[StrategyStatus, ...], Meta(max_length=32)],
        describe("How replicas run, most replicas first; at most 32.", list_type="map", list_map_keys=["id"]),
    ] = ()
    strategies_total: Annotated[Count, describe("Strategies in use, those not listed too.")] = 0
