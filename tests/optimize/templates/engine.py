"""A small discrete-event simulation of continuous batching with chunked prefill over pipeline stages.

Knows nothing of the rate model: requests come, are put into steps as vLLM's scheduler does (running sequences first,
then prompts in order of arrival up to the token budget; a sequence in flight waits for its token, a prompt's next chunk
does not), and steps pass the stages one behind the other, at most as many at a time as there are stages.
"""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from atoll.domain.engineterms import CHUNK_TOKENS
from atoll.domain.strategy import PerformanceSource
from atoll.domain.workload import Lengths, Workload
from atoll.optimize.templates.hops import HOP_SECONDS, STEP_SECONDS

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
        met = 1.0 - (1.0 - self.visited / self.experts) ** tokens if self.experts > 1 else 1.0
        attention = self.attention * sum(new * (before + new / 2) for new, before in pieces)
        return max(self.read * met, self.token * tokens) + attention + self.kv * context + self.layer

    def head_step(self, sampled: int) -> float:
        return max(self.head_read, self.head_token * sampled) + self.sequence * sampled


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


def simulate(
    stages: Sequence[Served], workload: Workload, rate: float, *, requests: int, hop_per_token: float, seed: int = 1
) -> Seen:
    """Run one replica at so many requests/s and look at all but the first fifth and the last tenth of the requests."""
    rng = np.random.default_rng(seed)
    shape = 1.0 / max(workload.arrival_cv, 1e-3) ** 2
    arrivals = np.cumsum(rng.gamma(shape, 1.0 / (shape * rate), requests))
    prompt = np.maximum(np.rint(lengths(workload.input, requests, rng)), 1.0)
    answer = np.maximum(np.rint(lengths(workload.output, requests, rng)), 1.0)
    cached = np.minimum(np.floor(prompt * workload.prefix_hit_rate), prompt - 1.0)
    replica = Replica(stages, hop_per_token, prompt=prompt, cached=cached, answer=answer)
    now, coming = 0.0, 0
    while coming < requests or replica.flying or replica.waiting:
        while coming < requests and arrivals[coming] <= now:
            replica.waiting.append(coming)
            coming += 1
        replica.take_back(now)
        if replica.start(now):
            continue
        events = [replica.flying[0].end] if replica.flying else []
        if coming < requests and len(replica.flying) < len(stages):
            events.append(arrivals[coming])
        now = max(now, min(events, default=np.inf))
    low, high = requests // 5, requests - requests // 10
    span = np.minimum(replica.ends, arrivals[high]) - np.maximum(arrivals, arrivals[low])
    looked = slice(low, high)
    several = answer[looked] > 1
    tpot = (replica.ends - replica.first)[looked][several] / (answer[looked][several] - 1)
    return Seen(
        ttft=(replica.first - arrivals)[looked],
        tpot=tpot,
        sequences=float(np.clip(span, 0.0, None).sum() / (arrivals[high] - arrivals[low])),
    )
