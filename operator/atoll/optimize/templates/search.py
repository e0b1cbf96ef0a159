"""The best partition of each layout: first balanced ones, then layers shifted between two kinds at a time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atoll.domain.workload import Objectives
from atoll.optimize.templates.partition import POSITIONS, Slot, partition, sequence_room, slot_of
from atoll.optimize.templates.pipelines import Pipelines, Setting
from atoll.optimize.templates.rate import BISECTIONS, COARSE_BISECTIONS, Best, Bounds, largest_rate

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
SHIFTS = (8, 4, 2, 1)
"""Layers moved from one kind to another, in turn, each way."""
WAYS = ((1, 0), (0, 1), (2, 0), (0, 2), (2, 1), (1, 2))
"""From which kind to which, by their order in the pipeline."""


def best_partitions(lines: Pipelines, objectives: Objectives, most_sequences: int, setting: Setting) -> Indices:
    """Layers by strategy and stage; a row of zeros where memory does not suffice.

    A pipeline balanced for the load at which it runs gives the largest rate while TPOT, KV or compute bounds it; that
    load is found by trying a grid and then the best one reached. Where TTFT bounds it, the sum over the
    stages counts, not the slowest: so layers move towards the faster kind as long as that pays.

    Args:
        lines: the pipelines; the stages of one kind stand together.
        objectives: TTFT and TPOT.
        most_sequences: most sequences admitted in one replica.
        setting: shared by all strategies.
    """
    count = len(lines.depth)
    grid = lines.repeated(len(POSITIONS))
    spreads = partition(grid, np.tile(POSITIONS, count), setting)
    # Neighbouring loads often have the same partition: half of them need not be rated.
    fresh = np.ones(len(spreads), dtype=np.bool_)
    fresh[1:] = np.any(spreads[1:] != spreads[:-1], axis=1)
    fresh[:: len(POSITIONS)] = True
    of = np.cumsum(fresh) - 1
    once = np.flatnonzero(fresh)
    values, positions = (
        found[of] for found in _values(grid.taken(once), spreads[once], objectives, most_sequences, setting)
    )
    chosen = values.reshape(count, -1).argmax(axis=1) + np.arange(count) * len(POSITIONS)
    best = _Found(layers=spreads[chosen], value=values[chosen], position=positions[chosen])

    def improve(rows: Indices, tried: Indices) -> None:
        changed = np.any(tried != best.layers[rows], axis=1)
        rows, tried = rows[changed], tried[changed]
        value, position = _values(lines.taken(rows), tried, objectives, most_sequences, setting)
        better = value > best.value[rows]
        best.layers[rows[better]] = tried[better]
        best.value[rows[better]] = value[better]
        best.position[rows[better]] = position[better]

    fitting = np.flatnonzero(np.isfinite(best.value))
    improve(fitting, partition(lines.taken(fitting), best.position[fitting], setting))
    order = _order(lines)
    for shift in SHIFTS:
        for giver, taker in WAYS:
            giving, taking = lines.present & (order == giver), lines.present & (order == taker)
            rows = np.flatnonzero(np.any(giving, axis=1) & np.any(taking, axis=1) & np.isfinite(best.value))
            if len(rows):
                slot = slot_of(lines.taken(rows), best.position[rows], setting)
                improve(rows, _shifted(best.layers[rows], shift, giving[rows], taking[rows], slot))
    return np.where(np.isfinite(best.value)[:, None], best.layers, 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """The best partition so far by layout: layers, value and load reached."""

    layers: Indices
    value: Array
    position: Array


def rated(
    lines: Pipelines,
    layers: Indices,
    objectives: Objectives,
    most_sequences: Array,
    setting: Setting,
    *,
    bisections: int = BISECTIONS,
) -> Best:
    """What each strategy delivers with its layers as they are."""
    room = np.where(layers.sum(axis=1) == setting.architecture.layers, sequence_room(lines, layers, setting), -1.0)
    bounds = Bounds(objectives=objectives, kv_sequences=room, sequences=most_sequences)
    return largest_rate(lines, layers, bounds, setting, bisections=bisections)


def _values(
    lines: Pipelines, layers: Indices, objectives: Objectives, most_sequences: int, setting: Setting
) -> tuple[Array, Array]:
    """Value of each partition and the load at which it runs.

    The value is the rate where the objectives are met, the less the further they are missed, minus infinity without
    memory.
    """
    whole = layers.sum(axis=1) == setting.architecture.layers
    fitting = np.flatnonzero(whole & (sequence_room(lines, layers, setting) > 0.0))
    values, position = np.full(len(layers), -np.inf), np.zeros(len(layers))
    if len(fitting):
        sequences = np.full(len(fitting), float(most_sequences))
        best = rated(
            lines.taken(fitting),
            layers[fitting],
            objectives,
            sequences,
            setting,
            bisections=COARSE_BISECTIONS,
        )
        missed = np.maximum(
            best.operation.ttft / objectives.ttft_seconds,
            best.tpot / objectives.tpot_seconds,
        )
        values[fitting] = np.where(best.feasible, best.operation.rate, -missed)
        position[fitting] = best.position
    return values, position


def _order(lines: Pipelines) -> Indices:
    """Number of each stage's kind in its pipeline, by strategy and stage; of no meaning where there is no stage."""
    order = np.zeros_like(lines.curve)
    order[:, 1:] = np.cumsum(lines.curve[:, 1:] != lines.curve[:, :-1], axis=1)
    return order


def _shifted(layers: Indices, move: int, giving: Mask, taking: Mask, slot: Slot) -> Indices:
    """Move so many layers, one at a time: from the slowest stage that gives to the one that stays fastest.

    Args:
        layers: by strategy and stage.
        move: layers.
        giving: stages of the kind that gives.
        taking: stages of the kind that takes.
        slot: seconds of a slot.
    """
    layers = layers.copy()
    rows = np.arange(len(layers))
    for _ in range(move):
        giver = np.where(giving & (layers > 1), slot.seconds(layers), -np.inf).argmax(axis=1)
        taker = np.where(taking, slot.seconds(layers + 1), np.inf).argmin(axis=1)
        moved = giving[rows, giver] & (layers[rows, giver] > 1)
        layers[rows, giver] -= moved
        layers[rows, taker] += moved
    return layers
