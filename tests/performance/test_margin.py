"""The margin for the estimates' errors: steps are slower by what follows from them, and rates by at least as much."""

import math

import numpy as np
import pytest

from atoll.catalogue.architectures import architecture
from atoll.catalogue.gpus import gpu_kind
from atoll.domain.architecture import Quantisation
from atoll.optimize.templates import templates_for
from atoll.performance.estimate import ShippedPerformance
from atoll.performance.margin import cautious, margin
from optimize.templates.sample import WIDTHS, coral_demand

ESTIMATES = ShippedPerformance()
PHI = architecture("microsoft/phi-4")
ONE = np.array([1.0])


@pytest.mark.parametrize(("confidence", "deviations"), [(0.5, 0.0), (0.8413447, 1.0), (0.9772499, 2.0)])
def test_the_margin_is_so_many_expected_errors_as_the_confidence_is_deviations(
    confidence: float, deviations: float
) -> None:
    assert margin(0.2, confidence) == pytest.approx(math.exp(0.2 * deviations), rel=1e-5)


def test_steps_are_no_slower_than_told_with_the_stated_probability() -> None:
    truth = np.exp(0.3 * np.random.default_rng(0).standard_normal(200_000))
    assert (truth <= margin(0.3, 0.8)).mean() == pytest.approx(0.8, abs=0.005)


def test_all_steps_of_a_kind_are_slower_by_the_margin_of_its_error() -> None:
    for name in ("H100-80GB", "A10G-24GB"):
        plain = ESTIMATES.costs(PHI, gpu_kind(name), 1, Quantisation.BF16)
        slow = cautious(ESTIMATES, 0.8).costs(PHI, gpu_kind(name), 1, Quantisation.BF16)
        factor = margin(plain.expected_error, 0.8)
        assert (slow.source, slow.expected_error) == (plain.source, plain.expected_error)
        assert slow.prefill_layer(1000 * ONE) == pytest.approx(factor * plain.prefill_layer(1000 * ONE))
        assert slow.decode_layer(8 * ONE, 500.0) == pytest.approx(factor * plain.decode_layer(8 * ONE, 500.0))
        assert slow.saved_layer(8 * ONE, 500 * ONE) == pytest.approx(factor * plain.saved_layer(8 * ONE, 500 * ONE))
        assert slow.head(8 * ONE) == pytest.approx(factor * plain.head(8 * ONE))


def test_without_a_margin_nothing_changes() -> None:
    assert cautious(ESTIMATES, 0.5) is ESTIMATES


def test_a_promised_rate_is_delivered_when_steps_are_as_slow_as_the_margin() -> None:
    """Rates fall by the margin at least: the objectives, which do not grow, bind earlier."""
    wanted = coral_demand("microsoft/phi-4")
    promised = templates_for(wanted, WIDTHS, cautious(ESTIMATES, 0.8)).templates
    estimated = {t.strategy.stages: t for t in templates_for(wanted, WIDTHS, ESTIMATES).templates}
    both = [(t, estimated[t.strategy.stages]) for t in promised if t.strategy.stages in estimated]
    assert both
    for careful, plain in both:
        assert careful.rate <= plain.rate / margin(min(0.15, plain.expected_error), 0.8)
        assert careful.tpot_seconds <= wanted.objectives.tpot_seconds
        assert careful.ttft_seconds <= wanted.objectives.ttft_seconds
