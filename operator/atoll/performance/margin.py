"""Steps taken slower than estimated, so that a promised rate is reached with a stated probability.

The logarithm of a step's true time over its estimate is taken as normal about zero with the expected error as standard
deviation. A step is then no slower than ``exp(z x expected error)`` times its estimate with probability P, where z is
the P-quantile of the standard normal. Rates, TTFT and TPOT all follow from the slower steps, so the objectives are kept
with that probability too. Errors of replicas that are alike are the same error: having many of them helps nothing.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.gpu import GpuKind
from atoll.domain.strategy import EngineName
from atoll.performance.estimate import Performance
from atoll.performance.scaled import ScaledCosts
from atoll.performance.steps import StepCosts


def margin(expected_error: float, confidence: float) -> float:
    """Factor by which steps are taken slower, at least 1.

    Args:
        expected_error: of a step's seconds, 0.2 = 20 %.
        confidence: probability with which the steps are to be no slower, 0.5 to below 1.
    """
    return math.exp(max(NormalDist().inv_cdf(confidence), 0.0) * expected_error)


def cautious(base: Performance, confidence: float) -> Performance:
    """What is known, with the margin of each stage's expected error; ``base`` itself at a confidence of one half."""
    return CautiousPerformance(base=base, confidence=confidence) if confidence > 1.0 / 2.0 else base


@dataclass(frozen=True, slots=True, kw_only=True)
class CautiousPerformance:
    """What is known, with a margin.

    Attributes:
        base: what is known.
        confidence: probability with which steps are no slower than told here.
    """

    base: Performance
    confidence: float

    def costs(
        self,
        architecture: Architecture,
        kind: GpuKind,
        tp: int,
        quantisation: Quantisation,
        engine: EngineName = EngineName.VLLM,
    ) -> StepCosts:
        """Costs with the margin of their own expected error."""
        estimate = self.base.costs(architecture, kind, tp, quantisation, engine)
        factor = margin(estimate.expected_error, self.confidence)
        return ScaledCosts(estimate=estimate, factor=factor, source=estimate.source)
