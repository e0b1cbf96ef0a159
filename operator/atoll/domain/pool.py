"""Where nodes come from: pools, offerings and the supply that the solver sees."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from atoll.domain.feed import PriceFeed
from atoll.domain.gpu import CapacityType, GpuConfig
from atoll.domain.startup import NodeBandwidth


class Provisioning(StrEnum):
    """Who makes a pool's nodes appear."""

    AUTOSCALER = "Autoscaler"
    FIXED = "Fixed"


class PriceSource(StrEnum):
    """Where an offering's price was had."""

    FIXED = "Fixed"
    CATALOGUE = "Catalogue"
    FEED = "Feed"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class OfferingKey:
    """Names one offering: a zone and a capacity type of a pool."""

    pool: str
    zone: str
    capacity_type: CapacityType

    def __str__(self) -> str:
        """Read as ``pool/zone/capacity-type``."""
        return f"{self.pool}/{self.zone}/{self.capacity_type}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """One item of a pool's ``offerings``: the p of the program, before others' use is counted out.

    Attributes:
        key: pool, zone and capacity type.
        price_per_hour: US$ per node and hour.
        price_source: where the price was had.
        max_nodes: most nodes that can be had at all.
        quoted_nodes: most nodes that can be had now, as a feed says; None where none says so.
        node_selector: labels that tell nodes of its capacity type; empty for Karpenter's.
    """

    key: OfferingKey
    price_per_hour: float
    price_source: PriceSource
    max_nodes: int
    quoted_nodes: int | None = None
    node_selector: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResources:
    """What one node can give to pods, smallest seen of its shape.

    Attributes:
        cpu_millis: allocatable cpu, thousandths of a core.
        memory_mib: allocatable memory, MiB.
        ephemeral_mib: allocatable ephemeral storage, MiB.
    """

    cpu_millis: int
    memory_mib: int
    ephemeral_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsCache:
    """A folder of each node that keeps weights from one pod to the next.

    Attributes:
        host_path: the folder; it belongs to the engines' user.
        limit_bytes: that all but the weights about to be loaded may hold; None for any amount.
    """

    host_path: str
    limit_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePool:
    """Nodes of one GPU config in one region.

    Attributes:
        name: of the GPUNodePool.
        fleet: name of the Fleet it belongs to.
        config: GPU kind and count of each node.
        instance_type: the cloud's name of the node shape; empty for owned nodes without one.
        region: cloud region.
        node_selector: labels that every node of the pool has.
        tolerations: taints of the pool's own to be tolerated, as Kubernetes toleration objects.
        offerings: where, on which terms and at what price.
        provisioning: who makes nodes appear.
        resources: allocatable resources of one node.
        startup_seconds: from a pending pod to a Ready node, seconds.
        bandwidth: what a node loads weights with.
        weights_cache: of each node; None for none.
        device_class: DeviceClass of which pods claim GPUs; empty for the extended resource ``nvidia.com/gpu``.
        feed: where prices and availability are heard; None for nowhere.
        generation: ``metadata.generation`` that was read.
        uid: ``metadata.uid``; empty outside a cluster.
    """

    name: str
    config: GpuConfig
    region: str
    offerings: tuple[Offering, ...]
    resources: NodeResources
    instance_type: str = ""
    fleet: str = "default"
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, object], ...] = ()
    provisioning: Provisioning = Provisioning.AUTOSCALER
    startup_seconds: float = 410.0
    bandwidth: NodeBandwidth = field(default_factory=NodeBandwidth)
    weights_cache: WeightsCache | None = None
    device_class: str = ""
    feed: PriceFeed | None = None
    generation: int = 0
    uid: str = ""

    def terms_selector(self, key: OfferingKey) -> Mapping[str, str]:
        """The labels of its own by which nodes of one offering's capacity type are told; empty for Karpenter's."""
        return next((item.node_selector for item in self.offerings if item.key == key), {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """Nodes of an offering that are alike to the solver: same free GPUs, same price.

    An offering whose nodes are all ours is one supply; nodes on which others hold GPUs are further supplies of the
    same offering with fewer free GPUs.

    Attributes:
        offering: of which they are.
        gpu_kind: name of the GPU kind.
        gpus: free GPUs per node (the G of the packing rows; any number).
        price_per_hour: US$ per node and hour that using one costs; 0 where it is paid for anyway.
        paid_per_hour: US$ per node and hour that is paid whether it is used or not: owned and reserved nodes.
        obtainable: most nodes.
        region: cloud region.
        startup_seconds: from a pending pod to a Ready node, seconds.
        bandwidth: what a node loads weights with.
    """

    offering: OfferingKey
    gpu_kind: str
    gpus: int
    price_per_hour: float
    obtainable: int
    region: str
    startup_seconds: float = 410.0
    paid_per_hour: float = 0.0
    bandwidth: NodeBandwidth = field(default_factory=NodeBandwidth)

    @property
    def zone(self) -> str:
        """The domain that a replica may not cross."""
        return self.offering.zone

    @property
    def capacity_type(self) -> CapacityType:
        """The terms on which the nodes are had."""
        return self.offering.capacity_type
