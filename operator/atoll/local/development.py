"""A small simulated cloud for development and for the end-to-end tests: real instance types, real prices.

Prices: AWS, US dollars per node and hour, published January to July 2026 (spot: the spot advisor's estimate).
Allocatable sizes: what Karpenter's AWS provider expects of these instance types. How many nodes can be had is made
up: few, so that scarcity is felt.
"""

from dataclasses import dataclass

from atoll.local.cloud import SimulatedOffering


@dataclass(frozen=True, slots=True, kw_only=True)
class _InstanceType:
    name: str
    gpu_kind: str
    gpu_product_label: str
    gpus: int
    cpu_millis: int
    memory_mib: int
    pods: int


_EPHEMERAL_GIB = 17

_L4 = _InstanceType(
    name="g6.xlarge",
    gpu_kind="L4-24GB",
    gpu_product_label="NVIDIA-L4",
    gpus=1,
    cpu_millis=3920,
    memory_mib=14162,
    pods=58,
)
_L40S_X4 = _InstanceType(
    name="g6e.12xlarge",
    gpu_kind="L40S-48GB",
    gpu_product_label="NVIDIA-L40S",
    gpus=4,
    cpu_millis=47810,
    memory_mib=360157,
    pods=292,
)
_A100_X8 = _InstanceType(
    name="p4d.24xlarge",
    gpu_kind="A100-40GB",
    gpu_product_label="NVIDIA-A100-SXM4-40GB",
    gpus=8,
    cpu_millis=95690,
    memory_mib=1082712,
    pods=737,
)
_H100_X8 = _InstanceType(
    name="p5.48xlarge",
    gpu_kind="H100-80GB",
    gpu_product_label="NVIDIA-H100-80GB-HBM3",
    gpus=8,
    cpu_millis=191450,
    memory_mib=1938410,
    pods=100,
)


def _offering(kind: _InstanceType, zone: str, capacity_type: str, price: float, nodes: int) -> SimulatedOffering:
    return SimulatedOffering(
        instance_type=kind.name,
        gpu_kind=kind.gpu_kind,
        gpu_product_label=kind.gpu_product_label,
        gpus=kind.gpus,
        region=zone[:-1],
        zone=zone,
        capacity_type=capacity_type,
        price_per_hour=price,
        obtainable_nodes=nodes,
        cpu_millis=kind.cpu_millis,
        memory_mib=kind.memory_mib,
        ephemeral_gib=_EPHEMERAL_GIB,
        pods=kind.pods,
    )


DEVELOPMENT_OFFERINGS = (
    _offering(_L4, "us-east-1a", "on-demand", 0.8048, 12),
    _offering(_L4, "us-east-1a", "spot", 0.4104, 8),
    _offering(_L4, "us-west-2b", "on-demand", 0.8048, 12),
    _offering(_L40S_X4, "us-east-1a", "on-demand", 10.49264, 4),
    _offering(_L40S_X4, "us-east-1b", "spot", 4.6168, 3),
    _offering(_A100_X8, "us-east-1b", "on-demand", 21.957642, 3),
    _offering(_A100_X8, "us-east-1b", "spot", 7.246, 2),
    _offering(_H100_X8, "us-east-1a", "on-demand", 55.04, 2),
    _offering(_H100_X8, "us-west-2b", "spot", 29.7216, 2),
)
"""Nine offerings of four instance types in three zones of two regions."""
