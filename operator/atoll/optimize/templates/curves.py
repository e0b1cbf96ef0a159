"""What steps cost and what memory holds, tabulated per GPU kind, width and quantisation for one workload.

The rate model evaluates thousands of strategies at once, so it looks figures up in these arrays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.engineterms import CHUNK_TOKENS, EngineTerms
from atoll.domain.gpu import GpuKind
from atoll.domain.strategy import PerformanceSource
from atoll.domain.workload import Workload
from atoll.optimize.templates.lengths import Prompts, context_limit, resident_tokens
from atoll.optimize.templates.loads import FULL, Loads
from atoll.performance.estimate import Performance
from atoll.performance.memory import kv_bytes, layer_bytes, room_bytes, vocabulary_bytes
from atoll.performance.steps import StepCosts

Array = NDArray[np.float64]
CurveKey = tuple[str, int, Quantisation]
"""GPU kind, width, quantisation."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steps:
    """Seconds by curve (first axis) and load, per layer unless said otherwise.

    Attributes:
        decode: decode step.
        sequence: what one more sequence adds to a step with the prompts that come.
        crowding: the same on average up to twice as many sequences.
        head: output head, whole.
        arriving: prefill of the prompts that come in one slot.
        burst: variance of that prefill, were it all done in the slot; seconds squared.
        chunk: prefill of a step that is full.
        service: of a prompt that waits behind others: its share of full steps.
        service_cv2: squared coefficient of variation of that, over prompt lengths.
        prompt: prefill of a prompt that waits behind nobody, beside the decode steps that it joins.
        prompt_cv2: squared coefficient of variation of that.
    """

    decode: Array
    sequence: Array
    crowding: Array
    head: Array
    arriving: Array
    burst: Array
    chunk: Array
    service: Array
    service_cv2: Array
    prompt: Array
    prompt_cv2: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """Tables by curve (first axis); bytes per GPU, per layer unless said otherwise.

    Attributes:
        index: row of each GPU kind, width and quantisation.
        steps: what steps take.
        room: bytes for weights and KV, whole.
        weights: bytes of weights.
        vocabulary: bytes of embedding or head, whole.
        sequence_kv: bytes of KV of one sequence of mean residence.
        context_kv: bytes of KV of one sequence of the longest context.
        sources: where the times came from.
        errors: expected relative error of the times.
    """

    index: Mapping[CurveKey, int]
    steps: Steps
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
    loads: Loads,
    kinds: Mapping[str, GpuKind],
    performance: Performance,
    engine: EngineTerms,
) -> Curves:
    """Tabulate all curves that the strategies at hand need."""
    resident = resident_tokens(workload)
    longest = float(context_limit(workload, architecture))
    costs = [
        performance.costs(architecture, kinds[kind], tp, quantisation, engine.name) for kind, tp, quantisation in keys
    ]
    tps = [tp for _, tp, _ in keys]
    return Curves(
        index={key: row for row, key in enumerate(keys)},
        steps=_steps(costs, workload, lengths, loads),
        room=np.array([room_bytes(architecture, kinds[kind], tp, engine) for kind, tp, _ in keys]),
        weights=np.array([layer_bytes(architecture, quantisation, tp) for _, tp, quantisation in keys]),
        vocabulary=np.array([vocabulary_bytes(architecture, tp) for tp in tps]),
        sequence_kv=np.array([kv_bytes(architecture, tp, resident) for tp in tps]),
        context_kv=np.array([kv_bytes(architecture, tp, longest) for tp in tps]),
        sources=tuple(cost.source for cost in costs),
        errors=np.array([cost.expected_error for cost in costs]),
    )


def _steps(costs: Sequence[StepCosts], workload: Workload, lengths: Prompts, loads: Loads) -> Steps:
    rows = [_row(cost, workload, lengths, loads) for cost in costs]
    return Steps(**{name: np.array([row[name] for row in rows]) for name in rows[0]})


def _row(cost: StepCosts, workload: Workload, lengths: Prompts, loads: Loads) -> dict[str, Array]:
    """One curve's part of ``Steps``.

    A step decodes one token of each sequence and prefills what has come, up to the token budget, in one pass. Prompts
    that are shorter than the budget share steps: at n requests a slot, those slots that bring any bring
    k = n / (1 - exp(-n)) of them on average (Poisson). A prompt that waits behind others finds the steps full. Bursts
    of arrivals raise the variance of what comes by the excess of their squared coefficient of variation.
    """
    positions, resident = np.arange(FULL + 1.0), resident_tokens(workload)
    requests, batch = loads.requests(positions), np.maximum(loads.batch(positions), 1.0)
    budget = (CHUNK_TOKENS - batch)[:, None]
    together = np.minimum((requests / -np.expm1(-requests))[:, None] * lengths.computed, budget)
    weights, prefill = lengths.weights, Prefill(cost=cost, batch=batch[:, None], lengths=lengths)
    decode, full, arriving = cost.decode_layer(batch, resident), prefill.seconds(budget), prefill.seconds(together)
    alone = prefill.seconds(np.minimum(lengths.computed, budget))
    waiting = full + lengths.computed / budget * decode[:, None]
    mean = arriving @ weights

    def mixed(sequences: Array) -> Array:
        joined = Prefill(cost=cost, batch=sequences[:, None], lengths=lengths).seconds(together)
        return np.asarray(cost.decode_layer(sequences, resident) + requests * (joined @ weights))

    return {
        "decode": decode,
        "sequence": mixed(batch + 1.0) - mixed(batch),
        "crowding": (mixed(2.0 * batch) - mixed(batch)) / batch,
        "head": cost.head(batch + requests),
        "arriving": requests * mean,
        "burst": requests * np.maximum(arriving**2 @ weights + (workload.arrival_cv**2 - 1.0) * mean**2, 0.0),
        "chunk": (full @ weights) * budget[:, 0] / lengths.mean_computed,
        "service": waiting @ weights,
        "service_cv2": _cv2(waiting, lengths),
        "prompt": alone @ weights,
        "prompt_cv2": _cv2(alone, lengths),
    }


def _cv2(seconds: Array, lengths: Prompts) -> Array:
    """Squared coefficient of variation over prompt lengths."""
    return np.asarray(np.maximum(seconds**2 @ lengths.weights / (seconds @ lengths.weights) ** 2 - 1.0, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prefill:
    """What prompts add to the decode steps that they join, by load and prompt length.

    Attributes:
        cost: of steps.
        batch: sequences that decode in each step.
        lengths: of the prompts.
    """

    cost: StepCosts
    batch: Array
    lengths: Prompts

    def seconds(self, tokens: Array) -> Array:
        """Seconds per layer of a prompt whose steps hold so many prompt tokens, its own and others'."""
        added = self.cost.prefill_layer(tokens) - self.cost.saved_layer(self.batch, tokens)
        return np.maximum(added, 0.0) * self.lengths.computed / tokens + self._beyond()

    def _beyond(self) -> Array:
        """Attention to tokens of earlier steps: what a whole prompt takes beyond its chunks, each by itself.

        Of attention among i tokens the prefix cache, which holds a share h of them, saves h^2.
        """
        whole, chunk = self.lengths.tokens, np.array([float(CHUNK_TOKENS)])
        beyond = self.cost.prefill_layer(whole) - whole / CHUNK_TOKENS * self.cost.prefill_layer(chunk)
        held = 1.0 - self.lengths.computed / whole
        return np.where(whole > CHUNK_TOKENS, np.maximum(beyond, 0.0) * (1.0 - held**2), 0.0)
