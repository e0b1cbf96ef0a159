"""What a replica delivers: the largest rate whose requests meet the objectives (design.md section 4, first order).

Everything follows from the load n, the mean number of requests that come while one slot passes. A pipeline of S stages
keeps S micro-batches; each slot of the slowest stage advances one of them: its b = n (E[O] - 1) sequences by one token,
and with them, in the same step, the n prompts that came. The first token of an answer comes from its prefill. So

    slot(n) = max over stages of (decode step of b + prefill of n prompts + hop), and what fluctuates (``cycle``)
    rate    = n / slot,  mean TPOT = S slot,  in flight = rate x (first-token passage + (E[O] - 1) S slot).

This is the self-consistent root of in flight = rate x O x TPOT / (1 - rate x prefill) in closed form. Rate, TTFT, TPOT
and KV all grow with n, so bisecting on log2 n finds the largest n that meets all of them. Every term is tested against
a discrete-event simulation of continuous batching (tests/optimize/templates/test_simulated.py).

**TTFT** is the wait behind other prompts (``queueing``), half a slot for the step that runs, and the prompt's own
passage; mean and variance add, and the percentile is that of the log-normal distribution with these.

**TPOT at a percentile.** A request's TPOT is its mean over its own L = O - 1 steps, and the percentile is over
requests. Four things make it vary from request to request:

- prompts come at random, so their work over L steps of S slots is a compound Poisson sum of variance L S n E[P^2]
  (Campbell's theorem), less where one prompt outlasts the request;
- a request that begins to decode finds the prompts that wait behind it: over few steps, it sees more full ones than a
  slot on average does, because long slots last longer (inspection paradox);
- the number and the sizes of the sequences in flight, which stay while a request lives, move each slot by what one more
  sequence costs, the more the larger the share u of a slot that prefill takes (at a given rate, longer slots bring more
  prompts): (d decode / d b)^2 Var[b] / (1 - u)^2;
- answers differ in length, and short ones average over less.

The share of requests beyond the objective is the mean over answer lengths of normal tails. Requests of one token have
no TPOT and count as served in time. Assumed: given its length, a request's TPOT is normal, and lengths of prompts and
answers are independent.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atoll.domain.engineterms import CHUNK_TOKENS
from atoll.domain.strategy import Limit
from atoll.domain.workload import Objectives
from atoll.optimize.templates.cycle import MOST_CROWDED, Cycle, cycle_of
from atoll.optimize.templates.hops import hop_seconds, transfer_seconds
from atoll.optimize.templates.loads import FULL, Place, place_of
from atoll.optimize.templates.pipelines import Pipelines, Setting
from atoll.optimize.templates.queueing import Service, Wait, log_normal_at, queueing
from atoll.optimize.templates.tails import share_beyond, tpot_at

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
BISECTIONS = 24
"""Of the load, which spans 14 octaves: to a millionth."""
COARSE_BISECTIONS = 12
"""While partitions are only compared: to a four-hundredth of an octave."""
SPREADS = 3.0
"""KV must hold the mean number of sequences and so many of its standard deviations (Poisson: root of the mean)."""
SATURATED = 0.95
"""Utilisation of prefill above which it is compute, not the TTFT objective, that stops a replica."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """How strategies run at a load, by strategy.

    Attributes:
        rate: requests/s.
        ttft: time to first token at the objectives' percentile, seconds.
        tpot: mean time per output token of a request, by answer length and strategy, seconds.
        tpot_deviation: standard deviation of it among such requests, seconds.
        sequences: mean sequences in flight.
        utilisation: of the slowest stage by prefill and the decode steps that full chunks share.
        crowding: of a pipeline's micro-batches; 0 with one stage.
    """

    rate: Array
    ttft: Array
    tpot: Array
    tpot_deviation: Array
    sequences: Array
    utilisation: Array
    crowding: Array


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
        tpot: time per output token at the objectives' percentile there, seconds.
        position: of the load there.
        limit: what stops it from delivering more.
    """

    feasible: Mask
    operation: Operation
    tpot: Array
    position: Array
    limit: tuple[Limit, ...]


def largest_rate(
    lines: Pipelines, layers: Indices, bounds: Bounds, setting: Setting, *, bisections: int = BISECTIONS
) -> Best:
    """Bisect on the logarithm of the load, all strategies at once."""
    low = np.zeros(len(layers))
    high = np.full(len(layers), FULL)
    percentile = bounds.objectives.percentile

    def kept(position: Array) -> Mask:
        return _kept(operation(lines, layers, position, setting, percentile), bounds, setting)

    idle, unbounded = kept(low), kept(high)
    low = np.where(unbounded, high, low)
    for _ in range(bisections):
        middle = (low + high) / 2
        fine = kept(middle)
        low, high = np.where(fine, middle, low), np.where(fine, high, middle)
    best = operation(lines, layers, low, setting, percentile)
    beyond = operation(lines, layers, high, setting, percentile)
    return Best(
        feasible=idle,
        operation=best,
        tpot=tpot_at(best.tpot, best.tpot_deviation, setting.answers, percentile),
        position=low,
        limit=_limits(beyond, bounds, setting, unbounded),
    )


def operation(lines: Pipelines, layers: Indices, position: Array, setting: Setting, percentile: float) -> Operation:
    """How each strategy runs at its load."""
    workload, loads, steps = setting.workload, setting.loads, setting.curves.steps
    depth = lines.depth.astype(np.float64)
    requests = loads.requests(position)
    place = place_of(lines.curve, position)
    cycle = cycle_of(lines, layers, position, place, setting)
    rate = requests / cycle.seconds
    service = service_seconds(lines, layers, place, cycle.head, setting).max(axis=1)
    variation = cycle.slowest.at(steps.service_cv2)
    prompt = layers * place.at(steps.prompt) + sent_seconds(lines, setting)
    prompt_cv2 = cycle.slowest.at(steps.prompt_cv2)
    chunks = max(setting.prompts.mean_computed / CHUNK_TOKENS, 1.0)
    alone = Service(
        mean=prompt.max(axis=1) + chunks * cycle.step,
        square=(1.0 + prompt_cv2) * prompt.max(axis=1) ** 2
        + chunks * cycle.step * (2.0 * prompt.max(axis=1) + chunks * cycle.step),
    )
    wait = queueing(rate, Service(mean=service, square=(1.0 + variation) * service**2), alone, workload.arrival_cv)
    idle = np.maximum(1.0 - wait.utilisation, 0.0)
    residual = cycle.seconds / 2.0 * idle * -np.expm1(-requests - loads.batch(position))
    own = prompt.sum(axis=1) / chunks + prompt.max(axis=1) * (1.0 - 1.0 / chunks)
    # A prompt's chunks follow each other, each beside a decode step, the last one beside whatever else comes.
    passage = own + (chunks - 1.0) * cycle.step + depth * cycle.seconds
    varied = own**2 * prompt_cv2
    tpot, deviation = tpot_by_answer(cycle, wait, requests, depth, setting)
    return Operation(
        rate=rate,
        ttft=log_normal_at(residual + wait.mean + passage, wait.variance + varied, percentile),
        tpot=tpot,
        tpot_deviation=deviation,
        sequences=rate * (passage + setting.held_seconds + loads.steps * depth * cycle.seconds),
        utilisation=wait.utilisation,
        crowding=np.where(lines.depth > 1, cycle.crowding, 0.0),
    )


def tpot_by_answer(cycle: Cycle, wait: Wait, requests: Array, depth: Array, setting: Setting) -> tuple[Array, Array]:
    """Mean and standard deviation of requests' TPOT, seconds, by answer length and strategy."""
    slots = np.maximum(setting.answers, 1.0)[:, None] * depth
    # Where a request begins to decode, the backlog is that of a moment, not of a slot: long slots take more moments.
    busy = np.clip(wait.utilisation, 1e-9, 1.0)
    full = np.minimum(requests * setting.prompts.mean_computed / CHUNK_TOKENS, busy)
    backlog = wait.mean * cycle.chunk / (cycle.step + cycle.chunk) / busy
    often = busy - full
    ahead = often * np.minimum(cycle.chunk, backlog / slots)
    ahead_square = often * np.minimum(cycle.chunk**2, 2.0 * (backlog / slots) ** 2)
    shares = burst_shares(int(depth.max()), setting)[:, depth.astype(np.int64)]
    come = cycle.burst * cycle.stretch**2 / depth * shares
    fluctuation = (cycle.sequence / (1.0 - cycle.arriving / cycle.seconds)) ** 2 * cycle.sequences_variance / depth
    return depth * (cycle.seconds + ahead), depth * np.sqrt(come + ahead_square + fluctuation)


def service_seconds(lines: Pipelines, layers: Indices, place: Place, head: Array, setting: Setting) -> Array:
    """Seconds that a prompt of average length takes of each stage while others wait: its share of full steps."""
    curves, computed = setting.curves, setting.prompts.mean_computed
    hop = hop_seconds(setting.architecture, lines.depth.astype(np.float64), np.array(float(CHUNK_TOKENS)))[:, None]
    seconds = layers * place.at(curves.steps.service)
    return np.where(lines.present, seconds + (head + hop) * (computed / CHUNK_TOKENS), 0.0)


def sent_seconds(lines: Pipelines, setting: Setting) -> Array:
    """Seconds to hand on a prompt of mean length, by strategy and stage; none in a pipeline of one stage."""
    sent = float(transfer_seconds(setting.architecture, np.array(setting.prompts.mean_computed)))
    return np.where(lines.present & (lines.depth > 1)[:, None], sent, 0.0)


def burst_shares(most: int, setting: Setting) -> Array:
    """By answer length and stages, up to ``most``: the share of a burst's variance that a request sees, per step.

    A prompt that outlasts a request delays every step of it, not more: E[P min(P, L S chunks)] / (L E[P^2]).
    """
    prompts, steps = setting.prompts, np.maximum(setting.answers, 1.0)[:, None]
    seen = np.minimum(prompts.computed, (np.arange(most + 1.0) * steps * CHUNK_TOKENS)[:, :, None])
    return np.asarray(seen * prompts.computed @ prompts.weights / (prompts.computed**2 @ prompts.weights) / steps)


def spread(sequences: Array) -> Array:
    """Sequences that must be held so that the mean number of them may fluctuate."""
    return sequences + SPREADS * np.sqrt(sequences)


def _kept(state: Operation, bounds: Bounds, setting: Setting) -> Mask:
    held, objectives = spread(state.sequences), bounds.objectives
    kept: Mask = (
        (state.ttft <= objectives.ttft_seconds)
        & _in_time(state, bounds, setting)
        & (held <= bounds.kv_sequences)
        & (held <= bounds.sequences)
        & (state.crowding <= MOST_CROWDED)
    )
    return kept


def _in_time(state: Operation, bounds: Bounds, setting: Setting) -> Mask:
    """Whether enough requests see their tokens in time."""
    objectives = bounds.objectives
    late = share_beyond(objectives.tpot_seconds, state.tpot, state.tpot_deviation, setting.answers)
    return np.asarray(late <= 1.0 - objectives.percentile / 100.0)


def _limits(beyond: Operation, bounds: Bounds, setting: Setting, unbounded: Mask) -> tuple[Limit, ...]:
    """What is violated just beyond the largest rate, memory first: it is the hardest."""
    held = spread(beyond.sequences)
    conditions = [
        (unbounded & (beyond.utilisation < SATURATED), Limit.SEQUENCES),
        (held > bounds.kv_sequences, Limit.KV_MEMORY),
        (held > bounds.sequences, Limit.SEQUENCES),
        (~_in_time(beyond, bounds, setting), Limit.TPOT),
        ((beyond.utilisation >= SATURATED) | (beyond.crowding > MOST_CROWDED), Limit.COMPUTE),
    ]
    found = np.select([violated for violated, _ in conditions], list(range(len(conditions))), len(conditions))
    names = [*(limit for _, limit in conditions), Limit.TTFT]
    return tuple(names[number] for number in found)
