"""ModelDemand: what a team wants served (namespaced, short name ``md``)."""

from typing import Annotated, ClassVar

from msgspec import Meta

from atoll.api.v1alpha1.base import (
    CONDITIONS,
    FLEET,
    OBSERVED_GENERATION,
    Column,
    Conditions,
    Count,
    Duration,
    FleetName,
    Fraction,
    Generation,
    Money,
    Rate,
    Rule,
    Schema,
    Text,
    Timestamp,
    Word,
    between,
    describe,
)
from atoll.api.v1alpha1.engine import EngineChoice
from atoll.domain.architecture import Quantisation
from atoll.domain.demand import Loss
from atoll.domain.gpu import CapacityType
from atoll.domain.signal import SignalSource
from atoll.domain.strategy import EngineName

Width = Annotated[int, Meta(ge=1, le=1_048_576)]
OptionalWidth = Annotated[int, Meta(ge=0, le=1_048_576)]
Layers = Annotated[int, Meta(ge=1, le=1024)]
OptionalLayers = Annotated[int, Meta(ge=0, le=1024)]
TimeOfDay = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", max_length=5)]
Variation = Annotated[float, Meta(ge=0.0, le=20.0)]


class ArchitectureConfig(Schema, frozen=True, kw_only=True):
    """Values of the Hugging Face ``config.json``, in camelCase, for an architecture that the catalogue lacks."""

    num_hidden_layers: Annotated[Layers, describe("Decoder layers (num_hidden_layers).")]
    hidden_size: Annotated[Width, describe("Width of the residual stream (hidden_size).")]
    num_attention_heads: Annotated[Width, describe("Query heads (num_attention_heads).")]
    num_key_value_heads: Annotated[
        OptionalWidth, describe("Key-value heads (num_key_value_heads); 0: as many as query heads.")
    ] = 0
    head_dim: Annotated[OptionalWidth, describe("Width of one head (head_dim); 0: hiddenSize / numAttentionHeads.")] = 0
    intermediate_size: Annotated[Width, describe("Width of a dense feed-forward block (intermediate_size).")]
    vocab_size: Annotated[Annotated[int, Meta(ge=1, le=10_000_000)], describe("Tokens in the vocabulary (vocab_size).")]
    moe_intermediate_size: Annotated[
        OptionalWidth, describe("Width of one expert (moe_intermediate_size); 0 for a dense model.")
    ] = 0
    num_experts: Annotated[
        OptionalWidth, describe("Routed experts per layer (num_experts, n_routed_experts); 0 for a dense model.")
    ] = 0
    num_experts_per_tok: Annotated[
        OptionalWidth, describe("Routed experts that one token visits (num_experts_per_tok).")
    ] = 0
    n_shared_experts: Annotated[OptionalWidth, describe("Experts that every token visits (n_shared_experts).")] = 0
    first_k_dense_replace: Annotated[
        OptionalLayers, describe("Leading dense layers of a mixture of experts (first_k_dense_replace).")
    ] = 0
    kv_lora_rank: Annotated[
        OptionalWidth, describe("Width of the compressed KV of latent attention (kv_lora_rank); 0 without it.")
    ] = 0
    sliding_window: Annotated[
        Annotated[int, Meta(ge=0, le=100_000_000)],
        describe("Attention window of windowed layers, tokens (sliding_window); 0 without one."),
    ] = 0
    full_attention_layers: Annotated[
        OptionalLayers, describe("Layers that attend to the whole context, where others have a window.")
    ] = 0
    max_position_embeddings: Annotated[
        Annotated[int, Meta(ge=1, le=100_000_000)], describe("Longest context, tokens (max_position_embeddings).")
    ] = 131072
    tie_word_embeddings: Annotated[
        bool, describe("Input embedding and output head are one matrix (tie_word_embeddings).")
    ] = False
    native: Annotated[Quantisation, describe("How the published weights are held.")] = Quantisation.BF16

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.numExperts == 0 || (self.numExpertsPerTok > 0 && self.moeIntermediateSize > 0)",
            "a mixture of experts needs numExpertsPerTok and moeIntermediateSize above 0",
        ),
        Rule("self.numExpertsPerTok <= self.numExperts", "numExpertsPerTok must not exceed numExperts"),
        Rule(
            "self.numExperts > 0 || (self.moeIntermediateSize == 0 && self.nSharedExperts == 0"
            " && self.firstKDenseReplace == 0)",
            "moeIntermediateSize, nSharedExperts and firstKDenseReplace need numExperts above 0",
        ),
        Rule(
            "self.slidingWindow > 0 || self.fullAttentionLayers == 0", "fullAttentionLayers needs slidingWindow above 0"
        ),
        Rule("self.fullAttentionLayers <= self.numHiddenLayers", "fullAttentionLayers must not exceed numHiddenLayers"),
        Rule("self.firstKDenseReplace <= self.numHiddenLayers", "firstKDenseReplace must not exceed numHiddenLayers"),
        Rule(
            "self.numKeyValueHeads == 0 || self.numAttentionHeads % self.numKeyValueHeads == 0",
            "numKeyValueHeads must divide numAttentionHeads",
        ),
        Rule(
            "self.headDim > 0 || self.hiddenSize % self.numAttentionHeads == 0",
            "set headDim: hiddenSize is not a multiple of numAttentionHeads",
        ),
        Rule(
            "self.headDim == 0 || (self.headDim * self.numAttentionHeads <= 8 * self.hiddenSize"
            " && self.hiddenSize <= 8 * self.headDim * self.numAttentionHeads)",
            "headDim times numAttentionHeads must be within 8 times hiddenSize",
        ),
    )


class ArchitectureChoice(Schema, frozen=True, kw_only=True):
    """The served model's architecture: a name from the catalogue, or inline values."""

    name: Annotated[
        Annotated[str, Meta(min_length=1, max_length=128)] | None,
        describe("Hugging Face name in the built-in catalogue, such as Qwen/Qwen3-32B."),
    ] = None
    config: Annotated[ArchitectureConfig | None, describe("Inline values, where the catalogue lacks the model.")] = None

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.name) != has(self.config)", "give exactly one of name and config"),
    )


_ServedName = Annotated[str, Meta(pattern="^[A-Za-z0-9]([A-Za-z0-9._:/-]*[A-Za-z0-9])?$", max_length=128)]


class ServedModel(Schema, frozen=True, kw_only=True):
    """Which LLM, under which name."""

    name: Annotated[Text, describe("For people; shown in reports. Empty: the served name.")] = ""
    served_name: Annotated[
        _ServedName, describe("What clients put into the model field of a request. The oldest demand holds a name.")
    ]
    aliases: Annotated[
        Annotated[tuple[_ServedName, ...], Meta(max_length=16)],
        describe(
            "Other names that clients may put there, each held by the oldest demand that gives it. A change of them "
            "moves no replica.",
            list_type="set",
        ),
    ] = ()
    architecture: Annotated[ArchitectureChoice, describe("What memory and arithmetic follow from.")]
    weights: Annotated[
        Annotated[str, Meta(pattern="^(|(hf|pvc|s3|oci)://.+)$", max_length=1024)],
        describe("Where weights are had: an hf://, pvc://, s3:// or oci:// URI. Empty: hf:// and the architecture."),
    ] = ""
    quantisations: Annotated[
        Annotated[tuple[Quantisation, ...], Meta(max_length=8)],
        describe("How weights may be held, best first. Empty: as they are published.", list_type="set"),
    ] = ()

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.architecture.name) || size(self.weights) > 0",
            "weights must be set where the architecture is given inline",
        ),
    )


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
