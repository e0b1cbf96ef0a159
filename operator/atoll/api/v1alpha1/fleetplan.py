"""FleetPlan: one proposed or adopted solution (cluster-scoped, short name ``plan``).

A plan too large for one object continues in shards ``<name>-<n>``, which have the same spec with ``shard`` set.
"""

from typing import Annotated, ClassVar

from msgspec import Meta

from atoll.api.v1alpha1.base import (
    CONDITIONS,
    IMMUTABLE,
    OBSERVED_GENERATION,
    Column,
    Conditions,
    Count,
    FleetName,
    Fraction,
    Generation,
    Message,
    Money,
    ObjectName,
    Price,
    Rate,
    Rule,
    Schema,
    Seconds,
    Timestamp,
    Uid,
    Word,
    describe,
)
from atoll.domain.architecture import Quantisation
from atoll.domain.explanation import Basis, Bind
from atoll.domain.gpu import CapacityType
from atoll.domain.plan import PlanPhase
from atoll.domain.strategy import EngineName, Phase

PlanName = Annotated[str, Meta(max_length=63)]


class StageItem(Schema, frozen=True, kw_only=True):
    """One pipeline stage."""

    gpu_kind: Annotated[Word, describe("GPU kind.")]
    layers: Annotated[Annotated[int, Meta(ge=1, le=1024)], describe("Decoder layers that it holds.")]


class StrategyItem(Schema, frozen=True, kw_only=True):
    """How a replica runs."""

    engine: Annotated[EngineName, describe("Inference engine.")]
    tp: Annotated[Annotated[int, Meta(ge=1, le=64)], describe("Tensor-parallel width, GPUs per stage.")]
    stages: Annotated[
        Annotated[tuple[StageItem, ...], Meta(min_length=1, max_length=64)],
        describe("Pipeline stages in order.", list_type="atomic"),
    ]
    quantisation: Annotated[Quantisation, describe("How weights are held.")]
    max_sequences: Annotated[Count, describe("Most sequences in flight.")]
    max_context: Annotated[Annotated[int, Meta(ge=0, le=100_000_000)], describe("Longest context admitted, tokens.")]
    phase: Annotated[
        Phase | None,
        describe("Prefill or Decode where replicas serve that phase alone, in pairs; absent: both."),
    ] = None
    peer_tp: Annotated[
        Annotated[int, Meta(ge=1, le=64)] | None,
        describe("Tensor-parallel width of the replicas of the other phase, in pairs."),
    ] = None
    kv_form: Annotated[
        Word | None,
        describe("How KV is laid out, the same on both sides, in pairs."),
    ] = None


class OfferingRef(Schema, frozen=True, kw_only=True):
    """Where one stage is."""

    pool: Annotated[ObjectName, describe("GPUNodePool.")]
    zone: Annotated[Word, describe("Zone.")]
    capacity_type: Annotated[CapacityType, describe("on-demand, spot or reserved.")]


class StartPhasesItem(Schema, frozen=True, kw_only=True):
    """A replica's start by phases."""

    image_seconds: Annotated[Seconds, describe("Pulling the engine's image, seconds.")] = 0.0
    weights_seconds: Annotated[Seconds, describe("Loading the weights beside what else starts, seconds.")] = 0.0
    engine_seconds: Annotated[Seconds, describe("The engine's start beside that, seconds.")] = 0.0
    weights_bytes: Annotated[
        Annotated[float, Meta(ge=0.0, le=1e15)], describe("That the pod with the most of them loads.")
    ] = 0.0


class ReplicasItem(Schema, frozen=True, kw_only=True):
    """Replicas that are alike."""

    strategy: Annotated[StrategyItem, describe("How they run.")]
    offerings: Annotated[
        Annotated[tuple[OfferingRef, ...], Meta(min_length=1, max_length=64)],
        describe("Where, one per stage.", list_type="atomic"),
    ]
    count: Annotated[Count, describe("How many.")]
    rate: Annotated[Rate, describe("Requests/s of one replica within the objectives.")]
    ttft_seconds: Annotated[Seconds, describe("Time to first token at the objective's percentile, seconds.")]
    tpot_seconds: Annotated[Seconds, describe("Time per output token at the objective's percentile, seconds.")]
    source: Annotated[Annotated[str, Meta(max_length=128)], describe("Where the latencies came from.")]
    expected_error: Annotated[
        Annotated[float, Meta(ge=0.0, le=100.0)], describe("Expected relative error of the rate.")
    ] = 0.0
    startup_seconds: Annotated[Seconds, describe("Image, weights and engine start, seconds.")] = 0.0
    startup: Annotated[
        StartPhasesItem | None,
        describe("Of that start, once its nodes are there; absent where only the whole is known."),
    ] = None


SignedMoney = Annotated[float, Meta(ge=-1e9, le=1e9)]


class WinningPriceItem(Schema, frozen=True, kw_only=True):
    """The price of a node below which an alternative would be taken."""

    pool: Annotated[ObjectName, describe("GPUNodePool.")]
    zone: Annotated[Word, describe("Zone.")]
    capacity_type: Annotated[CapacityType, describe("on-demand, spot or reserved.")]
    price_per_hour: Annotated[Price, describe("US$ per node and hour when it was solved.")]
    below_per_hour: Annotated[Price, describe("US$ per node and hour at which the alternative begins to win.")]


class AlternativeItem(Schema, frozen=True, kw_only=True):
    """A strategy that would serve at least half of the demand instead, and what that would change."""

    strategy: Annotated[StrategyItem, describe("How its replicas would run.")]
    replicas: Annotated[Count, describe("Replicas that serve at least half of the demand.")]
    zone: Annotated[Word, describe("Where they are cheapest.")]
    more_per_hour: Annotated[SignedMoney, describe("What the fleet would cost more, US$/h.")]
    least_per_hour: Annotated[SignedMoney, describe("Proven: it would cost so much more at least, US$/h.")]
    basis: Annotated[
        Basis, describe("Resolved: solved again with it. Prices: an estimate from the prices of a relaxation.")
    ]
    wins_below: Annotated[
        WinningPriceItem | None, describe("Price of a node at which it would win; absent: at no price of one offering.")
    ] = None


class BindingItem(Schema, frozen=True, kw_only=True):
    """A limit that keeps the demand from a cheaper plan."""

    limit: Annotated[Bind, describe("Which.")]
    saves_per_hour: Annotated[
        Money | None, describe("What the fleet would cost less without it, US$/h; absent: not sought.")
    ] = None


class NodeWorthItem(Schema, frozen=True, kw_only=True):
    """What one more node of an offering would be worth: its shadow price."""

    pool: Annotated[ObjectName, describe("GPUNodePool.")]
    zone: Annotated[Word, describe("Zone.")]
    capacity_type: Annotated[CapacityType, describe("on-demand, spot or reserved.")]
    obtainable: Annotated[Count, describe("Nodes that could be had when it was solved; the plan uses them all.")]
    saves_per_hour: Annotated[
        SignedMoney, describe("What the fleet would cost less with one more, US$/h; negative where it serves more.")
    ]
    most_per_hour: Annotated[Money | None, describe("Proven: no more than this is saved; absent: not proven.")] = None
    serves: Annotated[Rate, describe("Requests/s that would be served more.")] = 0.0
    basis: Annotated[
        Basis, describe("Resolved: solved again with one more. Prices: an estimate from the prices of a relaxation.")
    ]


class DemandItem(Schema, frozen=True, kw_only=True):
    """What the plan does for one demand."""

    namespace: Annotated[Word, describe("Namespace of the ModelDemand.")]
    name: Annotated[Word, describe("Name of the ModelDemand.")]
    uid: Annotated[Uid, describe("Uid of the ModelDemand that was planned for.")] = ""
    rate: Annotated[Rate, describe("Requests/s wanted when it was solved.")] = 0.0
    shortfall: Annotated[Rate, describe("Requests/s that could not be met.")] = 0.0
    cost_per_hour: Annotated[Money, describe("Its part of the nodes' price, US$/h.")] = 0.0
    reason: Annotated[Message, describe("Why this, and why not the next best.")] = ""
    unmet: Annotated[
        Annotated[tuple[Annotated[str, Meta(max_length=128)], ...], Meta(max_length=16)],
        describe("Soft limits that could not be kept, and limits that take service away.", list_type="set"),
    ] = ()
    alternatives: Annotated[
        Annotated[tuple[AlternativeItem, ...], Meta(max_length=8)],
        describe("The next best strategies, cheapest first.", list_type="atomic"),
    ] = ()
    bindings: Annotated[
        Annotated[tuple[BindingItem, ...], Meta(max_length=16)],
        describe("What keeps it from being served at less cost, or more.", list_type="atomic"),
    ] = ()
    replicas: Annotated[
        Annotated[tuple[ReplicasItem, ...], Meta(max_length=256)],
        describe(
            "What it gets; continued in a further item of the same name where there are many.", list_type="atomic"
        ),
    ] = ()


class NodesItem(Schema, frozen=True, kw_only=True):
    """Nodes of one offering in use."""

    pool: Annotated[ObjectName, describe("GPUNodePool.")]
    zone: Annotated[Word, describe("Zone.")]
    capacity_type: Annotated[CapacityType, describe("on-demand, spot or reserved.")]
    nodes: Annotated[Count, describe("How many.")]
    price_per_hour: Annotated[Price, describe("US$ per node and hour that using one costs.")] = 0.0
    paid_per_hour: Annotated[
        Price, describe("US$ per node and hour that is paid whether it is used or not: owned and reserved nodes.")
    ] = 0.0


class ShardIndex(Schema, frozen=True, kw_only=True):
    """Which part of a plan this is."""

    of: Annotated[PlanName, describe("Name of the head.")]
    index: Annotated[Annotated[int, Meta(ge=1, le=10_000)], describe("From 1.")]


class FleetPlanSpec(Schema, frozen=True, kw_only=True):
    """What is to be; immutable but for the approval."""

    fleet: Annotated[FleetName, describe("Fleet that it is for.", IMMUTABLE)]
    basis: Annotated[
        Annotated[str, Meta(max_length=64)],
        describe("Hash of demands, pools and running allocation that it was solved for.", IMMUTABLE),
    ]
    approved: Annotated[
        bool,
        describe(
            "Carry it out. In mode Recommend people set this.",
            Rule("self || !oldSelf", "an approval cannot be taken back: approve another plan"),
        ),
    ] = False
    rollback_of: Annotated[PlanName, describe("Plan that this one returns to; empty for none.", IMMUTABLE)] = ""
    cost_per_hour: Annotated[
        Money, describe("US$/h once it is reached, beside what is paid for anyway.", IMMUTABLE)
    ] = 0.0
    list_cost_per_hour: Annotated[
        Money, describe("US$/h of all nodes in use, owned and reserved ones too.", IMMUTABLE)
    ] = 0.0
    previous_cost_per_hour: Annotated[Money, describe("US$/h when it was solved.", IMMUTABLE)] = 0.0
    saving_per_hour: Annotated[
        Annotated[float, Meta(ge=-1e9, le=1e9)], describe("What it saves, US$/h; negative: it costs more.", IMMUTABLE)
    ] = 0.0
    bound_per_hour: Annotated[Money, describe("Proven lower bound of the cost, US$/h.", IMMUTABLE)] = 0.0
    gap: Annotated[Fraction, describe("(cost - bound) / cost.", IMMUTABLE)] = 0.0
    conditional: Annotated[bool, describe("The bound holds for these shortfalls only.", IMMUTABLE)] = False
    shortfall: Annotated[Rate, describe("Requests/s that could not be met, all demands.", IMMUTABLE)] = 0.0
    baseline_per_hour: Annotated[
        Money | None,
        describe("US$/h of the best plan of the Fleet's spec.solve.baseline that was found; absent: none.", IMMUTABLE),
    ] = None
    baseline_shortfall: Annotated[Rate, describe("Requests/s that the baseline does not serve.", IMMUTABLE)] = 0.0
    shards: Annotated[
        Annotated[int, Meta(ge=0, le=10_000)], describe("Further objects that continue it.", IMMUTABLE)
    ] = 0
    shard: Annotated[ShardIndex | None, describe("Set on the objects that continue a plan.", IMMUTABLE)] = None
    nodes: Annotated[
        Annotated[tuple[NodesItem, ...], Meta(max_length=4096)],
        describe("Nodes in use.", IMMUTABLE, list_type="atomic"),
    ] = ()
    worths: Annotated[
        Annotated[tuple[NodeWorthItem, ...], Meta(max_length=16)],
        describe("Offerings of which one more node would be worth something.", IMMUTABLE, list_type="atomic"),
    ] = ()
    demands: Annotated[
        Annotated[tuple[DemandItem, ...], Meta(max_length=2048)],
        describe("What each demand gets.", IMMUTABLE, list_type="atomic"),
    ] = ()

    rules: ClassVar[tuple[Rule, ...]] = (Rule("has(self.shard) == has(oldSelf.shard)", "shard is immutable"),)


class PlanProgress(Schema, frozen=True, kw_only=True):
    """How far the move is."""

    wanted: Annotated[Count, describe("Replicas that the plan wants.")] = 0
    ready: Annotated[Count, describe("Of these, replicas that are Ready and routed.")] = 0
    leaving: Annotated[Count, describe("Replicas of former plans that are still there.")] = 0


class FleetPlanStatus(Schema, frozen=True, kw_only=True):
    """Where it stands."""

    observed_generation: Annotated[Generation, OBSERVED_GENERATION] = 0
    conditions: Annotated[Conditions, CONDITIONS] = ()
    phase: Annotated[PlanPhase, describe("Proposed, Moving, Completed or Superseded.")] = PlanPhase.PROPOSED
    progress: Annotated[PlanProgress, describe("How far the move is.")] = PlanProgress()
    in_force_since: Annotated[Timestamp, describe("When the fleet began to move there, RFC 3339; empty: never.")] = ""


class FleetPlan(Schema, frozen=True, kw_only=True):
    """One solution: what runs where, what it costs and saves, how good it is proven to be, and why."""

    spec: Annotated[FleetPlanSpec, describe("What is to be; immutable but for the approval.")]
    status: Annotated[FleetPlanStatus, describe("Where it stands; written by Atoll.")] = FleetPlanStatus()

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("size(self.metadata.name) <= 63", "metadata.name must have at most 63 characters"),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Fleet", ".spec.fleet"),
        Column("Phase", ".status.phase"),
        Column("Approved", ".spec.approved", "boolean"),
        Column("$/h", ".spec.costPerHour", "number"),
        Column("Saving", ".spec.savingPerHour", "number"),
        Column("Gap", ".spec.gap", "number"),
        Column("Shortfall", ".spec.shortfall", "number"),
        Column("Age", ".metadata.creationTimestamp", "date"),
    )
