"""How many layers each stage holds, so that the slowest stage is as fast as can be and memory suffices everywhere."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atoll.optimize.templates.curves import at_batch
from atoll.optimize.templates.hops import STEP_SECONDS, hop_seconds
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
    slot = slot_of(lines, batch, setting)
    most = np.minimum(_memory_layers(lines, batch, setting), layers)
    fits = (most.sum(axis=1) >= layers) & np.all((most >= 1) | ~lines.present, axis=1)
    low = np.zeros(len(batch))
    high = slot.seconds(np.where(lines.present, layers, 0)).max(axis=1)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        enough = np.minimum(slot.carried(middle), most).sum(axis=1) >= layers
        high, low = np.where(enough, middle, high), np.where(enough, low, middle)
    held = np.where(lines.present, np.maximum(np.minimum(slot.carried(high), most), 1), 0)
    return np.where(fits[:, None], _trimmed(held, layers, slot), 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slot:
    """Seconds of one slot by strategy and stage, as the larger of two affine functions of the layers.

    Attributes:
        layer: decode and prefill, per layer.
        fixed: hop and head.
        prefill: prefill alone, per layer.
        floor: hop and the shortest step of an engine.
    """

    layer: Array
    fixed: Array
    prefill: Array
    floor: Array

    def seconds(self, layers: Indices) -> Array:
        """Seconds with so many layers."""
        return np.maximum(layers * self.layer + self.fixed, layers * self.prefill + self.floor)

    def carried(self, seconds: Array) -> Indices:
        """Most layers that each stage carries in a time given by strategy."""
        time = seconds[:, None] * (1.0 + 1e-12)
        carried = np.minimum((time - self.fixed) / self.layer, (time - self.floor) / self.prefill)
        return np.floor(np.maximum(carried, 0.0)).astype(np.int64)


def slot_of(lines: Pipelines, batch: Array, setting: Setting) -> Slot:
    """The slot at a micro-batch: a decode step and the share of a prompt that it brings."""
    curves, prompts = setting.curves, setting.prompts
    starts = batch / setting.workload.output.mean
    prefill = starts[:, None] * (curves.prefill @ prompts.weights)[lines.curve]
    hop = hop_seconds(setting.architecture, lines.depth.astype(np.float64), batch)[:, None]
    head = lines.last * at_batch(curves.head, lines.curve, batch)
    return Slot(
        layer=np.where(lines.present, at_batch(curves.decode, lines.curve, batch) + prefill, 1.0),
        fixed=np.where(lines.present, hop + head, 0.0),
        prefill=np.where(lines.present, prefill, 1.0),
        floor=np.where(lines.present, hop + STEP_SECONDS, 0.0),
    )


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


def _memory_layers(lines: Pipelines, batch: Array, setting: Setting) -> Indices:
    """Most layers by strategy and stage, given the KV of all sequences in flight and their spread."""
    curves = setting.curves
    flight = np.where(batch >= 1.0, batch * lines.depth, 0.0)
    sequences = (flight + 3.0 * np.sqrt(flight))[:, None]
    kv = np.maximum(sequences * curves.sequence_kv[lines.curve], curves.context_kv[lines.curve])
    free = curves.room[lines.curve] - setting.fixed_bytes(lines)
    return np.where(lines.present, np.maximum(free // (curves.weights[lines.curve] + kv), 0.0), 0.0).astype(np.int64)


def _trimmed(held: Indices, layers: int, slot: Slot) -> Indices:
    """Take what is too much from the stage that is slowest, one layer at a time."""
    held = held.copy()
    rows = np.arange(len(held))
    while np.any(surplus := held.sum(axis=1) > layers):
        slowest = np.argmax(np.where(held > 1, slot.seconds(held), -1.0), axis=1)
        taken = surplus & (held[rows, slowest] > 1)
        if not taken.any():
            break
        held[rows, slowest] -= taken
    return held
