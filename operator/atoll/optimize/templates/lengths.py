"""What the rate model needs of request lengths: quadratures, resident tokens, context limit."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atoll.domain.architecture import Architecture
from atoll.domain.workload import Lengths, Workload

Array = NDArray[np.float64]
NODES = 7
ANSWERS = 10
"""Equally likely answer lengths over which the percentile of TPOT is taken."""
LONGEST_SHARE = 0.999
"""Share of requests whose prompt and answer must fit into the context limit."""
SHORTEST_CONTEXT = 2048


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prompts:
    """Prompt lengths at which prefill is evaluated.

    Attributes:
        tokens: lengths, tokens.
        computed: tokens of them that the prefix cache does not hold; at least the last one, which gives the answer.
        weights: of the quadrature.
    """

    tokens: Array
    computed: Array
    weights: Array

    @property
    def mean_computed(self) -> float:
        """Mean tokens of a prompt that are computed."""
        return float(self.computed @ self.weights)


def prompts(workload: Workload) -> Prompts:
    """Gauss-Hermite quadrature of the log-normal prompt length, exact in its low moments."""
    points, weights = np.polynomial.hermite_e.hermegauss(NODES)
    variance = math.log(1.0 + workload.input.cv**2)
    tokens = np.maximum(workload.input.mean * np.exp(points * math.sqrt(variance) - variance / 2.0), 1.0)
    return Prompts(
        tokens=tokens,
        computed=np.maximum(tokens * (1.0 - workload.prefix_hit_rate), 1.0),
        weights=weights / weights.sum(),
    )


def decode_steps(workload: Workload) -> float:
    """Mean decode steps of a request: the first token comes from prefill."""
    return max(workload.output.mean - 1.0, 0.0)


def answer_steps(lengths: Lengths) -> Array:
    """Decode steps of equally likely answers, from short to long; 0 where there is but one token and so no TPOT."""
    shares = (np.arange(ANSWERS) + 0.5) / ANSWERS
    return np.array([max(round(lengths.quantile(float(share))) - 1.0, 0.0) for share in shares])


def resident_tokens(workload: Workload) -> float:
    """Mean tokens of a sequence while it decodes: (E[I O] + E[O^2] / 2) / E[O], lengths independent.

    Longer answers are resident for longer, so the mean over time is not the mean over requests.
    """
    return workload.input.mean + workload.output.second_moment / (2.0 * workload.output.mean)


def resident_cv2(workload: Workload) -> float:
    """Squared coefficient of variation of the tokens of sequences that decode, as seen at one moment.

    A long answer is seen for longer, at a place spread evenly over it: moments E[O^2] / 2 E[O] and E[O^3] / 3 E[O].
    """
    answer = workload.output
    mean = answer.mean * (1.0 + answer.cv**2) / 2.0
    square = answer.mean**2 * (1.0 + answer.cv**2) ** 3 / 3.0
    variance = (workload.input.cv * workload.input.mean) ** 2 + square - mean**2
    return variance / resident_tokens(workload) ** 2


def request_tokens(workload: Workload, percentile: float) -> float:
    """Tokens of prompt and answer that a percentile of requests does not exceed, the two lengths independent.

    Spreads of prompt and answer about their means add as roots of squares.
    """
    share = min(max(percentile, 0.01), 99.99) / 100.0
    above = [lengths.quantile(share) - lengths.mean for lengths in (workload.input, workload.output)]
    spread = math.copysign(math.hypot(*above), sum(above))
    return max(workload.input.mean + workload.output.mean + spread, 1.0)


def context_limit(workload: Workload, architecture: Architecture) -> int:
    """Longest context admitted, tokens: all but the longest requests, rounded up to a power of two."""
    longest = workload.input.quantile(LONGEST_SHARE) + workload.output.quantile(LONGEST_SHARE)
    rounded = 1 << math.ceil(math.log2(max(longest, SHORTEST_CONTEXT)))
    return min(rounded, architecture.max_context)
