"""A small discrete-event simulation of continuous batching with chunked prefill over pipeline stages.

Knows nothing of the rate model: requests come, are put into steps as vLLM's scheduler does (running sequences first,
then prompts in order of arrival up to the token budget; a sequence in flight waits for its token, a prompt's next chunk
does not), and steps pass the stages one behind the other, at most as many at a time as there are stages.
"""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from atoll.domain.engineterms import CHUNK_TOKENS
from atoll.domain.strategy import PerformanceSource
from atoll.domain.workload import Lengths, Workload
from atoll.optimize.templates.hops import HOP_SECONDS, STEP_SECONDS
from atoll.performance.roofline import LARGEST_OF

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Device:
    """Step costs of one stage, seconds per layer, of a served model whose weights are read once a step.

    ``experts`` share the weights evenly; each token visits ``visited`` of them, and only visited ones are read. The
    engine takes ``sequence`` seconds of a step for each sequence in it.
    """

    read: float
    token: float
    attention: float
    kv: float
    layer: float = 20e-6
    head_read: float = 1e-3
    head_token: float = 2e-6
    sequence: float = 0.0
    experts: int = 1
    visited: int = 1
    source: PerformanceSource = PerformanceSource.ROOFLINE
    expected_error: float = 0.0

    def linear(self, tokens: Array) -> Array:
        met = 1.0 - (1.0 - self.visited / self.experts) ** tokens if self.experts > 1 else 1.0
        return np.maximum(self.read * met, self.token * tokens)

    def prefill_layer(self, tokens: Array) -> Array:
        return self.linear(tokens) + self.attention * tokens**2 / 2 + self.layer

    def decode_layer(self, batch: Array, context: float) -> Array:
        return self.linear(batch) + self.kv * batch * context + self.layer

    def saved_layer(self, batch: Array, tokens: Array) -> Array:
        return self.linear(batch) + self.linear(tokens) - self.linear(batch + tokens) + self.layer

    def head(self, batch: Array) -> Array:
        return np.maximum(self.head_read, self.head_token * batch) + self.sequence * batch

    def step(self, decoding: int, context: float, pieces: Sequence[tuple[float, float]]) -> float:
        """Seconds per layer: ``context`` tokens of all decoding sequences, pieces (new, before) of prompts."""
        tokens = decoding + sum(new for new, _ in pieces)
        attention = self.attention * sum(new * (before + new / 2) for new, before in pieces)
        return self.products(tokens) + attention + self.kv * context + self.layer

    def products(self, tokens: float) -> float:
        """Seconds per layer of the products with weights in one step."""
        met = 1.0 - (1.0 - self.visited / self.experts) ** tokens if self.experts > 1 else 1.0
        return max(self.read * met, self.token * tokens)

    def head_step(self, sampled: int) -> float:
        return max(self.head_read, self.head_token * sampled) + self.sequence * sampled


@dataclass(frozen=True, kw_only=True)
class Dealt(Device):
    """A stage of several GPUs that hold whole experts: each layer waits for the GPU with the most to do.

    What is told is the estimate of ``performance.roofline``; what happens is drawn, expert by expert.
    """

    gpus: int = 8
    drawn_layers: int = 3
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(3), compare=False)

    def linear(self, tokens: Array) -> Array:
        share = self.visited / self.experts
        met = 1.0 - (1.0 - share) ** tokens
        largest, whole = LARGEST_OF[self.gpus], self.experts / self.gpus
        read = met * np.minimum(1.0 + largest * np.sqrt((1.0 - met) / (whole * met)), 1.0 / met)
        visits = tokens * self.visited / self.gpus
        visits = visits + largest * np.sqrt(visits * (1.0 - 1.0 / self.gpus))
        return np.maximum(self.read * read, self.token * visits * self.gpus / self.visited)

    def products(self, tokens: float) -> float:
        hits = self.rng.binomial(int(tokens), self.visited / self.experts, size=(self.drawn_layers, self.experts))
        by_gpu = hits.reshape(self.drawn_layers, self.gpus, -1)
        read = self.read * (by_gpu > 0).mean(axis=2)
        visits = self.token * by_gpu.sum(axis=2) * self.gpus / self.visited
        return float(np.maximum(read, visits).max(axis=1).mean())


@dataclass(frozen=True, kw_only=True)
class Served:
    """One stage: its device and layers."""

    device: Device
    layers: int


@dataclass(kw_only=True)
class Group:
    """Sequences that decode together; ``due`` is a heap of (step in which it ends, number)."""

    steps: int = 0
    context: float = 0.0
    due: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What requests saw: TTFT of each, TPOT of each of more than one token, mean sequences in flight."""

    ttft: Array
    tpot: Array
    sequences: float


def lengths(of: Lengths, count: int, rng: np.random.Generator) -> Array:
    if of.cv <= 0.0:
        return np.full(count, of.mean)
    variance = np.log(1.0 + of.cv**2)
    return of.mean * np.exp(rng.standard_normal(count) * np.sqrt(variance) - variance / 2)


@dataclass(kw_only=True)
class Step:
    """A step in flight: when it ends, whose tokens it decodes, which prompts it finishes."""

    end: float
    group: Group
    finishing: list[int]
    decoding: int


class Replica:
    """One replica that requests come to, all known in advance."""

    def __init__(
        self, stages: Sequence[Served], hop_per_token: float, *, prompt: Array, cached: Array, answer: Array
    ) -> None:
        self.stages, self.hop_per_token = stages, hop_per_token
        self.prompt, self.done, self.answer = prompt, cached.copy(), answer
        self.first, self.ends = np.full(len(prompt), np.nan), np.full(len(prompt), np.nan)
        self.waiting: deque[int] = deque()
        self.flying: deque[Step] = deque()
        self.idle: list[Group] = []
        self.free = [0.0] * len(stages)

    def take_back(self, now: float) -> None:
        """Steps that have ended hand out their tokens; their sequences can go on."""
        while self.flying and self.flying[0].end <= now:
            step = self.flying.popleft()
            group = step.group
            group.steps += 1
            group.context += step.decoding
            while group.due and group.due[0][0] == group.steps:
                _, number = heapq.heappop(group.due)
                group.context -= self.prompt[number] + self.answer[number] - 1
                self.ends[number] = step.end
            for number in step.finishing:
                self.first[number] = self.ends[number] = step.end
                if self.answer[number] > 1:
                    heapq.heappush(group.due, (group.steps + int(self.answer[number]) - 1, number))
                    group.context += self.prompt[number]
            if group.due:
                self.idle.append(group)

    def start(self, now: float) -> bool:
        """Send the next step, if there is room for one and work for it."""
        if len(self.flying) == len(self.stages) or not (self.idle or self.waiting):
            return False
        group = self.idle.pop() if self.idle else Group()
        decoding = len(group.due)
        pieces, finishing = self._prompts(CHUNK_TOKENS - decoding)
        tokens = decoding + sum(new for new, _ in pieces)
        hop = HOP_SECONDS + tokens * self.hop_per_token if len(self.stages) > 1 else 0.0
        at = now
        for place, stage in enumerate(self.stages):
            seconds = stage.layers * stage.device.step(decoding, group.context, pieces)
            if place == len(self.stages) - 1:
                seconds += stage.device.head_step(decoding + len(finishing))
            at = max(at, self.free[place]) + max(seconds, STEP_SECONDS) + hop
            self.free[place] = at
        self.flying.append(Step(end=at, group=group, finishing=finishing, decoding=decoding))
        return True

    def _prompts(self, budget: float) -> tuple[list[tuple[float, float]], list[int]]:
        """Pieces (new, before) of prompts in order of arrival, and the prompts that end with them."""
        pieces, finishing = [], []
        while self.waiting and budget > 0:
            number = self.waiting[0]
            new = min(budget, self.prompt[number] - self.done[number])
            pieces.append((new, self.done[number]))
            self.done[number] += new
            budget -= new
            if self.done[number] >= self.prompt[number]:
                finishing.append(self.waiting.popleft())
        return pieces, finishing


@dataclass(frozen=True, kw_only=True)
class Requests:
    """Requests in order of arrival: when they come, tokens of prompt and answer."""

    arrivals: Array
    prompt: Array
    answer: Array

    @property
    def looked_at(self) -> slice:
        """All but the first fifth and the last tenth."""
        return slice(len(self.arrivals) // 5, len(self.arrivals) - len(self.arrivals) // 10)


def requests_of(workload: Workload, rate: float, count: int, seed: int) -> Requests:
    rng = np.random.default_rng(seed)
    shape = 1.0 / max(workload.arrival_cv, 1e-3) ** 2
    return Requests(
        arrivals=np.cumsum(rng.gamma(shape, 1.0 / (shape * rate), count)),
        prompt=np.maximum(np.rint(lengths(workload.input, count, rng)), 1.0),
        answer=np.maximum(np.rint(lengths(workload.output, count, rng)), 1.0),
    )


def run(stages: Sequence[Served], come: Requests, cached: Array, hop_per_token: float) -> Replica:
    """Serve them all."""
    replica = Replica(stages, hop_per_token, prompt=come.prompt, cached=cached, answer=come.answer)
    now, coming, arrivals = 0.0, 0, come.arrivals
    while coming < len(arrivals) or replica.flying or replica.waiting:
        while coming < len(arrivals) and arrivals[coming] <= now:
            replica.waiting.append(coming)
            coming += 1
        replica.take_back(now)
        if replica.start(now):
            continue
        events = [replica.flying[0].end] if replica.flying else []
        if coming < len(arrivals) and len(replica.flying) < len(stages):
            events.append(arrivals[coming])
        now = max(now, min(events, default=np.inf))
    return replica


def simulate(
    stages: Sequence[Served], workload: Workload, rate: float, *, requests: int, hop_per_token: float, seed: int = 1
) -> Seen:
    """Run one replica at so many requests/s and look at all but the first fifth and the last tenth of the requests."""
    come = requests_of(workload, rate, requests, seed)
    cached = np.minimum(np.floor(come.prompt * workload.prefix_hit_rate), come.prompt - 1.0)
    return seen(run(stages, come, cached, hop_per_token), come, come.arrivals)


def simulate_pair(
    prefill: Sequence[Served], decode: Sequence[Served], workload: Workload, rate: float, *, requests: int, wire: float
) -> Seen:
    """Run a pair: KV of prefilled prompts goes one after the other, and the other side begins with the last token.

    Args:
        prefill: stages of the one.
        decode: stages of the other.
        workload: shape of the requests.
        rate: requests/s.
        requests: how many.
        wire: seconds to hand over one token's KV.
    """
    come = requests_of(workload, rate, requests, 1)
    cached = np.minimum(np.floor(come.prompt * workload.prefix_hit_rate), come.prompt - 1.0)
    first = run(prefill, replace(come, answer=np.ones(requests)), cached, 0.0)
    order = np.argsort(first.first, kind="stable")
    handed, free = np.zeros(requests), 0.0
    for place, number in enumerate(order):
        free = max(free, first.first[number]) + wire * come.prompt[number]
        handed[place] = free
    moved = Requests(arrivals=handed, prompt=come.prompt[order], answer=come.answer[order])
    return seen(run(decode, moved, moved.prompt - 1.0, 0.0), moved, come.arrivals[order])


def seen(replica: Replica, come: Requests, sent: Array) -> Seen:
    """What requests saw that were sent at such times."""
    looked, arrivals = come.looked_at, come.arrivals
    low, high = arrivals[looked.start], arrivals[looked.stop]
    span = np.minimum(replica.ends, high) - np.maximum(arrivals, low)
    several = come.answer[looked] > 1
    tpot = (replica.ends - replica.first)[looked][several] / (come.answer[looked][several] - 1)
    return Seen(
        ttft=(replica.first - sent)[looked],
        tpot=tpot,
        sequences=float(np.clip(span, 0.0, None).sum() / (high - low)),
    )
