"""How many layers each stage holds, so that the slowest stage is as fast as can be and memory suffices everywhere."""

import numpy as np
from numpy.typing import NDArray

from atoll.optimize.templates.curves import at_batch
from atoll.optimize.templates.hops import hop_seconds
from atoll.optimize.templates.pipelines import Pipelines, Setting

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
BATCHES = (0.25, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
"""Micro-batches for which layers are spread; the best of these partitions is kept."""
BISECTIONS = 48


def partition(lines: Pipelines, batch: Array, setting: Setting) -> Indices:
    """Layers by strategy and stage; a row of zeros where memory does not suffice.

    Bisects on the time of the slowest stage: in a given time each stage can carry so many layers, bounded by its
    memory, and the carried layers must add up to the served model's. That is exact for stages whose time is affine in
    their layers (design.md section 4). Time here is that of one slot: a decode step and the prefill that it brings.

    Args:
        lines: the pipelines.
        batch: sequences of one micro-batch, by strategy.
        setting: shared by all strategies.
    """
    layers = setting.architecture.layers
    per_layer, fixed = slot_terms(lines, batch, setting)
    most = np.minimum(_memory_layers(lines, batch, setting), layers)
    fits = (most.sum(axis=1) >= layers) & np.all((most >= 1) | ~lines.present, axis=1)
    low = np.zeros(len(batch))
    high = np.max(np.where(lines.present, fixed + per_layer * layers, 0.0), axis=1)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        enough = _carried(middle, per_layer, fixed, most).sum(axis=1) >= layers
        high, low = np.where(enough, middle, high), np.where(enough, low, middle)
    held = np.where(lines.present, np.maximum(_carried(high, per_layer, fixed, most), 1), 0)
    return np.where(fits[:, None], _trimmed(held, layers, per_layer, fixed), 0)


def sequence_room(lines: Pipelines, layers: Indices, setting: Setting) -> Array:
    """Sequences of mean residence whose KV every stage can hold: the least over the stages, as vLLM takes it.

    Negative where the weights or one sequence of the longest context do not fit.
    """
    curves = setting.curves
    free = curves.room[lines.curve] - setting.fixed_bytes(lines) - layers * curves.weights[lines.curve]
    held = np.maximum(layers, 1)
    room = np.where(lines.present, free / (held * curves.sequence_kv[lines.curve]), np.inf).min(axis=1)
    context = np.where(lines.present, free - held * curves.context_kv[lines.curve], 0.0).min(axis=1)
    return np.where(context >= 0.0, room, -1.0)


def slot_terms(lines: Pipelines, batch: Array, setting: Setting) -> tuple[Array, Array]:
    """Seconds of a slot per layer, and besides the layers, by strategy and stage."""
    curves, prompts = setting.curves, setting.prompts
    starts = batch / setting.workload.output.mean
    prefill = (curves.prefill @ prompts.weights)[lines.curve]
    per_layer = at_batch(curves.decode, lines.curve, batch) + starts[:, None] * prefill
    hop = hop_seconds(setting.architecture, lines.depth.astype(np.float64), batch)
    fixed = lines.last * at_batch(curves.head, lines.curve, batch) + hop[:, None]
    return np.where(lines.present, per_layer, 1.0), np.where(lines.present, fixed, 0.0)


def _memory_layers(lines: Pipelines, batch: Array, setting: Setting) -> Indices:
    """Most layers by strategy and stage, given the KV of all sequences in flight and their spread."""
    curves = setting.curves
    flight = np.where(batch >= 1.0, batch * lines.depth, 0.0)
    sequences = (flight + 3.0 * np.sqrt(flight))[:, None]
    kv = np.maximum(sequences * curves.sequence_kv[lines.curve], curves.context_kv[lines.curve])
    free = curves.room[lines.curve] - setting.fixed_bytes(lines)
    return np.where(lines.present, np.maximum(free // (curves.weights[lines.curve] + kv), 0.0), 0.0).astype(np.int64)


def _carried(seconds: Array, per_layer: Array, fixed: Array, most: Indices) -> Indices:
    carried = np.floor(np.maximum(seconds[:, None] - fixed, 0.0) / per_layer * (1.0 + 1e-12))
    return np.minimum(carried.astype(np.int64), most)


def _trimmed(held: Indices, layers: int, per_layer: Array, fixed: Array) -> Indices:
    """Take what is too much from the stage that is slowest, one layer at a time."""
    held = held.copy()
    rows = np.arange(len(held))
    while np.any(surplus := held.sum(axis=1) > layers):
        slowest = np.argmax(np.where(held > 1, held * per_layer + fixed, -1.0), axis=1)
        taken = surplus & (held[rows, slowest] > 1)
        if not taken.any():
            break
        held[rows, slowest] -= taken
    return held
