"""What a replica delivers: the largest rate whose requests meet the objectives (design.md section 4, first order).

Everything follows from the micro-batch b, the mean number of sequences that decode together in one stage. A pipeline of
S stages keeps S micro-batches; each slot of the slowest stage advances one of them by one token, so

    slot(b) = max over stages of (decode step + hop + b / E[O] x prefill of one prompt)
    rate    = b / (E[O] slot),  TPOT = S slot,  in flight = rate x (first-token passage + E[O] TPOT).

The prefill term is the work that arrives while a slot passes: each completed sequence makes way for one new prompt.
This is the self-consistent root of in flight = rate x O x TPOT / (1 - rate x prefill) in closed form. Rate, TTFT, TPOT
and KV all grow with b, so bisecting on log2 b finds the largest b that meets all of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atoll.domain.engineterms import CHUNK_TOKENS
from atoll.domain.strategy import Limit
from atoll.domain.workload import Objectives
from atoll.optimize.templates.curves import OCTAVES, at_batch
from atoll.optimize.templates.hops import STEP_SECONDS, hop_seconds, transfer_seconds
from atoll.optimize.templates.pipelines import Pipelines, Setting

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
IDLE_LOG2 = -6.0
"""log2 of the micro-batch of a replica that is all but idle."""
BISECTIONS = 30
SPREADS = 3.0
"""KV must hold the mean number of sequences and so many of its standard deviations (Poisson: root of the mean)."""
ENDLESS_SECONDS = 1e9
"""Wait of a queue that only grows."""
SATURATED = 0.95
"""Utilisation of prefill above which it is compute, not the TTFT objective, that stops a replica."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """How strategies run at a micro-batch, by strategy.

    Attributes:
        rate: requests/s.
        ttft: time to first token at the objectives' percentile, seconds.
        tpot: mean time per output token, seconds.
        sequences: mean sequences in flight.
        utilisation: of the slowest stage by prefill and the decode steps between its chunks.
    """

    rate: Array
    ttft: Array
    tpot: Array
    sequences: Array
    utilisation: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bounds:
    """What strategies must keep.

    Attributes:
        objectives: TTFT and TPOT.
        kv_sequences: sequences whose KV fits, by strategy.
        sequences: most sequences admitted, by strategy.
    """

    objectives: Objectives
    kv_sequences: Array
    sequences: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Best:
    """The largest rate by strategy.

    Attributes:
        feasible: whether the objectives can be met at all, idle.
        operation: at the largest rate; of an idle replica where not feasible.
        batch: sequences of one micro-batch there.
        limit: what stops it from delivering more.
    """

    feasible: Mask
    operation: Operation
    batch: Array
    limit: tuple[Limit, ...]


def largest_rate(lines: Pipelines, layers: Indices, bounds: Bounds, setting: Setting) -> Best:
    """Bisect on log2 of the micro-batch, all strategies at once."""
    low = np.full(len(layers), IDLE_LOG2)
    high = np.full(len(layers), float(OCTAVES))
    percentile = bounds.objectives.percentile
    prompt = prefilling(lines, layers, setting)

    def operate(log2_batch: Array) -> Operation:
        return operation(lines, layers, prompt, 2.0**log2_batch, setting, percentile=percentile)

    idle = _kept(operate(low), bounds)
    unbounded = _kept(operate(high), bounds)
    low = np.where(unbounded, high, low)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        kept = _kept(operate(middle), bounds)
        low, high = np.where(kept, middle, low), np.where(kept, high, middle)
    return Best(
        feasible=idle,
        operation=operate(low),
        batch=2.0**low,
        limit=_limits(operate(high), bounds, unbounded),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prefilling:
    """Seconds of one prompt's prefill, whatever the micro-batch.

    Attributes:
        mean: by strategy and stage, over prompt lengths.
        whole: of all stages, by strategy and prompt length.
        slowest: of the slowest stage, by strategy and prompt length.
    """

    mean: Array
    whole: Array
    slowest: Array


def prefilling(lines: Pipelines, layers: Indices, setting: Setting) -> Prefilling:
    """Sum up the stages once, because the search asks for it at every micro-batch."""
    seconds = prefill_seconds(lines, layers, setting)
    return Prefilling(mean=seconds @ setting.prompts.weights, whole=seconds.sum(axis=1), slowest=seconds.max(axis=1))


def operation(
    lines: Pipelines, layers: Indices, prompt: Prefilling, batch: Array, setting: Setting, *, percentile: float
) -> Operation:
    """How each strategy runs at its micro-batch."""
    workload, weights = setting.workload, setting.prompts.weights
    depth = lines.depth.astype(np.float64)
    decode = decode_seconds(lines, layers, batch, setting)
    slot = (decode + (batch / workload.output.mean)[:, None] * prompt.mean).max(axis=1)
    rate = batch / (workload.output.mean * slot)
    step = decode.max(axis=1)
    service = prompt.slowest + step[:, None] * (setting.prompts.tokens / CHUNK_TOKENS)
    wait = queueing(rate, service @ weights, service**2 @ weights, workload.arrival_cv, percentile)
    passage = first_token_passage(prompt, step, depth, setting.prompts.tokens)
    mean, at_percentile = passage[:, -2], passage[:, -1]
    # Two independent spreads, of prompt length and of waiting, add as roots of squares, not at their percentiles.
    spread = np.hypot(at_percentile - mean, wait.at_percentile - wait.mean)
    tpot = depth * slot
    return Operation(
        rate=rate,
        ttft=wait.mean + mean + spread,
        tpot=tpot,
        sequences=rate * (mean + workload.output.mean * tpot),
        utilisation=wait.utilisation,
    )


def decode_seconds(lines: Pipelines, layers: Indices, batch: Array, setting: Setting) -> Array:
    """Seconds of one decode step and the hop after it, by strategy and stage; zero where there is no stage."""
    curves = setting.curves
    step = layers * at_batch(curves.decode, lines.curve, batch)
    step += lines.last * at_batch(curves.head, lines.curve, batch)
    hop = hop_seconds(setting.architecture, lines.depth.astype(np.float64), np.maximum(batch, 1.0))
    return np.where(lines.present, np.maximum(step, STEP_SECONDS) + hop[:, None], 0.0)


def prefill_seconds(lines: Pipelines, layers: Indices, setting: Setting) -> Array:
    """Seconds to prefill one prompt and hand it on, by strategy, stage and prompt length."""
    curves = setting.curves
    seconds = layers[:, :, None] * curves.prefill[lines.curve]
    seconds += (lines.last * curves.head[lines.curve, 0])[:, :, None]
    sent = np.where((lines.depth > 1)[:, None], transfer_seconds(setting.architecture, setting.prompts.tokens), 0.0)
    return np.where(lines.present[:, :, None], seconds + sent[:, None, :], 0.0)


def first_token_passage(prompt: Prefilling, step: Array, depth: Array, tokens: Array) -> Array:
    """Seconds from the start of a prompt's prefill to its first token, by strategy and prompt length.

    A prompt passes the stages in chunks, one behind the other, and each chunk shares its slot with a decode step.

    Args:
        prompt: seconds of prefill.
        step: seconds of the slowest stage's decode step, by strategy.
        depth: stages, by strategy.
        tokens: prompt lengths.
    """
    chunks = np.maximum(np.ceil(tokens / CHUNK_TOKENS), 1.0)
    first = prompt.whole / chunks
    others = prompt.slowest * (1.0 - 1.0 / chunks)
    slots = chunks[None, :] + depth[:, None] - 1.0
    return np.asarray(first + others + slots * step[:, None])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wait:
    """Waiting before prefill: utilisation, mean seconds and seconds at the percentile, by strategy."""

    utilisation: Array
    mean: Array
    at_percentile: Array


def queueing(rate: Array, service: Array, second_moment: Array, arrival_cv: float, percentile: float) -> Wait:
    """Waiting in a G/G/1 queue by Allen and Cunneen's approximation; endless where the utilisation reaches one.

    mean = (ca^2 + cs^2) / 2 x utilisation / (1 - utilisation) x service; a wait beyond zero is taken as exponential,
    P(W > t) = u exp(-u t / mean) (Allen, Probability, Statistics and Queueing Theory, 2nd ed., section 5.3).

    Args:
        rate: requests/s.
        service: mean seconds on the slowest stage.
        second_moment: of those seconds.
        arrival_cv: coefficient of variation of the time between requests.
        percentile: percent.
    """
    busy = rate * service
    below = np.minimum(busy, 1.0 - 1e-9)
    variation = (arrival_cv**2 + second_moment / service**2 - 1.0) / 2.0
    mean = np.where(busy < 1.0, variation * below / (1.0 - below) * service, ENDLESS_SECONDS)
    exceeded = np.maximum(np.log(below / (1.0 - min(percentile, 99.99) / 100.0)), 0.0)
    return Wait(utilisation=busy, mean=mean, at_percentile=mean / below * exceeded)


def spread(sequences: Array) -> Array:
    """Sequences that must be held so that the mean number of them may fluctuate."""
    return sequences + SPREADS * np.sqrt(sequences)


def _kept(state: Operation, bounds: Bounds) -> Mask:
    held = spread(state.sequences)
    kept: Mask = (
        (state.ttft <= bounds.objectives.ttft_seconds)
        & (state.tpot <= bounds.objectives.tpot_seconds)
        & (held <= bounds.kv_sequences)
        & (held <= bounds.sequences)
    )
    return kept


def _limits(beyond: Operation, bounds: Bounds, unbounded: Mask) -> tuple[Limit, ...]:
    """What is violated just beyond the largest rate, memory first: it is the hardest."""
    held = spread(beyond.sequences)
    conditions = [
        (unbounded, Limit.SEQUENCES),
        (held > bounds.kv_sequences, Limit.KV_MEMORY),
        (held > bounds.sequences, Limit.SEQUENCES),
        (beyond.tpot > bounds.objectives.tpot_seconds, Limit.TPOT),
        (beyond.utilisation >= SATURATED, Limit.COMPUTE),
    ]
    found = np.select([violated for violated, _ in conditions], list(range(len(conditions))), len(conditions))
    names = [*(limit for _, limit in conditions), Limit.TTFT]
    return tuple(names[number] for number in found)
