"""The interface: what a step costs, from the best source that knows."""

from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.gpu import GpuKind
from atoll.domain.strategy import PerformanceSource
from atoll.performance.roofline import roofline
from atoll.performance.silicon import silicon

Array = NDArray[np.float64]


class StepCosts(Protocol):
    """Seconds that steps take on one stage of ``tp`` GPUs, per layer, so that any stage is a sum.

    A stage of n layers takes n x layer, and the last one takes the head besides; the embedding is a look-up and free.
    """

    @property
    def source(self) -> PerformanceSource:
        """Where the figures came from."""
        ...

    @property
    def expected_error(self) -> float:
        """Expected relative error of the seconds, 0.15 = 15 %."""
        ...

    def prefill_layer(self, tokens: Array) -> Array:
        """Seconds per layer to prefill one prompt of so many tokens, attention within the prompt included."""
        ...

    def decode_layer(self, batch: Array, context: float) -> Array:
        """Seconds per layer of a decode step for ``batch`` sequences of ``context`` tokens each on average."""
        ...

    def saved_layer(self, batch: Array, tokens: Array) -> Array:
        """Seconds per layer saved where ``batch`` sequences decode in one step with ``tokens`` of prompts.

        Against two steps: weights are read once for both, and what each step costs besides is spent once.
        """
        ...

    def head(self, batch: Array) -> Array:
        """Seconds of the output head for ``batch`` tokens."""
        ...


class Performance(Protocol):
    """Knows what steps cost; hashable, because templates are cached by it."""

    def __hash__(self) -> int:
        """Equal for equal knowledge."""
        ...

    def costs(self, architecture: Architecture, kind: GpuKind, tp: int, quantisation: Quantisation) -> StepCosts:
        """Costs of one stage's steps; the caller has made sure that width and quantisation are supported."""
        ...


@dataclass(frozen=True, slots=True)
class ShippedPerformance:
    """What is known without measuring: silicon tables where they exist, else roofline.

    PerformanceProfiles win over both: a ``Performance`` of their own that asks this one where no profile is.
    """

    def costs(self, architecture: Architecture, kind: GpuKind, tp: int, quantisation: Quantisation) -> StepCosts:
        """Costs from the best shipped source."""
        return _shipped(architecture, kind, tp, quantisation)


@cache
def _shipped(architecture: Architecture, kind: GpuKind, tp: int, quantisation: Quantisation) -> StepCosts:
    return silicon(architecture, kind, tp, quantisation) or roofline(architecture, kind, tp, quantisation)
