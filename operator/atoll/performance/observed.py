"""Estimates corrected by what engines that run report."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.gpu import GpuKind
from atoll.domain.strategy import EngineName, PerformanceSource
from atoll.performance.estimate import Performance
from atoll.performance.steps import StepCosts

Array = NDArray[np.float64]


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
        return CorrectedCosts(estimate=estimate, factor=factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedCosts:
    """An estimate's steps, all longer or shorter by one factor.

    Attributes:
        estimate: what is corrected.
        factor: above 0.
    """

    estimate: StepCosts
    factor: float

    @property
    def source(self) -> PerformanceSource:
        """Says that it is corrected."""
        return PerformanceSource.OBSERVED

    @property
    def expected_error(self) -> float:
        """Of the estimate: one factor tells nothing of other batches and lengths."""
        return self.estimate.expected_error

    def prefill_layer(self, tokens: Array) -> Array:
        """The estimate, corrected."""
        return self.factor * self.estimate.prefill_layer(tokens)

    def decode_layer(self, batch: Array, context: float) -> Array:
        """The estimate, corrected."""
        return self.factor * self.estimate.decode_layer(batch, context)

    def saved_layer(self, batch: Array, tokens: Array) -> Array:
        """The estimate, corrected."""
        return self.factor * self.estimate.saved_layer(batch, tokens)

    def head(self, batch: Array) -> Array:
        """The estimate, corrected."""
        return self.factor * self.estimate.head(batch)
