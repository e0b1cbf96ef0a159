"""What engines report, held against the estimate."""

import numpy as np
import pytest

from atoll.catalogue.architectures import architecture
from atoll.catalogue.gpus import gpu_kind
from atoll.domain.architecture import Quantisation
from atoll.domain.correction import EngineLoad
from atoll.domain.strategy import PerformanceSource
from atoll.domain.workload import Lengths, Workload
from atoll.performance.estimate import ShippedPerformance
from atoll.performance.observed import slowness, with_corrections

PHI = architecture("microsoft/phi-4")
L40S = gpu_kind("L40S-48GB")
BASE = ShippedPerformance()
COSTS = BASE.costs(PHI, L40S, 1, Quantisation.BF16)
WORKLOAD = Workload(input=Lengths(mean=1000.0, cv=0.0), output=Lengths(mean=201.0, cv=0.0))


def load(factor: float, running: float = 16.0, share_of_prompts: float = 0.3) -> EngineLoad:
    """An engine whose steps take ``factor`` times as long as estimated, always busy, prompts taking a share of that."""
    at, tokens = np.array([running]), np.array([1000.0])
    prompt = float(PHI.layers * (COSTS.prefill_layer(tokens) - COSTS.saved_layer(at, tokens))[0])
    step = float(PHI.layers * COSTS.decode_layer(at, 1100.5)[0] + COSTS.head(at)[0])
    requests = share_of_prompts / prompt / factor
    steps = (1.0 - share_of_prompts) / step / factor
    return EngineLoad(
        namespace="n",
        pod="p",
        ended_at=0.0,
        seconds=600.0,
        running=running,
        least_running=1.0,
        generated=steps * running + requests,
        prompted=requests * 1000.0,
        kv_usage=0.5,
    )


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
@pytest.mark.parametrize("running", [4.0, 16.0, 64.0])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_how_much_slower_an_engine_is_follows_from_its_tokens(factor: float, running: float, share: float) -> None:
    assert slowness(load(factor, running, share), WORKLOAD, PHI.layers, COSTS) == pytest.approx(factor, rel=1e-6)


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
