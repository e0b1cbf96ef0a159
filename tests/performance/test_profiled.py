"""Profiles win over estimates, reproduce what was measured, and touch nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.catalogue.architectures import architecture
from atoll.catalogue.gpus import gpu_kind
from atoll.domain.architecture import Quantisation
from atoll.domain.profile import PerformanceProfile, Phase, ProfilePoint
from atoll.domain.strategy import EngineName, PerformanceSource
from atoll.performance.estimate import ShippedPerformance
from atoll.performance.profiled import EXPECTED_ERROR, with_profiles
from atoll.performance.steps import StepCosts

ESTIMATES = ShippedPerformance()
PHI = architecture("microsoft/phi-4")
L40S = gpu_kind("L40S-48GB")
POINTS = (
    ProfilePoint(phase=Phase.PREFILL, sequences=1, tokens=512, seconds=0.09),
    ProfilePoint(phase=Phase.PREFILL, sequences=1, tokens=2048, seconds=0.4),
    ProfilePoint(phase=Phase.DECODE, sequences=1, tokens=1024, seconds=0.05),
    ProfilePoint(phase=Phase.DECODE, sequences=32, tokens=512, seconds=0.06),
    ProfilePoint(phase=Phase.DECODE, sequences=32, tokens=4096, seconds=0.09),
)


def profile(*points: ProfilePoint, **about: object) -> PerformanceProfile:
    known: dict[str, object] = {
        "name": "phi",
        "architecture": "Microsoft/phi-4",
        "gpu_kind": "L40S-48GB",
        "tp": 1,
        "quantisation": Quantisation.BF16,
        "engine": EngineName.VLLM,
        "points": points or POINTS,
    }
    return PerformanceProfile(**(known | about))  # type: ignore[arg-type]


def costs(*profiles: PerformanceProfile, tp: int = 1) -> StepCosts:
    known = with_profiles(ESTIMATES, profiles, PHI, EngineName.VLLM)
    return known.costs(PHI, L40S, tp, Quantisation.BF16)


def decode(found: StepCosts, batch: float, context: float) -> float:
    size = np.array([batch])
    return float((PHI.layers * found.decode_layer(size, context) + found.head(size))[0])


def test_every_measured_decode_step_is_reproduced() -> None:
    found = costs(profile())

    for point in POINTS:
        if point.phase is Phase.DECODE:
            layers = PHI.layers * found.decode_layer(np.array([float(point.sequences)]), float(point.tokens))[0]
            assert layers < point.seconds
            assert decode(found, point.sequences, point.tokens) == pytest.approx(point.seconds, rel=0.02)


def test_every_measured_prompt_is_reproduced() -> None:
    found = costs(profile())

    for point in POINTS:
        if point.phase is Phase.PREFILL:
            seconds = PHI.layers * found.prefill_layer(np.array([float(point.tokens)]))[0]
            assert seconds == pytest.approx(point.seconds, rel=0.03)  # the head is not in it


def test_the_source_is_the_profile_and_its_error_that_of_measurements() -> None:
    whole, half = costs(profile()), costs(profile(*POINTS[2:]))

    assert (whole.source, whole.expected_error) == (PerformanceSource.PROFILE, EXPECTED_ERROR)
    assert half.source is PerformanceSource.PROFILE
    assert half.expected_error == ESTIMATES.costs(PHI, L40S, 1, Quantisation.BF16).expected_error


@given(st.floats(0.5, 2.0), st.floats(1.0, 512.0), st.floats(64.0, 16000.0))
def test_one_point_scales_the_estimate_everywhere(factor: float, batch: float, context: float) -> None:
    estimate = ESTIMATES.costs(PHI, L40S, 1, Quantisation.BF16)
    seconds = decode(estimate, 8, 1024) * factor
    found = costs(profile(ProfilePoint(phase=Phase.DECODE, sequences=8, tokens=1024, seconds=seconds)))

    assert decode(found, batch, context) == pytest.approx(factor * decode(estimate, batch, context))
    prompt = np.array([700.0])
    assert found.prefill_layer(prompt) == pytest.approx(estimate.prefill_layer(prompt))


def test_no_more_is_saved_by_sharing_a_step_than_either_phase_takes() -> None:
    slow = replace(POINTS[0], seconds=2.0)
    found, estimate = costs(profile(slow, *POINTS[2:])), ESTIMATES.costs(PHI, L40S, 1, Quantisation.BF16)
    batch, tokens = np.array([8.0, 64.0]), np.array([512.0, 512.0])

    assert np.all(found.saved_layer(batch, tokens) <= estimate.saved_layer(batch, tokens) * 22.0)
    assert np.all(found.saved_layer(batch, tokens) <= found.prefill_layer(tokens))


@pytest.mark.parametrize(
    "other",
    [
        {"gpu_kind": "L4-24GB"},
        {"tp": 2},
        {"quantisation": Quantisation.FP8},
        {"engine": EngineName.SGLANG},
        {"architecture": "Qwen/Qwen3-32B"},
    ],
)
def test_a_profile_of_something_else_changes_nothing(other: dict[str, object]) -> None:
    assert costs(profile(**other)) == ESTIMATES.costs(PHI, L40S, 1, Quantisation.BF16)


def test_profiles_of_other_served_models_leave_the_source_itself_as_it_is() -> None:
    strangers = (profile(architecture="Qwen/Qwen3-32B"),)
    assert with_profiles(ESTIMATES, strangers, PHI, EngineName.VLLM) is ESTIMATES


def test_points_of_several_profiles_count_together_in_any_order() -> None:
    first, second = profile(*POINTS[:2], name="a"), profile(*POINTS[2:], name="b")
    known = with_profiles(ESTIMATES, (first, second), PHI, EngineName.VLLM)

    assert known == with_profiles(ESTIMATES, (second, first), PHI, EngineName.VLLM)
    assert hash(known) == hash(with_profiles(ESTIMATES, (second, first), PHI, EngineName.VLLM))
    batch = np.array([4.0])
    assert costs(first, second).decode_layer(batch, 900.0) == costs(profile()).decode_layer(batch, 900.0)
