"""How slow engines are, from what they report: against the simulation of continuous batching, whose steps are known."""

import pytest

from atoll.domain.correction import EngineLoad
from atoll.domain.workload import Workload
from atoll.optimize.templates.observed import slowness
from atoll.performance.scaled import ScaledCosts
from optimize.templates.engine import Device, Served, simulate
from optimize.templates.test_simulated import CHAT, CODE, DENSE, EXPERTS, GENERATE, LAYERS


def load(device: Device, workload: Workload, rate: float) -> EngineLoad:
    """What the engine of one replica reports at so many requests/s."""
    seen = simulate([Served(device=device, layers=LAYERS)], workload, rate, requests=4000, hop_per_token=0.0)
    return EngineLoad(
        namespace="team-a",
        pod="chat-0",
        ended_at=0.0,
        seconds=600.0,
        running=seen.sequences,
        least_running=1.0,
        generated=rate * workload.output.mean,
        prompted=rate * workload.input.mean,
        kv_usage=0.5,
    )


@pytest.mark.parametrize(
    ("device", "workload", "rate", "most"),
    [
        pytest.param(DENSE, GENERATE, 0.93, 1.03, id="long answers"),
        pytest.param(DENSE, CHAT, 2.6, 1.06, id="chat, well loaded"),
        pytest.param(EXPERTS, CHAT, 3.9, 1.06, id="chat on experts"),
    ],
)
def test_an_engine_that_is_as_fast_as_estimated_seems_so(
    device: Device, workload: Workload, rate: float, most: float
) -> None:
    found = load(device, workload, rate)
    same = slowness(found, workload, LAYERS, device)
    assert same is not None
    assert 0.97 <= same <= most
    # The estimate is a fifth too fast: the engine seems slower by just that.
    fast = ScaledCosts(estimate=device, factor=1.0 / 1.25, source=device.source)
    assert slowness(found, workload, LAYERS, fast) == pytest.approx(1.25 * same)


def test_an_engine_that_mostly_prefills_tells_nothing() -> None:
    found = EngineLoad(
        namespace="team-a",
        pod="code-0",
        ended_at=0.0,
        seconds=600.0,
        running=12.0,
        least_running=1.0,
        generated=2.0 * CODE.output.mean,
        prompted=2.0 * CODE.input.mean,
        kv_usage=0.5,
    )
    assert slowness(found, CODE, LAYERS, DENSE) is None
