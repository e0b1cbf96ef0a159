"""GPU kinds and the shapes of nodes that carry them."""

from dataclasses import dataclass
from enum import StrEnum


class Interconnect(StrEnum):
    """How the GPUs of one node reach each other; it sets the cost of an all-reduce."""

    NVLINK = "NVLink"
    PCIE = "PCIe"


class CapacityType(StrEnum):
    """The terms on which a node is had; the values are Karpenter's label values."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"
    RESERVED = "reserved"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuKind:
    """One sort of GPU, as its data sheet tells.

    Attributes:
        name: the word used everywhere, such as ``H100-80GB``.
        memory_gib: device memory, GiB.
        memory_gbps: memory bandwidth, GB/s.
        tflops_bf16: dense bf16 tensor throughput, TFLOP/s.
        tflops_fp8: dense fp8 tensor throughput, TFLOP/s; 0 where the kind has no fp8 unit.
        interconnect: how GPUs of one node reach each other.
        interconnect_gbps: bandwidth one GPU has to its peers in a node, GB/s, one direction.
        compute_capability: CUDA compute capability, which tells the kernels that there are.
    """

    name: str
    memory_gib: float
    memory_gbps: float
    tflops_bf16: float
    tflops_fp8: float
    interconnect: Interconnect
    interconnect_gbps: float
    compute_capability: float = 8.0


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class GpuConfig:
    """A node shape: so many GPUs of one kind per node."""

    kind: str
    count: int

    def __str__(self) -> str:
        """Read as people write it: ``8 x H100-80GB``."""
        return f"{self.count} x {self.kind}"
