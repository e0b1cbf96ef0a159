"""What teams want served."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.gpu import CapacityType
from atoll.domain.signal import DemandSignal
from atoll.domain.strategy import EngineName
from atoll.domain.workload import Objectives, Workload

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
"""Names the LocalQueue of Kueue, on a ModelDemand as on Deployments and pods."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class DemandKey:
    """Names one ModelDemand."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Read as ``namespace/name``."""
        return f"{self.namespace}/{self.name}"


class Loss(StrEnum):
    """What may be lost at a time while the rest goes on serving."""

    NONE = "none"
    REPLICA = "replica"
    SPOT_POOL = "spotPool"
    ZONE = "zone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a demand's replicas may run; an empty set allows everything.

    Attributes:
        regions: regions allowed.
        gpu_kinds: GPU kinds allowed.
        capacity_types: terms allowed.
        preference: capacity types, first choice first; those not named come last; empty for none.
        spot_share: largest share of the rate on spot, 0 to 1.
        min_replicas: smallest number of replicas (while the demand is above zero).
        min_domains: smallest number of zones that replicas are spread over.
        survive: the loss, any one of its sort, that the demand is to survive; a spot pool is the spot nodes of one GPU
            kind in one zone.
        survive_share: share of the demand that is still served then, above 0, at most 1.
    """

    regions: frozenset[str] = frozenset()
    gpu_kinds: frozenset[str] = frozenset()
    capacity_types: frozenset[CapacityType] = frozenset()
    preference: tuple[CapacityType, ...] = ()
    spot_share: float = 1.0
    min_replicas: int = 0
    min_domains: int = 0
    survive: Loss = Loss.NONE
    survive_share: float = 1.0

    def rank(self, capacity_type: CapacityType) -> int:
        """Place of a capacity type in the order of preference, 0 = first choice; those not named come last."""
        known = capacity_type in self.preference
        return self.preference.index(capacity_type) if known else len(self.preference)

    @property
    def steps(self) -> tuple[tuple[int, float], ...]:
        """How many first choices are to carry which share of what is served; spot no more than it may."""
        most = min(len(self.preference), len(CapacityType) - 1)
        due = [
            self.spot_share if self.preference[:step] == (CapacityType.SPOT,) else 1.0 for step in range(1, most + 1)
        ]
        return tuple((step, share) for step, share in enumerate(due, start=1) if share > 0.0)

    def allows(self, region: str, gpu_kind: str, capacity_type: CapacityType) -> bool:
        """Whether replicas may run on such nodes."""
        return (
            (not self.regions or region in self.regions)
            and (not self.gpu_kinds or gpu_kind in self.gpu_kinds)
            and (not self.capacity_types or capacity_type in self.capacity_types)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The engine that runs the served model and what the user adds to its pods.

    Attributes:
        name: which engine.
        image: container image.
        args: further arguments, appended to ours.
        env: environment variables as Kubernetes EnvVar objects (literal values or secret references).
        pairs: prefill and decode may run on replicas of their own, in pairs.
        pod_template: the user's overlay of the pod template, the typed allow-list of docs/reference/modeldemand.md.
    """

    name: EngineName = EngineName.VLLM
    image: str = "vllm/vllm-openai:v0.24.0"
    args: tuple[str, ...] = ()
    env: tuple[Mapping[str, object], ...] = ()
    pairs: bool = False
    pod_template: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One ModelDemand, parsed and with its rate resolved.

    Attributes:
        key: namespace and name.
        uid: ``metadata.uid``; empty outside a cluster.
        generation: ``metadata.generation`` that was read.
        created: ``metadata.creationTimestamp`` as RFC 3339 text; empty outside a cluster.
        fleet: name of the Fleet it belongs to.
        served_name: what clients put into the ``model`` field of a request.
        aliases: other names that they may put there.
        architecture: of the served model.
        weights: where weights are had: ``hf://``, ``pvc://``, ``s3://`` or ``oci://`` URI.
        quantisations: allowed, best first.
        rate: requests/s wanted now.
        workload: shape of the requests.
        objectives: what each request must see.
        priority: higher is served first when there is not enough.
        placement: where replicas may run.
        engine: what runs them.
        signal: how it is measured; None where it is not.
        queue: LocalQueue of Kueue that admits its pods; empty where Kueue has no say.
    """

    key: DemandKey
    served_name: str
    architecture: Architecture
    rate: float
    workload: Workload
    objectives: Objectives
    weights: str = ""
    quantisations: tuple[Quantisation, ...] = (Quantisation.BF16,)
    priority: int = 0
    placement: Placement = field(default_factory=Placement)
    engine: Engine = field(default_factory=Engine)
    signal: DemandSignal | None = None
    fleet: str = "default"
    uid: str = ""
    generation: int = 0
    created: str = ""
    aliases: tuple[str, ...] = ()
    queue: str = ""
