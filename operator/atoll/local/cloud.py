"""The simulated cloud: which nodes can be had where, at what price and how many, as plain values.

One offering here is one offering of the program. It becomes one Karpenter NodePool whose `limits` are the scarcity:
with nothing to be had no NodeClaim appears and pods stay Pending, which is how a real shortage looks to the operator.
(An offering's `Available: false` is of no use: Karpenter's KWOK provider sets it to true when it reads the file.)
Without Karpenter the same values become fixed nodes.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from atoll.local.errors import LocalEnvironmentError

GPU_RESOURCE = "nvidia.com/gpu"
GPU_TAINT: dict[str, str] = {"key": GPU_RESOURCE, "value": "true", "effect": "NoSchedule"}
REGION = "topology.kubernetes.io/region"
ZONE = "topology.kubernetes.io/zone"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
CAPACITY_TYPE = "karpenter.sh/capacity-type"
GPU_PRODUCT = "nvidia.com/gpu.product"
GPU_COUNT = "nvidia.com/gpu.count"

_OVERHEAD_CPU_MILLIS = 100
_OVERHEAD_MEMORY_MIB = 10
"""What the KWOK provider takes off an instance type's resources for the allocatable size; added before."""

_CAPACITY_TYPES = ("on-demand", "spot")
_LABEL_LENGTH = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedOffering:
    """Nodes of one instance type in one zone under one capacity type."""

    instance_type: str
    gpu_kind: str
    """Atoll's word for the GPU: `H100-80GB`."""
    gpu_product_label: str
    """What GPU feature discovery writes on such nodes: `NVIDIA-H100-80GB-HBM3`."""
    gpus: int
    """GPUs per node."""
    region: str
    zone: str
    capacity_type: str
    """`on-demand` or `spot`."""
    price_per_hour: float
    """US dollars per node and hour."""
    obtainable_nodes: int
    """How many the cloud will sell."""
    cpu_millis: int
    """Allocatable CPU of a node, thousandths of a core."""
    memory_mib: int
    """Allocatable memory of a node, MiB."""
    ephemeral_gib: int
    """Allocatable ephemeral storage of a node, GiB."""
    pods: int
    """Most pods on a node."""

    def __post_init__(self) -> None:
        """Refuse what no cloud sells."""
        if self.capacity_type not in _CAPACITY_TYPES:
            raise LocalEnvironmentError(
                f"simulated offering {self.instance_type} in {self.zone}: capacity type {self.capacity_type!r} "
                f"is none of {', '.join(_CAPACITY_TYPES)}"
            )
        if self.gpus < 1 or self.obtainable_nodes < 0 or self.price_per_hour < 0:
            raise LocalEnvironmentError(
                f"simulated offering {self.instance_type} in {self.zone}: gpus {self.gpus}, obtainable nodes "
                f"{self.obtainable_nodes} and price {self.price_per_hour} must be positive"
            )

    @property
    def name(self) -> str:
        """A name for objects and label values, unique per zone, instance type and capacity type."""
        plain = re.sub(r"[^a-z0-9]+", "-", f"{self.zone} {self.instance_type} {self.capacity_type}".lower()).strip("-")
        if len(plain) <= _LABEL_LENGTH:
            return plain
        digest = hashlib.sha256(plain.encode()).hexdigest()[:8]
        return f"{plain[: _LABEL_LENGTH - 9]}-{digest}"

    @property
    def labels(self) -> dict[str, str]:
        """What a node of this offering carries, and what a pod selects by."""
        return {
            INSTANCE_TYPE: self.instance_type,
            REGION: self.region,
            ZONE: self.zone,
            CAPACITY_TYPE: self.capacity_type,
            GPU_PRODUCT: self.gpu_product_label,
            GPU_COUNT: str(self.gpus),
        }

    @property
    def allocatable(self) -> dict[str, str]:
        """What pods may request on one node."""
        return self._resources(cpu_millis=self.cpu_millis, memory_mib=self.memory_mib)

    @property
    def instance_resources(self) -> dict[str, str]:
        """The size in Karpenter's file, from which it derives exactly `allocatable`."""
        return self._resources(
            cpu_millis=self.cpu_millis + _OVERHEAD_CPU_MILLIS, memory_mib=self.memory_mib + _OVERHEAD_MEMORY_MIB
        )

    def _resources(self, *, cpu_millis: int, memory_mib: int) -> dict[str, str]:
        return {
            "cpu": f"{cpu_millis}m",
            "memory": f"{memory_mib}Mi",
            "ephemeral-storage": f"{self.ephemeral_gib}Gi",
            "pods": str(self.pods),
            GPU_RESOURCE: str(self.gpus),
        }


def check_offerings(offerings: Iterable[SimulatedOffering]) -> None:
    """Refuse duplicates, and one instance type in two sizes: Karpenter knows an instance type once."""
    seen: set[str] = set()
    sizes: dict[str, dict[str, str]] = {}
    for offering in offerings:
        if offering.name in seen:
            raise LocalEnvironmentError(f"simulated offering {offering.name}: given twice; add up obtainable_nodes")
        seen.add(offering.name)
        size = sizes.setdefault(offering.instance_type, offering.allocatable)
        if size != offering.allocatable:
            raise LocalEnvironmentError(
                f"simulated offering {offering.name}: allocatable {offering.allocatable} differs from {size} of the "
                "same instance type elsewhere; give every offering of an instance type the same size"
            )


def instance_types(offerings: Iterable[SimulatedOffering]) -> list[dict[str, Any]]:
    """Karpenter's INSTANCE_TYPES_FILE_PATH content: one entry per instance type, its zones and prices inside."""
    ordered = sorted(offerings, key=attrgetter("instance_type", "region", "zone", "capacity_type"))
    return [_instance_type(name, tuple(group)) for name, group in groupby(ordered, key=attrgetter("instance_type"))]


def _instance_type(name: str, offerings: tuple[SimulatedOffering, ...]) -> dict[str, Any]:
    return {
        "name": name,
        "architecture": "amd64",
        "operatingSystems": ["linux"],
        "resources": offerings[0].instance_resources,
        "offerings": [
            {
                "Price": offering.price_per_hour,
                "Available": True,
                "Requirements": [
                    requirement(CAPACITY_TYPE, offering.capacity_type),
                    requirement(ZONE, offering.zone),
                    requirement(REGION, offering.region),
                ],
            }
            for offering in offerings
        ],
    }


def requirement(key: str, value: str) -> dict[str, Any]:
    """A node selector requirement for one value."""
    return {"key": key, "operator": "In", "values": [value]}


def fixed_nodes(offerings: Iterable[SimulatedOffering]) -> tuple[dict[str, Any], ...]:
    """All obtainable nodes as Node objects, for a cluster without an autoscaler."""
    return tuple(
        fixed_node(offering, name=f"{offering.name}-{number}")
        for offering in offerings
        for number in range(offering.obtainable_nodes)
    )


def fixed_node(offering: SimulatedOffering, *, name: str) -> dict[str, Any]:
    """One Node object, as its kubelet and GPU feature discovery would describe it."""
    standard = {"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": name}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {**standard, **offering.labels},
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "spec": {"taints": [GPU_TAINT]},
        "status": {"capacity": offering.allocatable, "allocatable": offering.allocatable},
    }
