"""Estimates corrected by what engines report."""

import numpy as np
import pytest

from atoll.catalogue.architectures import architecture
from atoll.catalogue.gpus import gpu_kind
from atoll.domain.architecture import Quantisation
from atoll.domain.strategy import PerformanceSource
from atoll.performance.estimate import ShippedPerformance
from atoll.performance.observed import with_corrections

PHI = architecture("microsoft/phi-4")
L40S = gpu_kind("L40S-48GB")
BASE = ShippedPerformance()
COSTS = BASE.costs(PHI, L40S, 1, Quantisation.BF16)


def test_corrected_steps_take_so_many_times_as_long_and_say_so() -> None:
    known = with_corrections(BASE, {L40S.name: 1.1})
    costs, at, tokens = known.costs(PHI, L40S, 1, Quantisation.BF16), np.array([8.0]), np.array([512.0])
    assert costs.source is PerformanceSource.OBSERVED
    assert costs.expected_error == COSTS.expected_error
    for corrected, plain in (
        (costs.decode_layer(at, 1024.0), COSTS.decode_layer(at, 1024.0)),
        (costs.prefill_layer(tokens), COSTS.prefill_layer(tokens)),
        (costs.saved_layer(at, tokens), COSTS.saved_layer(at, tokens)),
        (costs.head(at), COSTS.head(at)),
    ):
        assert corrected == pytest.approx(1.1 * plain)
    other = gpu_kind("H100-80GB")
    assert known.costs(PHI, other, 1, Quantisation.BF16).source is not PerformanceSource.OBSERVED


def test_no_correction_is_what_is_known_itself() -> None:
    assert with_corrections(BASE, {}) is BASE
    assert with_corrections(BASE, {L40S.name: 1.0}) is BASE
