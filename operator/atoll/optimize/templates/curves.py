"""What steps cost and what memory holds, tabulated per GPU kind, width and quantisation for one workload.

The rate model evaluates thousands of strategies at once, so it looks figures up in these arrays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.gpu import GpuKind
from atoll.domain.strategy import PerformanceSource
from atoll.domain.workload import Workload
from atoll.optimize.templates.lengths import Prompts, context_limit, resident_tokens
from atoll.performance.estimate import Performance
from atoll.performance.memory import kv_bytes, layer_bytes, room_bytes, vocabulary_bytes

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
CurveKey = tuple[str, int, Quantisation]
"""GPU kind, width, quantisation."""
POINTS_PER_OCTAVE = 8
OCTAVES = 8
LARGEST_BATCH = 2**OCTAVES
"""Largest decode batch of one stage: the largest that the silicon tables know."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """Tables by curve (first axis); seconds and bytes per GPU, per layer unless said otherwise.

    Attributes:
        index: row of each GPU kind, width and quantisation.
        decode: decode step by log2 of the batch.
        head: output head by log2 of the batch, whole.
        prefill: one prompt by the lengths of ``Prompts``.
        room: bytes for weights and KV, whole.
        weights: bytes of weights.
        vocabulary: bytes of embedding or head, whole.
        sequence_kv: bytes of KV of one sequence of mean residence.
        context_kv: bytes of KV of one sequence of the longest context.
        sources: where the times came from.
        errors: expected relative error of the times.
    """

    index: Mapping[CurveKey, int]
    decode: Array
    head: Array
    prefill: Array
    room: Array
    weights: Array
    vocabulary: Array
    sequence_kv: Array
    context_kv: Array
    sources: tuple[PerformanceSource, ...]
    errors: Array


def tabulate(
    keys: Sequence[CurveKey],
    *,
    architecture: Architecture,
    workload: Workload,
    lengths: Prompts,
    kinds: Mapping[str, GpuKind],
    performance: Performance,
) -> Curves:
    """Tabulate all curves that the strategies at hand need."""
    batches = 2.0 ** (np.arange(OCTAVES * POINTS_PER_OCTAVE + 1) / POINTS_PER_OCTAVE)
    resident = resident_tokens(workload)
    longest = float(context_limit(workload, architecture))
    costs = [performance.costs(architecture, kinds[kind], tp, quantisation) for kind, tp, quantisation in keys]
    tps = [tp for _, tp, _ in keys]
    return Curves(
        index={key: row for row, key in enumerate(keys)},
        decode=np.array([cost.decode_layer(batches, resident) for cost in costs]),
        head=np.array([cost.head(batches) for cost in costs]),
        # Tokens found in the prefix cache save arithmetic only.
        prefill=np.array([cost.prefill_layer(lengths.tokens) for cost in costs]) * (1.0 - workload.prefix_hit_rate),
        room=np.array([room_bytes(architecture, kinds[kind], tp) for kind, tp, _ in keys]),
        weights=np.array([layer_bytes(architecture, quantisation, tp) for _, tp, quantisation in keys]),
        vocabulary=np.array([vocabulary_bytes(architecture, tp) for tp in tps]),
        sequence_kv=np.array([kv_bytes(architecture, tp, resident) for tp in tps]),
        context_kv=np.array([kv_bytes(architecture, tp, longest) for tp in tps]),
        sources=tuple(cost.source for cost in costs),
        errors=np.array([cost.expected_error for cost in costs]),
    )


def at_batch(table: Array, curve: Indices, batch: Array) -> Array:
    """Look up ``table[curve]`` at a batch, linear in log2; a batch below one costs what one costs.

    Args:
        table: by curve and log2 of the batch.
        curve: rows of strategies and stages.
        batch: per strategy, sequences of one micro-batch.
    """
    position = np.log2(np.clip(batch, 1.0, LARGEST_BATCH)) * POINTS_PER_OCTAVE
    left = np.minimum(position.astype(np.int64), table.shape[1] - 2)
    share = (position - left)[:, None]
    values: Array = table[curve, left[:, None]] * (1.0 - share) + table[curve, left[:, None] + 1] * share
    return values
