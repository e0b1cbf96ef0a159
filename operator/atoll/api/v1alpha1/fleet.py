"""Fleet: policy for the whole (cluster-scoped, short name ``fleet``)."""

from typing import Annotated, ClassVar

from msgspec import Meta

from atoll.api.v1alpha1.base import (
    Column,
    Duration,
    Fraction,
    Money,
    Quantity,
    Rule,
    Schema,
    between,
    describe,
)
from atoll.api.v1alpha1.fleetstatus import FleetStatus
from atoll.api.v1alpha1.routersettings import RouterSettings
from atoll.domain.correction import CorrectionUse
from atoll.domain.fleet import Baseline, Mode, PoolDiscovery

DEADLINES = ("100ms", "10m")
"""Least and most time for a solve; of ``atoll plan --deadline`` too."""


class SolveSettings(Schema, frozen=True, kw_only=True):
    """How plans are sought."""

    deadline: Annotated[Duration, describe("Time in which an answer must be there.", between(*DEADLINES))] = "5s"
    work_budget: Annotated[
        Annotated[int, Meta(ge=0, le=1_000_000_000)],
        describe("Deterministic limit beside the clock, in solver nodes and rounds; 0 for none."),
    ] = 0
    saving_tolerance: Annotated[
        Fraction, describe("Smallest saving, as a share of the running cost, for which another plan is adopted.")
    ] = 0.02
    accept_gap: Annotated[Fraction, describe("Stop once this gap is proven, as a share.")] = 1e-4
    horizon: Annotated[Duration, describe("Over which a saving must pay for its move.", between("1m", "720h"))] = "1h"
    rate_confidence: Annotated[
        Annotated[float, Meta(ge=0.5, le=0.99)],
        describe(
            "Probability with which the replicas of a strategy deliver the rate that is planned with: steps are taken "
            "slower than estimated by what follows from the estimate's expected error. 0.5: as estimated, without a "
            "margin."
        ),
    ] = 0.8
    corrections: Annotated[
        CorrectionUse,
        describe(
            "What is done where engines report, by way of Prometheus, that steps take longer or shorter than "
            "estimated. Show: status.corrections of the ModelDemand says so. Apply: plans are made with it, too. Off: "
            "nobody asks."
        ),
    ] = CorrectionUse.SHOW
    baseline: Annotated[
        Baseline,
        describe(
            "What plans are compared with, so that status.account can tell what is saved. OneKindPerModel: the best "
            "plan in which each served model has one GPU kind, sought after each decision for up to a fifth of the "
            "deadline, at most 2 s more. None: nothing is compared."
        ),
    ] = Baseline.NONE
    explain: Annotated[
        bool,
        describe(
            "Plans tell the next best strategies and shadow prices; up to a fifth of the deadline, at most 2 s more."
        ),
    ] = True


class PaceSettings(Schema, frozen=True, kw_only=True):
    """How fast the fleet changes."""

    max_moves: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)], describe("Most replicas started or drained at one time.")
    ] = 50
    keep_window: Annotated[
        Duration, describe("Demand must stay below for so long before replicas go.", between("0s", "24h"))
    ] = "10m"


class LoadingSettings(Schema, frozen=True, kw_only=True):
    """How long replicas take to start once their nodes are there."""

    image: Annotated[
        Duration, describe("Pulling the engine's image; 0s where nodes have it already.", between("0s", "2h"))
    ] = "101s"
    engine: Annotated[
        Duration, describe("An engine's start beside the loading of its weights.", between("0s", "2h"))
    ] = "269s"
    store_bandwidth: Annotated[
        Quantity | None,
        describe(
            "What the stores of weights give all replicas that load at one time, bytes/s, at least 1M, such as 5G; "
            "absent: 1 GB/s for each, however many load.",
            Rule("quantity(string(self)).compareTo(quantity('1M')) >= 0", "must be at least 1M"),
        ),
    ] = None


class QuotaSettings(Schema, frozen=True, kw_only=True):
    """How many GPUs a namespace may use."""

    namespace: Annotated[
        Annotated[str, Meta(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)],
        describe("Namespace of the ModelDemands."),
    ]
    gpus: Annotated[
        Annotated[int, Meta(ge=0, le=1_000_000)],
        describe("Most GPUs that plans give to its demands together, of any kind; 0: none."),
    ]


LabelKey = Annotated[
    str, Meta(pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$", max_length=317)
]


class CostBudget(Schema, frozen=True, kw_only=True):
    """What some demands may cost before somebody is told."""

    by: Annotated[
        Annotated[str, Meta(pattern=r"^(namespace|label=.+)$", max_length=323)],
        describe("What puts demands together: namespace, or label=KEY."),
    ]
    value: Annotated[
        Annotated[str, Meta(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$", max_length=63)],
        describe("Which namespace, or which value of the label."),
    ]
    per_hour: Annotated[Money, describe("US$/h. It holds nothing back: status.costs and an alert tell of it.")]


class CostSettings(Schema, frozen=True, kw_only=True):
    """For whom the cost is added up, in status and metrics; by namespace it always is."""

    labels: Annotated[
        Annotated[tuple[LabelKey, ...], Meta(max_length=8)],
        describe("Keys of labels of ModelDemands, such as team.", list_type="set"),
    ] = ()
    budgets: Annotated[
        Annotated[tuple[CostBudget, ...], Meta(max_length=64)],
        describe("What namespaces or values of labels may cost.", list_type="map", list_map_keys=["by", "value"]),
    ] = ()

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.budgets.all(b, b.by == 'namespace' || self.labels.exists(l, b.by == 'label=' + l))",
            "budgets are by namespace, or by a label of labels",
        ),
    )


class FleetSpec(Schema, frozen=True, kw_only=True):
    """Policy."""

    mode: Annotated[
        Mode, describe("Automatic: move at once. Recommend: wait for approval of a plan. Paused: change nothing.")
    ] = Mode.AUTOMATIC
    budget_per_hour: Annotated[
        Money | None, describe("Most that the fleet may cost beside what is paid for anyway, US$/h; absent: no limit.")
    ] = None
    quotas: Annotated[
        Annotated[tuple[QuotaSettings, ...], Meta(max_length=256)],
        describe(
            "GPU quotas of namespaces, hard: what they do not admit is a shortfall. A namespace without one has no "
            "limit. During a move old and new replicas may be beyond it together.",
            list_type="map",
            list_map_keys=["namespace"],
        ),
    ] = ()
    solve: Annotated[SolveSettings, describe("How plans are sought.")] = SolveSettings()
    pace: Annotated[PaceSettings, describe("How fast the fleet changes.")] = PaceSettings()
    pending_timeout: Annotated[
        Duration,
        describe("A pod Pending for longer, beyond its pool's startup, masks the offering.", between("10s", "2h")),
    ] = "5m"
    router: Annotated[RouterSettings, describe("How requests reach replicas.")] = RouterSettings()
    pool_discovery: Annotated[
        PoolDiscovery,
        describe(
            "Whether GPUNodePools are made of GPU nodes that are there and of Karpenter's NodePools: while none is "
            "declared, Always for what no declared one covers, or Never. They carry the label atoll.dev/discovered; "
            "without it a pool is yours."
        ),
    ] = PoolDiscovery.WHEN_NONE_DECLARED
    loading: Annotated[LoadingSettings, describe("How long replicas take to start once their nodes are there.")] = (
        LoadingSettings()
    )
    cost: Annotated[CostSettings, describe("For whom the cost is added up.")] = CostSettings()
    plan_history: Annotated[Annotated[int, Meta(ge=1, le=100)], describe("FleetPlans kept.")] = 10


class Fleet(Schema, frozen=True, kw_only=True):
    """Policy for a whole fleet: how it is solved, how fast it moves, and how requests reach it."""

    spec: Annotated[FleetSpec, describe("Policy.")] = FleetSpec()
    status: Annotated[FleetStatus, describe("What is; written by Atoll.")] = FleetStatus()

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            "metadata.name must have at most 40 lower-case letters, digits and hyphens and start with a letter",
        ),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Mode", ".spec.mode"),
        Column("$/h", ".status.costPerHour", "number"),
        Column("Bound", ".status.boundPerHour", "number"),
        Column("Gap", ".status.gap", "number"),
        Column("Shortfall", ".status.shortfall", "number"),
        Column("Plan", ".status.currentPlan"),
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Age", ".metadata.creationTimestamp", "date"),
    )
