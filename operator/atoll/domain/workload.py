"""The shape of a demand's requests and what each request must see."""

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How long prompts or answers are, in tokens, by mean and coefficient of variation.

    Where only moments are known the distribution is taken as log-normal, the usual fit to prompt lengths
    (ServeGen, arXiv 2505.09999, section 4).

    Attributes:
        mean: mean length, tokens.
        cv: standard deviation over mean.
    """

    mean: float
    cv: float = 1.0

    @property
    def second_moment(self) -> float:
        """E[X^2], tokens squared."""
        return self.mean**2 * (1.0 + self.cv**2)

    def quantile(self, share: float) -> float:
        """Length that a share (0 to 1, exclusive) of requests does not exceed, tokens."""
        if self.cv <= 0.0:
            return self.mean
        variance = math.log(1.0 + self.cv**2)
        return self.mean * math.exp(NormalDist().inv_cdf(share) * math.sqrt(variance) - variance / 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Prompt and answer lengths of a demand's requests.

    Attributes:
        input: prompt lengths.
        output: answer lengths.
        prefix_hit_rate: share of prompt tokens found in the prefix cache, 0 to 1: saves prefill arithmetic only.
        arrival_cv: coefficient of variation of the time between requests; 1 is Poisson.
    """

    input: Lengths
    output: Lengths
    prefix_hit_rate: float = 0.0
    arrival_cv: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLengths:
    """How long a demand's requests were lately.

    Attributes:
        requests: of which this is known.
        input: mean prompt, tokens.
        output: mean answer, tokens.
    """

    requests: float
    input: float
    output: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """What a request must see.

    Attributes:
        ttft_seconds: time to first token, seconds.
        tpot_seconds: time per output token, seconds.
        percentile: share of requests, percent, that must see it.
    """

    ttft_seconds: float
    tpot_seconds: float
    percentile: float = 95.0
