"""What the rate model needs of request lengths: quadrature of the prompt length, resident tokens, context limit."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atoll.domain.architecture import Architecture
from atoll.domain.workload import Lengths, Workload

Array = NDArray[np.float64]
NODES = 7
LONGEST_SHARE = 0.999
"""Share of requests whose prompt and answer must fit into the context limit."""
SHORTEST_CONTEXT = 2048


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prompts:
    """Prompt lengths at which prefill is evaluated: quadrature nodes, then the mean, then the objectives' percentile.

    Attributes:
        tokens: lengths, tokens.
        weights: of the quadrature; zero for the last two.
    """

    tokens: Array
    weights: Array


def prompts(lengths: Lengths, percentile: float) -> Prompts:
    """Gauss-Hermite quadrature of the log-normal prompt length, exact in its low moments.

    Args:
        lengths: of prompts.
        percentile: of the objectives, percent.
    """
    points, weights = np.polynomial.hermite_e.hermegauss(NODES)
    variance = math.log(1.0 + lengths.cv**2)
    nodes = lengths.mean * np.exp(points * math.sqrt(variance) - variance / 2.0)
    stated = [lengths.mean, lengths.quantile(min(max(percentile, 0.01), 99.99) / 100.0)]
    return Prompts(
        tokens=np.concatenate([nodes, stated]),
        weights=np.concatenate([weights / weights.sum(), [0.0, 0.0]]),
    )


def resident_tokens(workload: Workload) -> float:
    """Mean tokens of a sequence while it decodes: (E[I O] + E[O^2] / 2) / E[O], lengths independent.

    Longer answers are resident for longer, so the mean over time is not the mean over requests.
    """
    return workload.input.mean + workload.output.second_moment / (2.0 * workload.output.mean)


def context_limit(workload: Workload, architecture: Architecture) -> int:
    """Longest context admitted, tokens: all but the longest requests, rounded up to a power of two."""
    longest = workload.input.quantile(LONGEST_SHARE) + workload.output.quantile(LONGEST_SHARE)
    rounded = 1 << math.ceil(math.log2(max(longest, SHORTEST_CONTEXT)))
    return min(rounded, architecture.max_context)
