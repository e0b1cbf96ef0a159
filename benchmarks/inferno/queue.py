"""inferno's queueing model of one replica: the largest rate at which mean latencies keep their targets.

As in llm-inferno/queue-analysis v0.3.0 (Apache-2.0), with which the published solutions were computed: a birth-death
process whose service rate depends on the requests in service, n at most N, with room for 10 N more.

    iteration(n) = alpha + n (beta (I + O) / (O + 1) + gamma (I + O / 2))
    prefill(n)   = iteration(n) + (beta + gamma) I
    decode(n)    = iteration(n) + beta + gamma (I + O / 2)
    rate(n)      = n / (prefill(n) + O decode(n))

Time to first token is waiting + prefill + one decode, at the mean number in service. All times in ms.
"""

import math
from dataclasses import dataclass

import numpy as np

QUEUE_PER_BATCH = 10
"""Most requests waiting, in multiples of the largest batch."""

MARGIN = 0.001
"""The rates tried reach from this share of the slowest service to this share below the fastest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One replica with its requests.

    Attributes:
        alpha: base of an iteration, ms.
        beta: of an iteration, ms for each token computed.
        gamma: of an iteration, ms for each token read from memory.
        batch: most requests in service.
        tokens_in: input tokens of a request, on average.
        tokens_out: output tokens of a request, on average.
    """

    alpha: float
    beta: float
    gamma: float
    batch: int
    tokens_in: float
    tokens_out: float

    def rate(self, *, ttft: float, itl: float) -> float:
        """Requests/s served at the largest load that keeps both targets; 0 where none does.

        Args:
            ttft: target of the mean time to first token, ms; 0 for none.
            itl: target of the mean time between tokens, ms; 0 for none.
        """
        low = float(self._service()[0]) * MARGIN
        high = float(self._service()[-1]) * (1.0 - MARGIN)
        for number, target in enumerate((ttft, itl)):
            if target > 0.0:
                if self._latencies(low)[number] > target:
                    return 0.0
                high = self._largest(low, high, number, target)
        return 1000.0 * self._state(high)[0]

    def latencies(self, rate: float) -> tuple[float, float]:
        """Mean time to first token and between tokens at a load, ms.

        Args:
            rate: requests/s that arrive.
        """
        return self._latencies(rate / 1000.0)

    def _largest(self, low: float, high: float, number: int, target: float) -> float:
        if self._latencies(high)[number] <= target:
            return high
        while high - low > 1e-9 * high:
            middle = (low + high) / 2.0
            low, high = (middle, high) if self._latencies(middle)[number] <= target else (low, middle)
        return low

    def _latencies(self, rate: float) -> tuple[float, float]:
        served, in_service, in_system = self._state(rate)
        prefill = self._prefill(in_service)
        decode = (in_service / served - prefill) / self.tokens_out
        waiting = max(0.0, (in_system - in_service) / served)
        return waiting + prefill + decode, decode

    def _state(self, rate: float) -> tuple[float, float, float]:
        """Requests served (1/ms), in service and in the system, on average; ``p[n+1] = p[n] rate / service(n+1)``."""
        service = self._service()
        room = self.batch * (1 + QUEUE_PER_BATCH)
        each = np.concatenate([service, np.full(room - self.batch, service[-1])])
        logs = np.concatenate([[0.0], np.cumsum(math.log(rate) - np.log(each))])
        weights = np.exp(logs - logs.max())
        share = weights / weights.sum()
        number = np.arange(room + 1)
        return rate * (1.0 - float(share[-1])), float(share @ np.minimum(number, self.batch)), float(share @ number)

    def _service(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """Requests/ms served with 1, 2, ... in service."""
        number = np.arange(1, self.batch + 1)
        prefill = np.array([self._prefill(float(n)) for n in number])
        decode = np.array([self._iteration(float(n)) for n in number]) + self.beta + self.gamma * self._read
        return number / (prefill + self.tokens_out * decode)

    @property
    def _read(self) -> float:
        """Tokens of context that a decode step reads, on average."""
        return self.tokens_in + self.tokens_out / 2.0

    def _iteration(self, number: float) -> float:
        computed = (self.tokens_in + self.tokens_out) / (self.tokens_out + 1.0)
        return self.alpha + number * (self.beta * computed + self.gamma * self._read)

    def _prefill(self, number: float) -> float:
        if self.tokens_in == 0.0:
            return 0.0
        return self._iteration(number) + (self.beta + self.gamma) * self.tokens_in
