"""Policy for the whole fleet."""

from dataclasses import dataclass, field
from enum import StrEnum

from atoll.domain.problem import SolvePolicy


class Mode(StrEnum):
    """Who moves the fleet."""

    AUTOMATIC = "Automatic"
    RECOMMEND = "Recommend"
    PAUSED = "Paused"


class Acknowledgement(StrEnum):
    """Where the versions that routers have taken are read."""

    PODS = "Pods"
    ENDPOINTS = "Endpoints"
    NONE = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterPolicy:
    """How requests reach replicas.

    Attributes:
        replicas: router pods.
        image: Envoy image.
        acknowledgement: where acknowledged versions are read.
        endpoints: base URLs of Envoy's read-only listeners, for ``Endpoints``.
        drain_seconds: from taking a replica out of the router to stopping it, seconds.
        grace_seconds: longest generation a stopping engine is allowed to finish, seconds.
    """

    replicas: int = 2
    image: str = "envoyproxy/envoy:v1.40.0"
    acknowledgement: Acknowledgement = Acknowledgement.PODS
    endpoints: tuple[str, ...] = ()
    drain_seconds: float = 15.0
    grace_seconds: float = 300.0


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
        max_moves: most replicas started or drained at one time.
        plan_history: FleetPlans kept.
        explain: plans tell alternatives and shadow prices, for up to a fifth of the deadline more.
        generation: ``metadata.generation`` that was read.
        uid: ``metadata.uid``; empty where the Fleet is not declared.
    """

    name: str = "default"
    mode: Mode = Mode.AUTOMATIC
    solve: SolvePolicy = field(default_factory=SolvePolicy)
    router: RouterPolicy = field(default_factory=RouterPolicy)
    keep_window_seconds: float = 600.0
    pending_timeout_seconds: float = 300.0
    max_moves: int = 50
    plan_history: int = 10
    explain: bool = True
    generation: int = 0
    uid: str = ""
