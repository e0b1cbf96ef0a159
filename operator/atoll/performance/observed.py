"""Estimates corrected by what engines that run report."""

from collections.abc import Mapping
from dataclasses import dataclass

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.gpu import GpuKind
from atoll.domain.strategy import EngineName, PerformanceSource
from atoll.performance.estimate import Performance
from atoll.performance.scaled import ScaledCosts
from atoll.performance.steps import StepCosts


def with_corrections(base: Performance, factors: Mapping[str, float]) -> Performance:
    """What is known, with the steps of some GPU kinds longer or shorter by a factor; ``base`` itself for none."""
    kept = tuple(sorted((kind, factor) for kind, factor in factors.items() if factor != 1.0))
    return CorrectedPerformance(base=base, factors=kept) if kept else base


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedPerformance:
    """What is known, corrected.

    Attributes:
        base: what is known.
        factors: GPU kinds, and how many times as long as estimated steps take there.
    """

    base: Performance
    factors: tuple[tuple[str, float], ...]

    def costs(
        self,
        architecture: Architecture,
        kind: GpuKind,
        tp: int,
        quantisation: Quantisation,
        engine: EngineName = EngineName.VLLM,
    ) -> StepCosts:
        """Corrected costs; those of a profile as they are, for they were measured."""
        estimate = self.base.costs(architecture, kind, tp, quantisation, engine)
        factor = dict(self.factors).get(kind.name)
        if factor is None or estimate.source is PerformanceSource.PROFILE:
            return estimate
        return ScaledCosts(estimate=estimate, factor=factor, source=PerformanceSource.OBSERVED)
