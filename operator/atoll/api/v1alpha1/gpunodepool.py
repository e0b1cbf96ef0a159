"""GPUNodePool: where nodes of one GPU config come from in one region (cluster-scoped, short name ``gnp``)."""

from typing import Annotated, ClassVar

from msgspec import Meta, field

from atoll.api.v1alpha1.base import (
    CONDITIONS,
    FLEET,
    OBSERVED_GENERATION,
    Column,
    Conditions,
    Count,
    Duration,
    FleetName,
    Generation,
    Label,
    LabelKey,
    Money,
    Price,
    Quantity,
    Rule,
    Schema,
    Text,
    Timestamp,
    Tolerations,
    Word,
    between,
    describe,
)
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import PriceSource, Provisioning


class GpuShape(Schema, frozen=True, kw_only=True):
    """The GPUs of each node."""

    kind: Annotated[Word, describe("GPU kind, such as H100-80GB.")]
    count: Annotated[Annotated[int, Meta(ge=1, le=64)], describe("GPUs per node.")]
    device_class: Annotated[
        Annotated[str, Meta(pattern=r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$", max_length=253)],
        describe(
            "DeviceClass of which pods claim GPUs (Dynamic Resource Allocation, Kubernetes 1.34 or newer), such as "
            "gpu.nvidia.com; empty: the extended resource nvidia.com/gpu."
        ),
    ] = ""


class OfferingItem(Schema, frozen=True, kw_only=True):
    """One zone and capacity type."""

    zone: Annotated[Word, describe("Zone, such as us-east-2a.")]
    capacity_type: Annotated[CapacityType, describe("on-demand, spot or reserved.")]
    price: Annotated[Price | None, describe("US$ per node and hour; absent: of the feed, or the catalogue.")] = None
    max_nodes: Annotated[Annotated[int, Meta(ge=0, le=100_000)], describe("Most nodes that can be had at all.")]
    node_selector: Annotated[
        Annotated[dict[LabelKey, Label], Meta(max_length=4)],
        describe(
            "Labels that tell nodes of this capacity type, where the autoscaler is not Karpenter; absent: "
            "karpenter.sh/capacity-type."
        ),
    ] = field(default_factory=dict)


class FeedSettings(Schema, frozen=True, kw_only=True):
    """Where prices and availability are heard: a JSON document, docs/howto/nodes.md."""

    url: Annotated[
        Annotated[str, Meta(pattern="^https?://[^/@]+(/.*)?$", max_length=1024)],
        describe("Of the document; asked for without credentials."),
    ]
    interval: Annotated[Duration, describe("Between two questions.", between("5s", "24h"))] = "5m"
    stale_after: Annotated[
        Duration,
        describe("Age from which on what was heard is too old: the last good prices are kept.", between("10s", "168h")),
    ] = "1h"

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "duration(self.interval) < duration(self.staleAfter)",
            "interval must be below staleAfter, or what was heard is too old before it is asked for again",
        ),
    )


class AllocatableResources(Schema, frozen=True, kw_only=True):
    """What one node can give to pods; the smallest seen of its shape."""

    cpu: Annotated[Quantity, describe("Allocatable cpu, such as 191450m.")]
    memory: Annotated[Quantity, describe("Allocatable memory, such as 1900Gi.")]
    ephemeral_storage: Annotated[Quantity, describe("Allocatable ephemeral storage, such as 180Gi.")]


_AT_LEAST_1M = Rule("quantity(string(self)).compareTo(quantity('1M')) >= 0", "must be at least 1M")


class BandwidthSettings(Schema, frozen=True, kw_only=True):
    """What a node loads weights with."""

    network: Annotated[
        Quantity | None,
        describe(
            "Of a pod's network, bytes/s, such as 12500M for 100 Gbit/s; absent: of the instance type, at most "
            "12500M, or 1250M.",
            _AT_LEAST_1M,
        ),
    ] = None
    disk: Annotated[
        Quantity | None,
        describe(
            "Of the disk that holds pods' volumes and images, bytes/s; absent: 1G, or less where the instance type "
            "cannot attach such a volume.",
            _AT_LEAST_1M,
        ),
    ] = None


SYSTEM_FOLDERS = (
    *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "root", "run", "sbin", "sys", "usr"),
    *("var/lib/cni", "var/lib/containerd", "var/lib/containers", "var/lib/docker", "var/lib/etcd", "var/lib/kubelet"),
    *("var/log", "var/run"),
)
"""Of a node: what is in them is not weights, and the guard of a cache removes what is over its limit."""

_NO_SYSTEM_FOLDER = Rule(
    f"!self.matches('^/({'|'.join(SYSTEM_FOLDERS)})(/|$)') && self != '/var/lib'",
    "must not be a system folder of the node, such as /etc or /var/lib/kubelet, nor in one, nor hold one",
)


class WeightsCacheSettings(Schema, frozen=True, kw_only=True):
    """A folder of each node that keeps hf:// weights from one pod to the next; see docs/engines.md."""

    host_path: Annotated[
        Annotated[str, Meta(pattern=r"^(/[A-Za-z0-9_-][A-Za-z0-9._-]*){2,}$", max_length=256)],
        describe(
            "The folder, two levels deep or more, such as /mnt/nvme/weights. It must be on every node, belong to user "
            "2000, and the namespaces of demands must admit pods with host paths. No system folder of the node.",
            _NO_SYSTEM_FOLDER,
        ),
    ]
    size_limit: Annotated[
        Quantity | None,
        describe(
            "What all weights but those about to be loaded may hold, such as 500Gi: those started longest ago go "
            "first. Absent: nothing is removed."
        ),
    ] = None


class GPUNodePoolSpec(Schema, frozen=True, kw_only=True):
    """Where nodes come from."""

    fleet: Annotated[FleetName, FLEET] = "default"
    gpu: Annotated[GpuShape, describe("The GPUs of each node.")]
    instance_type: Annotated[
        Annotated[str, Meta(max_length=63)], describe("The cloud's name of the node shape; empty for owned nodes.")
    ] = ""
    cloud: Annotated[
        Annotated[str, Meta(max_length=32)], describe("Cloud whose prices hold: aws, gcp, …; empty for owned nodes.")
    ] = ""
    region: Annotated[Word, describe("Region of all offerings.")]
    node_selector: Annotated[
        Annotated[dict[LabelKey, Label], Meta(max_length=16)],
        describe("Labels that every node of the pool has; instance type, zone and capacity type are added."),
    ] = field(default_factory=dict)
    tolerations: Annotated[
        Tolerations, describe("Taints of the pool's own that engine pods tolerate.", list_type="atomic")
    ] = ()
    offerings: Annotated[
        Annotated[tuple[OfferingItem, ...], Meta(min_length=1, max_length=64)],
        describe(
            "Where and on which terms, how many and at what price.",
            list_type="map",
            list_map_keys=["zone", "capacityType"],
        ),
    ]
    feed: Annotated[
        FeedSettings | None, describe("Prices and availability of offerings without a price of their own.")
    ] = None
    provisioning: Annotated[
        Provisioning,
        describe(
            "Autoscaler: nodes come when pods ask. Fixed: owned nodes, paid for anyway; as are reserved offerings, up "
            "to their maxNodes."
        ),
    ] = Provisioning.AUTOSCALER
    startup: Annotated[Duration, describe("From a pending pod to a Ready node.", between("0s", "2h"))] = "410s"
    bandwidth: Annotated[BandwidthSettings, describe("What a node loads weights with.")] = BandwidthSettings()
    weights_cache: Annotated[
        WeightsCacheSettings | None,
        describe("A folder of each node that keeps hf:// weights from one pod to the next; absent: none."),
    ] = None
    allocatable: Annotated[
        AllocatableResources | None, describe("What one node can give to pods; absent: from the catalogue.")
    ] = None

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "size(self.instanceType) > 0 || has(self.allocatable)",
            "allocatable must be set where there is no instanceType to look it up",
        ),
        Rule(
            "self.provisioning == 'Fixed' || size(self.instanceType) > 0 || self.offerings.all(o, has(o.price))",
            "every offering needs a price where there is no instanceType to look it up",
        ),
    )


class OfferingStatus(Schema, frozen=True, kw_only=True):
    """What is known of one offering."""

    zone: Annotated[Word, describe("Zone.")]
    capacity_type: Annotated[CapacityType, describe("on-demand, spot or reserved.")]
    ready_nodes: Annotated[Count, describe("Nodes that are Ready.")] = 0
    used_nodes: Annotated[Count, describe("Nodes that the current plan uses.")] = 0
    obtainable_nodes: Annotated[Count, describe("Most nodes that Atoll counts on now.")] = 0
    price_per_hour: Annotated[Price, describe("US$ per node and hour now.")] = 0.0
    price_source: Annotated[PriceSource | None, describe("Where the price was had.")] = None
    masked_until: Annotated[Timestamp, describe("Not counted on until then, RFC 3339; empty: counted on.")] = ""
    masked_reason: Annotated[Text, describe("Why it is not counted on.")] = ""
    strikes: Annotated[Count, describe("Times in a row that it gave nothing; each doubles the wait.")] = 0


class GPUNodePoolStatus(Schema, frozen=True, kw_only=True):
    """What is."""

    observed_generation: Annotated[Generation, OBSERVED_GENERATION] = 0
    conditions: Annotated[Conditions, CONDITIONS] = ()
    ready_nodes: Annotated[Count, describe("Nodes that are Ready, all offerings.")] = 0
    used_nodes: Annotated[Count, describe("Nodes that the current plan uses, all offerings.")] = 0
    obtainable_nodes: Annotated[Count, describe("Most nodes that Atoll counts on now, all offerings.")] = 0
    cost_per_hour: Annotated[Money, describe("Price of the nodes in use, US$/h, paid for anyway or not.")] = 0.0
    offerings: Annotated[
        Annotated[tuple[OfferingStatus, ...], Meta(max_length=64)],
        describe("Per offering.", list_type="map", list_map_keys=["zone", "capacityType"]),
    ] = ()


class GPUNodePool(Schema, frozen=True, kw_only=True):
    """Nodes of one GPU config in one region: where, on which terms, how many and at what price."""

    spec: Annotated[GPUNodePoolSpec, describe("Where nodes come from.")]
    status: Annotated[GPUNodePoolStatus, describe("What is; written by Atoll.")] = GPUNodePoolStatus()

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("size(self.metadata.name) <= 63", "metadata.name must have at most 63 characters"),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("GPU", ".spec.gpu.kind"),
        Column("Per Node", ".spec.gpu.count", "integer"),
        Column("Region", ".spec.region"),
        Column("Used", ".status.usedNodes", "integer"),
        Column("Ready Nodes", ".status.readyNodes", "integer"),
        Column("Obtainable", ".status.obtainableNodes", "integer"),
        Column("$/h", ".status.costPerHour", "number"),
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Instance", ".spec.instanceType", wide=True),
        Column("Fleet", ".spec.fleet", wide=True),
        Column("Age", ".metadata.creationTimestamp", "date"),
    )
