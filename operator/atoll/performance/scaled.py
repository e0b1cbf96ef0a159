"""Steps that all take longer or shorter than estimated by one factor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atoll.domain.strategy import PerformanceSource
from atoll.performance.steps import StepCosts

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledCosts:
    """An estimate's steps, all longer or shorter by one factor.

    Attributes:
        estimate: what is scaled.
        factor: above 0.
        source: to be told of it.
    """

    estimate: StepCosts
    factor: float
    source: PerformanceSource

    @property
    def expected_error(self) -> float:
        """Of the estimate: one factor tells nothing of other batches and lengths."""
        return self.estimate.expected_error

    def prefill_layer(self, tokens: Array) -> Array:
        """The estimate, scaled."""
        return self.factor * self.estimate.prefill_layer(tokens)

    def decode_layer(self, batch: Array, context: float) -> Array:
        """The estimate, scaled."""
        return self.factor * self.estimate.decode_layer(batch, context)

    def saved_layer(self, batch: Array, tokens: Array) -> Array:
        """The estimate, scaled."""
        return self.factor * self.estimate.saved_layer(batch, tokens)

    def head(self, batch: Array) -> Array:
        """The estimate, scaled."""
        return self.factor * self.estimate.head(batch)
