"""How many layers each stage holds, so that the slowest stage is as fast as can be and memory suffices everywhere."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atoll.optimize.templates.hops import STEP_SECONDS, hop_seconds
from atoll.optimize.templates.loads import FULL, POINTS_PER_OCTAVE, Place, place_of
from atoll.optimize.templates.pipelines import Pipelines, Setting

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
POSITIONS = tuple(FULL - POINTS_PER_OCTAVE * octave for octave in (10.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0))
"""Loads for which layers are spread; the best of these partitions is kept."""
BISECTIONS = 36


def partition(lines: Pipelines, position: Array, setting: Setting) -> Indices:
    """Layers by strategy and stage; a row of zeros where memory does not suffice.

    Bisects on the time of the slowest stage: in a given time each stage can carry so many layers, bounded by its
    memory, and the carried layers must add up to the served model's. That is exact for stages whose time is affine in
    their layers (design.md section 4). Time here is that of one slot: a decode step and the prefill that it brings.

    Args:
        lines: the pipelines.
        position: of the load, by strategy.
        setting: shared by all strategies.
    """
    layers = setting.architecture.layers
    slot = slot_of(lines, position, setting)
    most = np.minimum(_memory_layers(lines, setting.loads.batch(position), setting), layers)
    fits = (most.sum(axis=1) >= layers) & np.all((most >= 1) | ~lines.present, axis=1)
    low = np.zeros(len(position))
    high = slot.seconds(np.where(lines.present, layers, 0)).max(axis=1)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        enough = np.minimum(slot.carried(middle), most).sum(axis=1) >= layers
        high, low = np.where(enough, middle, high), np.where(enough, low, middle)
    held = np.where(lines.present, np.maximum(np.minimum(slot.carried(high), most), 1), 0)
    return np.where(fits[:, None], _trimmed(held, layers, slot), 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slot:
    """Seconds of one slot by strategy and stage: a decode step, at least an engine's shortest, and what comes to it.

    Attributes:
        decode: decode step, per layer.
        head: output head.
        prefill: prefill that comes in one slot, per layer.
        hop: handing on to the next stage.
    """

    decode: Array
    head: Array
    prefill: Array
    hop: Array

    def seconds(self, layers: Indices) -> Array:
        """Seconds with so many layers."""
        return np.maximum(layers * self.decode + self.head, STEP_SECONDS) + layers * self.prefill + self.hop

    def carried(self, seconds: Array) -> Indices:
        """Most layers that each stage carries in a time given by strategy."""
        time = seconds[:, None] * (1.0 + 1e-12) - self.hop
        carried = (time - self.head) / (self.decode + self.prefill)
        longest = np.where(time < STEP_SECONDS, 0.0, np.inf)
        np.divide(time - STEP_SECONDS, self.prefill, out=longest, where=self.prefill > 0.0)
        carried = np.minimum(carried, longest)
        return np.floor(np.maximum(carried, 0.0)).astype(np.int64)


def slot_of(lines: Pipelines, position: Array, setting: Setting, place: Place | None = None) -> Slot:
    """The slot at a load; ``place`` is where it is looked up, where the caller knows."""
    place = place or place_of(lines.curve, position)
    steps, loads = setting.curves.steps, setting.loads
    tokens = loads.batch(position) + loads.requests(position) * setting.prompts.mean_computed
    hop = hop_seconds(setting.architecture, lines.depth.astype(np.float64), np.maximum(tokens, 1.0))[:, None]
    return Slot(
        decode=np.where(lines.present, place.at(steps.decode), 1.0),
        head=lines.last * place.at(steps.head),
        prefill=np.where(lines.present, place.at(steps.arriving), 0.0),
        hop=np.where(lines.present, hop, 0.0),
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
