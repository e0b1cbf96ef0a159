"""How long a replica takes to start, by phases, once its nodes are there."""

import math

from atoll.domain.architecture import Architecture
from atoll.domain.strategy import Strategy
from atoll.performance.memory import layer_bytes, vocabulary_bytes

IMAGE_SECONDS = 101.0
"""Pulling the engine's image; measured once, kaito#2325."""
BOOTSTRAP_SECONDS = 74.0
"""From the container's start to the loading of weights; measured once, kaito#2325."""
ENGINE_SECONDS = 195.0
"""Compilation, memory profile and CUDA graphs; measured once, kaito#2325."""
WEIGHTS_BYTES_PER_SECOND = 1e9
"""From the store to the GPUs of one pod. Stated assumption; kaito#2325 saw 62 s."""
GRAIN_SECONDS = 10.0
"""Figures are rounded up to this: no phase is known better."""


def startup_seconds(architecture: Architecture, strategy: Strategy) -> float:
    """Image, bootstrap, weights of the heaviest pod, engine, seconds."""
    per_layer = layer_bytes(architecture, strategy.quantisation, strategy.tp) * strategy.tp
    vocabulary = vocabulary_bytes(architecture, 1)
    last = len(strategy.stages) - 1
    heaviest = max(
        stage.layers * per_layer + vocabulary * ((place == 0) + (place == last))
        for place, stage in enumerate(strategy.stages)
    )
    whole = IMAGE_SECONDS + BOOTSTRAP_SECONDS + heaviest / WEIGHTS_BYTES_PER_SECOND + ENGINE_SECONDS
    return math.ceil(whole / GRAIN_SECONDS) * GRAIN_SECONDS
