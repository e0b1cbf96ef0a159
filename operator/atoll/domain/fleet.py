"""Policy for the whole fleet."""

from dataclasses import dataclass, field
from enum import StrEnum

from atoll.domain.correction import CorrectionUse
from atoll.domain.cost import CostPolicy
from atoll.domain.problem import SolvePolicy
from atoll.domain.startup import StartPolicy

SCHEDULER = "atoll-binpack"
"""kube-scheduler profile that fills GPU nodes one after another (scenario R23)."""


class Mode(StrEnum):
    """Who moves the fleet."""

    AUTOMATIC = "Automatic"
    RECOMMEND = "Recommend"
    PAUSED = "Paused"


class PoolDiscovery(StrEnum):
    """When pools are made of what the cluster has."""

    WHEN_NONE_DECLARED = "WhenNoneDeclared"
    ALWAYS = "Always"
    NEVER = "Never"


class Baseline(StrEnum):
    """What a plan's cost is compared with."""

    NONE = "None"
    ONE_KIND_PER_MODEL = "OneKindPerModel"


class Acknowledgement(StrEnum):
    """Where the versions that routers have taken are read."""

    PODS = "Pods"
    ENDPOINTS = "Endpoints"
    NONE = "None"


class RouterTarget(StrEnum):
    """What carries requests to replicas."""

    ENVOY = "Envoy"
    GATEWAY_API = "GatewayAPI"
    BOTH = "Both"

    @property
    def uses_envoy(self) -> bool:
        """Atoll's own router does."""
        return self is not RouterTarget.GATEWAY_API

    @property
    def uses_gateways(self) -> bool:
        """Gateways of the cluster do."""
        return self is not RouterTarget.ENVOY


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayReference:
    """A Gateway, or one of its listeners, that carries requests.

    Attributes:
        namespace: of the Gateway.
        name: of the Gateway.
        section: name of the listener; empty for all.
    """

    namespace: str
    name: str
    section: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPolicy:
    """How HTTPRoutes are written.

    Attributes:
        parents: Gateways that they attach to.
        hostnames: that they match; empty for all of the Gateway.
        model_header: header that names the served model; the Gateway, or the client, sets it.
        request_timeout: of the rule, as the Gateway API writes durations; empty where none is written.
    """

    parents: tuple[GatewayReference, ...] = ()
    hostnames: tuple[str, ...] = ()
    model_header: str = "X-Gateway-Model-Name"
    request_timeout: str = "0s"


class Balancing(StrEnum):
    """How the router chooses among the replicas of a served model."""

    LEAST_REQUEST = "LeastRequest"
    CAPACITY = "Capacity"


class AccessLog(StrEnum):
    """Which requests the router logs."""

    ALL = "All"
    ERRORS = "Errors"
    NONE = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterPolicy:
    """How requests reach replicas.

    Attributes:
        target: what carries requests.
        gateway: how HTTPRoutes are written, where Gateways carry requests.
        replicas: router pods; None for as many as the operator's settings say.
        image: Envoy image; empty for that of the operator's settings.
        workers: threads of a router pod that carry requests.
        cpu_millicores: that a router pod asks for, thousandths of a core.
        memory_mebibytes: that a router pod may use, MiB; near it new requests are turned away.
        acknowledgement: where acknowledged versions are read.
        endpoints: base URLs of Envoy's read-only listeners, for ``Endpoints``.
        drain_seconds: from taking a replica out of the router to stopping it, seconds.
        grace_seconds: longest generation a stopping engine is allowed to finish, seconds.
        balancing: how it chooses among replicas.
        retries: times that a request which got no answer at all is sent to another replica.
        largest_request_mebibytes: of a request's body, MiB.
        most_concurrent_requests: in flight per served model and router pod; beyond it 429.
        upload_seconds: in which a whole request must have come, seconds.
        silence_seconds: after which a request without a byte in either direction is cut, seconds.
        trusted_hops: proxies in front of the router whose word of a client's address counts.
        health_interval_seconds: between two health checks of one replica, seconds.
        health_timeout_seconds: in which a health check must be answered, seconds.
        health_failures: checks failed in a row that take a replica out.
        access_log: which requests are logged.
        token_metrics: the router counts tokens; it then reads every JSON answer whole before it passes it on.
    """

    target: RouterTarget = RouterTarget.ENVOY
    gateway: GatewayPolicy = field(default_factory=GatewayPolicy)
    replicas: int | None = None
    image: str = ""
    workers: int = 2
    cpu_millicores: int = 500
    memory_mebibytes: int = 2048
    acknowledgement: Acknowledgement = Acknowledgement.PODS
    endpoints: tuple[str, ...] = ()
    drain_seconds: float = 15.0
    grace_seconds: float = 300.0
    balancing: Balancing = Balancing.LEAST_REQUEST
    retries: int = 2
    largest_request_mebibytes: int = 32
    most_concurrent_requests: int = 100_000
    upload_seconds: float = 60.0
    silence_seconds: float = 3600.0
    trusted_hops: int = 0
    health_interval_seconds: float = 0.5
    health_timeout_seconds: float = 0.4
    health_failures: int = 1
    access_log: AccessLog = AccessLog.ALL
    token_metrics: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """One Fleet, or the built-in defaults where none is declared.

    Attributes:
        name: of the Fleet; demands and pools name it.
        mode: who moves the fleet.
        solve: how plans are sought.
        router: how requests reach replicas.
        keep_window_seconds: demand must stay below for so long before replicas go, seconds.
        pending_timeout_seconds: a pod Pending for longer masks its offering, seconds, beyond the pool's start-up time.
        corrections: what is done with what engines report about estimates.
        start: what is known of replicas' starts, whatever the node.
        max_moves: most replicas started or drained at one time.
        plan_history: FleetPlans kept.
        baseline: that plans are compared with; sought for up to a fifth of the deadline more.
        explain: plans tell alternatives and shadow prices, for up to a fifth of the deadline more.
        pool_discovery: when pools are made of what the cluster has.
        cost: for whom the cost is added up.
        scheduler: kube-scheduler profile of engine pods; the operator's setting.
        generation: ``metadata.generation`` that was read.
        uid: ``metadata.uid``; empty where the Fleet is not declared.
    """

    name: str = "default"
    mode: Mode = Mode.AUTOMATIC
    solve: SolvePolicy = field(default_factory=SolvePolicy)
    router: RouterPolicy = field(default_factory=RouterPolicy)
    keep_window_seconds: float = 600.0
    pending_timeout_seconds: float = 300.0
    corrections: CorrectionUse = CorrectionUse.SHOW
    start: StartPolicy = field(default_factory=StartPolicy)
    max_moves: int = 50
    plan_history: int = 10
    baseline: Baseline = Baseline.NONE
    explain: bool = True
    pool_discovery: PoolDiscovery = PoolDiscovery.WHEN_NONE_DECLARED
    cost: CostPolicy = field(default_factory=CostPolicy)
    scheduler: str = SCHEDULER
    generation: int = 0
    uid: str = ""
