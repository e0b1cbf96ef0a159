"""What was seen of the cluster at one moment, as typed values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from atoll.domain.correction import Correction
from atoll.domain.demand import Demand, DemandKey
from atoll.domain.feed import Quoted
from atoll.domain.fleet import Fleet
from atoll.domain.objects import ObjectLike, Reference
from atoll.domain.plan import Plan
from atoll.domain.pool import NodePool, OfferingKey
from atoll.domain.profile import PerformanceProfile
from atoll.domain.reason import Fault
from atoll.domain.signal import Measured
from atoll.domain.strategy import Strategy
from atoll.domain.workload import SeenLengths


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedNode:
    """A node, as far as it matters here.

    Attributes:
        name: ``metadata.name``.
        offering: of which pool's offering it is; None where no pool selects it.
        gpus: allocatable ``nvidia.com/gpu``, or else those that its ResourceSlices publish.
        ready: condition Ready is True.
        notice: the sign that it will go, such as ``karpenter.sh/disrupted``; empty for none.
        labels: of the node.
        allocatable: as Kubernetes quantities.
        taints: as Kubernetes objects.
        claimed: GPUs that ResourceClaims of others hold.
        product: what its ResourceSlices call its GPUs; empty where it advertises them as an extended resource.
    """

    name: str
    offering: OfferingKey | None
    gpus: int
    ready: bool
    notice: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    allocatable: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, str], ...] = ()
    claimed: int = 0
    product: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPod:
    """A pod, slimmed on receipt.

    Attributes:
        namespace: of the pod.
        name: of the pod.
        uid: ``metadata.uid``.
        labels: of the pod.
        annotations: of the pod, ours and those that protect it from autoscalers only.
        node: it is bound to; empty while it is not scheduled.
        gpus: ``nvidia.com/gpu`` that it asks for; of our own pods also those that they claim.
        phase: Kubernetes' pod phase.
        ready: condition Ready is True.
        deleting: it has a deletion timestamp.
        ending: no grace is left of its deletion: finalizers alone keep it.
        created: when.
        restarts: of its containers, in all.
        waiting: reason its container waits for, such as ``ImagePullBackOff``; empty for none.
        address: its IP; empty while it has none.
        ready_since: when condition Ready became what it is, to the second; None where nothing tells.
        nominated: node on which the scheduler makes room for it; empty for none.
        gates: names of its scheduling gates: no scheduler looks at it before they are lifted.
    """

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    node: str
    gpus: int
    phase: str
    ready: bool
    deleting: bool
    created: datetime
    restarts: int = 0
    waiting: str = ""
    address: str = ""
    ready_since: datetime | None = None
    nominated: str = ""
    gates: tuple[str, ...] = ()
    ending: bool = False

    @property
    def finished(self) -> bool:
        """It holds no GPU any more."""
        return self.phase in {"Succeeded", "Failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedDeployment:
    """One of our engine Deployments.

    Attributes:
        namespace: of the Deployment.
        name: of the Deployment.
        uid: ``metadata.uid``.
        resource_version: ``metadata.resourceVersion``.
        demand: whose it is.
        strategy: how its replica runs, read back from its annotation.
        offerings: one per stage of the whole replica, in order.
        replica: replica index of a multi-stage replica; -1 for a single-stage Deployment.
        stage: stage index.
        replicas: ``spec.replicas``.
        selector: labels that all its pods have, and no other pod.
        deleting: it has a deletion timestamp.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    demand: DemandKey
    strategy: Strategy
    offerings: tuple[OfferingKey, ...]
    replica: int
    stage: int
    replicas: int
    selector: Mapping[str, str]
    deleting: bool = False

    @property
    def offering(self) -> OfferingKey:
        """Where its pods go."""
        return self.offerings[self.stage]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """An offering that is not counted on for a while.

    Attributes:
        offering: which.
        until: when it is tried again.
        strikes: times in a row that it gave nothing; each doubles the wait.
        reason: why, in a few words.
    """

    offering: OfferingKey
    until: datetime
    strikes: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that decisions read.

    Attributes:
        fleet: policy; the built-in defaults where none is declared.
        demands: valid ones, by key, served names already settled.
        pools: valid ones, by name.
        faults: what is wrong with which object.
        nodes: by name.
        node_pools: Karpenter's NodePools, where pools are discovered; None where they are not known.
        unheard: names of nodes that pods are bound to, of which nothing was heard yet: they count as there for a while.
        pods: all pods that hold GPUs or are ours.
        released: when the scheduling gates of pods were lifted, as far as that was seen, by uid.
        refused: what an autoscaler said of pods of ours for which it makes no node, by uid.
        deployments: our engine Deployments.
        plans: all FleetPlans of the fleet, oldest first.
        profiles: measured step times, by name.
        measured: what follows from what was heard of measured demands, those of faulty objects too.
        lengths: how long demands' requests were lately, those of which it is known.
        corrections: what engines report about the estimates of demands.
        quoted: what follows from what was heard of pools' feeds, by pool.
        masks: offerings that gave nothing lately; a mask counts until its time, its strikes until nodes come.
        objects: raw objects of our own kinds and children as last seen, managed fields dropped.
        pruned: fields of our own kinds that the API server does not take, because its definitions are older.
        gateway_fault: why HTTPRoutes can be neither read nor written; None where they can, or are not used.
        router_versions: per router the configuration version it has taken; None where it cannot be read.
    """

    fleet: Fleet = field(default_factory=Fleet)
    demands: Mapping[DemandKey, Demand] = field(default_factory=dict)
    pools: Mapping[str, NodePool] = field(default_factory=dict)
    faults: Mapping[Reference, tuple[Fault, ...]] = field(default_factory=dict)
    nodes: Mapping[str, ObservedNode] = field(default_factory=dict)
    node_pools: tuple[ObjectLike, ...] | None = None
    unheard: frozenset[str] = frozenset()
    pods: tuple[ObservedPod, ...] = ()
    released: Mapping[str, datetime] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    deployments: tuple[ObservedDeployment, ...] = ()
    plans: tuple[Plan, ...] = ()
    profiles: tuple[PerformanceProfile, ...] = ()
    measured: Mapping[DemandKey, Measured] = field(default_factory=dict)
    lengths: Mapping[DemandKey, SeenLengths] = field(default_factory=dict)
    corrections: Mapping[DemandKey, tuple[Correction, ...]] = field(default_factory=dict)
    quoted: Mapping[str, Quoted] = field(default_factory=dict)
    masks: Mapping[OfferingKey, Mask] = field(default_factory=dict)
    objects: Mapping[Reference, ObjectLike] = field(default_factory=dict)
    pruned: tuple[str, ...] = ()
    gateway_fault: Fault | None = None
    router_versions: Mapping[str, str | None] = field(default_factory=dict)
