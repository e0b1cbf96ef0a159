"""What steps of a stage cost: the form in which every source of performance answers."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from atoll.domain.strategy import PerformanceSource

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
        """Standard deviation of the logarithm of true over estimated seconds, 0.15 = 15 %."""
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
