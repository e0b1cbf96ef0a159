"""The interface: what a step costs, from the best source that knows."""

from dataclasses import dataclass
from functools import cache
from typing import Protocol

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.gpu import GpuKind
from atoll.domain.strategy import EngineName
from atoll.performance.engine import with_engine
from atoll.performance.roofline import roofline
from atoll.performance.silicon import silicon
from atoll.performance.steps import StepCosts


class Performance(Protocol):
    """Knows what steps cost; hashable, because templates are cached by it."""

    def __hash__(self) -> int:
        """Equal for equal knowledge."""
        ...

    def costs(
        self,
        architecture: Architecture,
        kind: GpuKind,
        tp: int,
        quantisation: Quantisation,
        engine: EngineName = EngineName.VLLM,
    ) -> StepCosts:
        """Costs of one stage's steps; the caller has made sure that width and quantisation are supported."""
        ...


@dataclass(frozen=True, slots=True)
class KernelPerformance:
    """What kernels take: silicon tables where they exist, else roofline. No engine is in it."""

    def costs(
        self,
        architecture: Architecture,
        kind: GpuKind,
        tp: int,
        quantisation: Quantisation,
        engine: EngineName = EngineName.VLLM,
    ) -> StepCosts:
        """Costs from the best shipped source, whatever the engine."""
        del engine
        return _kernels(architecture, kind, tp, quantisation)


@dataclass(frozen=True, slots=True)
class ShippedPerformance:
    """What is known without measuring the fleet: what kernels take, and what the engine adds.

    PerformanceProfiles win over it: a ``Performance`` of their own that asks this one where no profile is.
    """

    def costs(
        self,
        architecture: Architecture,
        kind: GpuKind,
        tp: int,
        quantisation: Quantisation,
        engine: EngineName = EngineName.VLLM,
    ) -> StepCosts:
        """Costs from the best shipped source."""
        return with_engine(_kernels(architecture, kind, tp, quantisation), architecture, quantisation, engine)


@cache
def _kernels(architecture: Architecture, kind: GpuKind, tp: int, quantisation: Quantisation) -> StepCosts:
    return silicon(architecture, kind, tp, quantisation) or roofline(architecture, kind, tp, quantisation)
