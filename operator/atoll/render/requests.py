"""A stage's share of its node, so that plans which fit by GPU fit by cpu, memory and storage too."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from atoll.domain.pool import NodePool
from atoll.render.quantities import mebibytes, millicores

GPU_RESOURCE = "nvidia.com/gpu"

USABLE = Fraction(9, 10)
"""Of a node's allocatable resources; the rest is for DaemonSets and what the pool's figures do not know."""

SHARED_MEMORY_LIMIT_MIB = 16 * 1024
"""Most of /dev/shm: NCCL and vLLM's message queues need a few GiB (vLLM's own examples give 10 to 16 GiB)."""

_CPU_STEP_MILLIS = 100
_MEMORY_STEP_MIB = 256
_STORAGE_STEP_MIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StageShare:
    """What one stage pod may use of its node.

    Attributes:
        gpus: whole GPUs.
        cpu_millis: thousandths of a core.
        memory_mib: memory, MiB; /dev/shm is within it.
        ephemeral_mib: ephemeral storage, MiB.
    """

    gpus: int
    cpu_millis: int
    memory_mib: int
    ephemeral_mib: int

    @property
    def shared_memory_mib(self) -> int:
        """Size limit of /dev/shm, MiB."""
        return max(1, min(self.memory_mib // 4, SHARED_MEMORY_LIMIT_MIB))

    @property
    def requests(self) -> dict[str, str]:
        """As ``resources.requests``, without GPUs."""
        return {
            "cpu": millicores(self.cpu_millis),
            "memory": mebibytes(self.memory_mib),
            "ephemeral-storage": mebibytes(self.ephemeral_mib),
        }

    @property
    def limits(self) -> dict[str, Any]:
        """As ``resources.limits``: GPUs only, so that idle cpu and page cache stay usable."""
        return {GPU_RESOURCE: str(self.gpus)}


def stage_share(tp: int, pool: NodePool) -> StageShare:
    """tp/G x 0.9 of the pool's allocatable resources, rounded down (kubernetes.md, Requests).

    Args:
        tp: GPUs of the stage; at most the pool's GPUs per node.
        pool: where the stage runs.
    """
    share = USABLE * Fraction(tp, pool.config.count)
    return StageShare(
        gpus=tp,
        cpu_millis=_floor(share * pool.resources.cpu_millis, _CPU_STEP_MILLIS),
        memory_mib=_floor(share * pool.resources.memory_mib, _MEMORY_STEP_MIB),
        ephemeral_mib=_floor(share * pool.resources.ephemeral_mib, _STORAGE_STEP_MIB),
    )


def _floor(value: Fraction, step: int) -> int:
    return int(value // step) * step if value >= step else int(value)
