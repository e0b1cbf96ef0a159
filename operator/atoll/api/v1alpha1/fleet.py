"""Fleet: policy for the whole (cluster-scoped, short name ``fleet``)."""

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from atoll.api.v1alpha1.base import (
    CONDITIONS,
    OBSERVED_GENERATION,
    Column,
    Conditions,
    Count,
    Duration,
    Fraction,
    Generation,
    Money,
    ObjectName,
    Quantity,
    Rate,
    Rule,
    Schema,
    Text,
    Timestamp,
    between,
    describe,
)
from atoll.domain.correction import CorrectionUse
from atoll.domain.fleet import AccessLog, Acknowledgement, Balancing, Baseline, Mode, PoolDiscovery, RouterTarget

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


class AcknowledgementSettings(Schema, frozen=True, kw_only=True):
    """Where the versions that routers have taken are read."""

    mode: Annotated[Acknowledgement, describe("Pods, Endpoints (those listed) or None.")] = Acknowledgement.PODS
    endpoints: Annotated[
        Annotated[tuple[Annotated[str, Meta(pattern="^http://[^/@]+/?$", max_length=256)], ...], Meta(max_length=16)],
        describe("Base URLs of Envoy's read-only listeners, for Endpoints.", list_type="set"),
    ] = ()

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.mode != 'Endpoints' || size(self.endpoints) > 0", "mode Endpoints needs at least one endpoint"),
    )


class GatewayParent(Schema, frozen=True, kw_only=True):
    """A Gateway that HTTPRoutes attach to."""

    name: Annotated[ObjectName, describe("Name of the Gateway.")]
    namespace: Annotated[
        Annotated[str, Meta(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)],
        describe("Namespace of the Gateway; its listeners must allow routes from the namespaces of the demands."),
    ]
    section_name: Annotated[
        Annotated[str, Meta(pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", max_length=253)],
        describe("One listener of it; empty: all."),
    ] = ""


class GatewaySettings(Schema, frozen=True, kw_only=True):
    """How HTTPRoutes of the Gateway API are written."""

    parents: Annotated[
        Annotated[tuple[GatewayParent, ...], Meta(max_length=8)],
        describe("Gateways that they attach to.", list_type="map", list_map_keys=["namespace", "name", "sectionName"]),
    ] = ()
    hostnames: Annotated[
        Annotated[
            tuple[
                Annotated[
                    str,
                    Meta(
                        pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
                        max_length=253,
                    ),
                ],
                ...,
            ],
            Meta(max_length=16),
        ],
        describe("Host names that they match; empty: all of the Gateway.", list_type="set"),
    ] = ()
    model_header: Annotated[
        Annotated[str, Meta(pattern="^[A-Za-z0-9-]+$", min_length=1, max_length=128)],
        describe(
            "Header that names the served model, since HTTPRoutes do not read bodies: body-based routing of the "
            "Gateway API Inference Extension, or the client, sets it."
        ),
    ] = "X-Gateway-Model-Name"
    request_timeout: Annotated[
        Annotated[str, Meta(pattern="^(([0-9]{1,5}(h|m|s|ms)){1,4})?$", max_length=32)],
        describe("Time-out of the rules; 0s: none. Empty: none is written, for Gateways that refuse the field."),
    ] = "0s"


class RouterHealthSettings(Schema, frozen=True, kw_only=True):
    """How soon a replica that does not answer is left out."""

    interval: Annotated[Duration, describe("Between two checks of one replica.", between("100ms", "1m"))] = "500ms"
    timeout: Annotated[Duration, describe("In which a check must be answered.", between("50ms", "1m"))] = "400ms"
    failures: Annotated[
        Annotated[int, Meta(ge=1, le=100)], describe("Checks failed in a row that take a replica out.")
    ] = 1


class RouterSettings(Schema, frozen=True, kw_only=True):
    """How requests reach replicas."""

    target: Annotated[
        RouterTarget,
        describe(
            "What carries requests: Atoll's own Envoy, Gateways of the cluster by HTTPRoutes (GatewayAPI), or Both, to "
            "move clients from one to the other."
        ),
    ] = RouterTarget.ENVOY
    gateway: Annotated[GatewaySettings, describe("How HTTPRoutes are written, for GatewayAPI and Both.")] = (
        GatewaySettings()
    )
    replicas: Annotated[
        Annotated[int, Meta(ge=0, le=100)] | None,
        describe("Router pods; 0 where Atoll runs none; absent: the chart's router.replicas."),
    ] = None
    image: Annotated[
        Annotated[str, Meta(min_length=1, max_length=512)] | None,
        describe("Envoy image; absent: the chart's router.image."),
    ] = None
    workers: Annotated[Annotated[int, Meta(ge=1, le=256)], describe("Threads of a router pod that carry requests.")] = 2
    cpu: Annotated[Quantity, describe("CPU that a router pod asks for.")] = "500m"
    memory: Annotated[
        Quantity,
        describe(
            "Memory that a router pod may use, at least 256Mi. Near it new requests get 503 with Retry-After.",
            Rule("quantity(string(self)).compareTo(quantity('256Mi')) >= 0", "must be at least 256Mi"),
        ),
    ] = "2Gi"
    acknowledgement: Annotated[
        AcknowledgementSettings, describe("Where the versions that routers have taken are read.")
    ] = AcknowledgementSettings()
    drain: Annotated[
        Duration,
        describe(
            "Time that routers get to learn of replicas: from Ready until others may go, and from taking one out to "
            "stopping it.",
            between("0s", "10m"),
        ),
    ] = "15s"
    grace: Annotated[
        Duration, describe("Longest generation that a stopping engine may finish.", between("0s", "2h"))
    ] = "5m"
    balancing: Annotated[
        Balancing,
        describe(
            "LeastRequest: capacity divided by requests in flight. Capacity: shares of capacity, whatever is in flight."
        ),
    ] = Balancing.LEAST_REQUEST
    retries: Annotated[
        Annotated[int, Meta(ge=0, le=10)],
        describe("Times that a request which got no answer at all, or 503, is sent to another replica."),
    ] = 2
    max_request_size: Annotated[
        Quantity,
        describe(
            "Largest body of a request, 1Mi to 1Gi, kept in memory while it is read; beyond it 413.",
            Rule(
                "quantity(string(self)).compareTo(quantity('1Mi')) >= 0"
                " && quantity(string(self)).compareTo(quantity('1Gi')) <= 0",
                "must be between 1Mi and 1Gi",
            ),
        ),
    ] = "32Mi"
    max_concurrent_requests: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)],
        describe("Requests in flight per served model and router pod; beyond it 429 with Retry-After."),
    ] = 100_000
    upload_timeout: Annotated[
        Duration, describe("In which a whole request must have come; beyond it 408.", between("1s", "1h"))
    ] = "1m"
    silence_timeout: Annotated[
        Duration,
        describe(
            "After which a request without a byte in either direction is cut. An answer that does not stream is silent "
            "for the whole generation.",
            between("1s", "24h"),
        ),
    ] = "1h"
    trusted_hops: Annotated[
        Annotated[int, Meta(ge=0, le=16)],
        describe("Proxies in front of the router whose X-Forwarded-For is believed, for the log and for engines."),
    ] = 0
    health: Annotated[RouterHealthSettings, describe("How soon a replica that does not answer is left out.")] = (
        RouterHealthSettings()
    )
    access_log: Annotated[
        AccessLog, describe("Requests that a router pod writes as JSON lines: All, Errors (400 and above) or None.")
    ] = AccessLog.ALL
    token_metrics: Annotated[
        bool,
        describe(
            "Router pods count tokens by demand, from the usage that engines tell. They then hold each JSON answer, of "
            "at most maxRequestSize, until it is whole; streams stay as they are."
        ),
    ] = False

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.target == 'Envoy' || size(self.gateway.parents) > 0", "target GatewayAPI needs gateway.parents"),
    )


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


class LastSolve(Schema, frozen=True, kw_only=True):
    """How the last solve went."""

    time: Annotated[Timestamp, describe("When, RFC 3339.")] = ""
    seconds: Annotated[Annotated[float, Meta(ge=0.0, le=1e6)], describe("Time taken, seconds.")] = 0.0
    solver: Annotated[Annotated[str, Meta(max_length=32)], describe("What found the answer.")] = ""
    trigger: Annotated[Text, describe("Why it was solved.")] = ""


Dollars = Annotated[float, Meta(ge=-1e12, le=1e12)]


class AccountStatus(Schema, frozen=True, kw_only=True):
    """What the fleet has cost since it was first planned: as planned, at the prices of the plans, not as billed."""

    began: Annotated[Timestamp, describe("When the first plan was in force, RFC 3339.")] = ""
    spent: Annotated[Dollars, describe("US$ from then until since.")] = 0.0
    saved: Annotated[Dollars, describe("US$ less than the baseline until since, while there was one.")] = 0.0
    compared_hours: Annotated[
        Annotated[float, Meta(ge=0.0, le=1e9)], describe("Hours until since in which there was a baseline.")
    ] = 0.0
    since: Annotated[Timestamp, describe("Since when the rates below hold, RFC 3339: add them to the sums.")] = ""
    plan: Annotated[Annotated[str, Meta(max_length=63)], describe("FleetPlan in force since then.")] = ""
    cost_per_hour: Annotated[Money, describe("What it costs, US$/h.")] = 0.0
    baseline_per_hour: Annotated[
        Money | None, describe("What the baseline would cost instead, US$/h; absent where there is none.")
    ] = None


class CostStatus(Schema, frozen=True, kw_only=True):
    """What the demands of a namespace, or of a label's value, cost by the plan in force."""

    by: Annotated[Annotated[str, Meta(max_length=323)], describe("What puts them together.")]
    value: Annotated[
        Annotated[str, Meta(max_length=63)],
        describe("Which; empty: demands without the label; (others): all beyond the 99 that cost most."),
    ]
    demands: Annotated[Count, describe("How many they are.")] = 0
    cost_per_hour: Annotated[Money, describe("Their part of the nodes' price, by GPUs, US$/h.")] = 0.0
    cost_per_million_tokens: Annotated[
        Money | None, describe("US$ per million tokens of prompts and answers; absent where none are served.")
    ] = None
    budget_per_hour: Annotated[Money | None, describe("What they may cost, US$/h; absent where none is set.")] = None


class InForceStatus(Schema, frozen=True, kw_only=True):
    """The settings that hold: the last that were understood."""

    generation: Annotated[Generation, describe("metadata.generation that they are of.")] = 0
    spec: Annotated[dict[str, Any] | None, describe("They, as they were declared.")] = None


class FleetStatus(Schema, frozen=True, kw_only=True):
    """What is."""

    observed_generation: Annotated[Generation, OBSERVED_GENERATION] = 0
    conditions: Annotated[Conditions, CONDITIONS] = ()
    cost_per_hour: Annotated[Money, describe("What the nodes in use cost beside what is paid for anyway, US$/h.")] = 0.0
    list_cost_per_hour: Annotated[Money, describe("Price of all nodes in use, owned and reserved ones too, US$/h.")] = (
        0.0
    )
    bound_per_hour: Annotated[Money, describe("Proven lower bound of it, US$/h.")] = 0.0
    gap: Annotated[Fraction, describe("(cost - bound) / cost.")] = 0.0
    conditional: Annotated[bool, describe("The bound holds for these shortfalls only.")] = False
    shortfall: Annotated[Rate, describe("Requests/s wanted and not planned for, all demands.")] = 0.0
    demands: Annotated[Annotated[int, Meta(ge=0, le=1_000_000)], describe("Demands of this fleet.")] = 0
    discovered_pools: Annotated[Count, describe("GPUNodePools that were made of what the cluster has.")] = 0
    discovery_notes: Annotated[
        Annotated[tuple[Text, ...], Meta(max_length=8)],
        describe("What was found and not understood, each with the mend.", list_type="atomic"),
    ] = ()
    current_plan: Annotated[Annotated[str, Meta(max_length=63)], describe("Name of the FleetPlan in force.")] = ""
    account: Annotated[AccountStatus, describe("What it has cost and saved since it was first planned.")] = (
        AccountStatus()
    )
    costs: Annotated[
        Annotated[tuple[CostStatus, ...], Meta(max_length=1000)],
        describe("What it costs by namespace, and by the labels of spec.cost.", list_type="atomic"),
    ] = ()
    last_solve: Annotated[LastSolve, describe("How the last solve went.")] = LastSolve()
    in_force: Annotated[
        InForceStatus,
        describe("The settings that hold: spec, or what it was when it was understood last, while it is invalid."),
    ] = InForceStatus()


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
