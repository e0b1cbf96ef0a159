"""What a step costs beside its arithmetic: the engine's own time, and handing activations from stage to stage."""

import numpy as np
from numpy.typing import NDArray

from atoll.domain.architecture import Architecture

Array = NDArray[np.float64]
STEP_SECONDS = 2e-3
"""Shortest step of an engine: scheduling and launches that do not overlap. Stated assumption for vLLM 0.24."""
HOP_SECONDS = 0.5e-3
"""Latency of one hop between pods of a zone: TCP round trip and the wake-up of a worker. Stated assumption."""
NETWORK_BYTES_PER_SECOND = 1.25e9
"""10 Gbit/s: what one-GPU instances reach at least in bursts (AWS g5, g6; GCP g2). Larger nodes have more."""
TENSORS_PER_HOP = 2
"""vLLM hands on hidden states and residual."""


def hop_seconds(architecture: Architecture, depth: Array, tokens: Array) -> Array:
    """Seconds that a stage spends on handing on ``tokens``; none in a pipeline of one stage.

    Args:
        architecture: of the served model.
        depth: stages.
        tokens: handed on in one step.
    """
    return np.where(depth > 1, HOP_SECONDS + transfer_seconds(architecture, tokens), 0.0)


def transfer_seconds(architecture: Architecture, tokens: Array) -> Array:
    """Seconds on the wire for the activations of ``tokens``, in bf16."""
    return tokens * (TENSORS_PER_HOP * 2.0 * architecture.hidden / NETWORK_BYTES_PER_SECOND)
