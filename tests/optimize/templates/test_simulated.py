"""The rate model against a discrete-event simulation of continuous batching, at the rate that the model calls largest.

Each case names what the model says there over what the simulation shows: TTFT and TPOT at the objectives' percentile,
mean TPOT and mean sequences in flight. The bounds are those of a first-order model, and one-sided errors show in them.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from atoll.domain.strategy import Limit
from atoll.domain.workload import Lengths, Objectives, Workload
from atoll.optimize.templates.phases import NETWORK_BYTES_PER_GPU, phase_tasks, transferred_bytes
from optimize.templates.engine import Dealt, Device, Served, simulate, simulate_pair
from optimize.templates.modelled import HOP_PER_TOKEN, SERVED, modelled

DENSE = Device(read=0.30e-3, token=1.0e-6, attention=6e-11, kv=1.0e-8)
QUICK = Device(read=0.17e-3, token=0.5e-6, attention=3e-11, kv=0.6e-8)
SLOW = Device(read=0.60e-3, token=4.0e-6, attention=2e-10, kv=2.0e-8)
EXPERTS = Device(read=0.80e-3, token=0.3e-6, attention=6e-11, kv=0.5e-8, experts=128, visited=4)
ONE_BY_ONE = replace(DENSE, sequence=100e-6)
DEALT = Dealt(read=1.6e-3, token=0.8e-6, attention=6e-11, kv=0.5e-8, experts=128, visited=8)
LAYERS = 64


def pipeline(device: Device, stages: int = 1) -> list[Served]:
    return [Served(device=device, layers=LAYERS // stages)] * stages


def workload(
    prompt: float, answer: float, *, cvs: tuple[float, float] = (0.96, 0.77), hits: float = 0.0, arrival_cv: float = 1.0
) -> Workload:
    return Workload(
        input=Lengths(mean=prompt, cv=cvs[0]),
        output=Lengths(mean=answer, cv=cvs[1]),
        prefix_hit_rate=hits,
        arrival_cv=arrival_cv,
    )


CHAT = workload(1155.0, 211.0)
CODE = workload(2048.0, 28.0, cvs=(0.96, 2.15))
LONG = workload(8000.0, 300.0, cvs=(0.8, 0.8))
GENERATE = workload(200.0, 800.0, cvs=(0.6, 0.6))
SHORT = workload(50.0, 30.0, cvs=(0.5, 0.5))
CLASSIFY = workload(600.0, 1.0, cvs=(0.7, 0.0))
TINY = workload(30.0, 1.0, cvs=(0.5, 0.0))


@dataclass(frozen=True)
class Case:
    stages: list[Served]
    workload: Workload
    ttft: float
    tpot: float
    percentile: float = 95.0
    requests: int = 5000


CASES = {
    "chat within a tight TPOT": Case(pipeline(DENSE), CHAT, 0.6, 0.04),
    "chat within a loose TPOT": Case(pipeline(DENSE), CHAT, 5.0, 0.06),
    "chat within TTFT": Case(pipeline(DENSE), CHAT, 0.8, 0.5),
    "half of chat": Case(pipeline(DENSE), CHAT, 1.0, 0.06, 50.0),
    "nearly all of chat": Case(pipeline(DENSE), CHAT, 3.0, 0.08, 99.0),
    "chat on a slow device": Case(pipeline(SLOW), CHAT, 4.0, 0.15),
    "chat on experts": Case(pipeline(EXPERTS), CHAT, 1.0, 0.09),
    "chat on an engine that takes sequences one by one": Case(pipeline(ONE_BY_ONE), CHAT, 1.0, 0.06),
    "chat over two stages": Case(pipeline(DENSE, 2), CHAT, 1.0, 0.06),
    "chat over four stages": Case(pipeline(DENSE, 4), CHAT, 1.0, 0.08),
    "chat on experts over two stages": Case(pipeline(EXPERTS, 2), CHAT, 1.0, 0.12),
    "code": Case(pipeline(DENSE), CODE, 1.5, 0.1, 90.0),
    "half of code": Case(pipeline(DENSE), CODE, 1.0, 0.06, 50.0),
    "long prompts": Case(pipeline(DENSE), LONG, 6.0, 0.1),
    "long answers": Case(pipeline(DENSE), GENERATE, 1.0, 0.04),
    "short prompts": Case(pipeline(DENSE), SHORT, 0.3, 0.06),
    "one token": Case(pipeline(DENSE), CLASSIFY, 0.5, 0.1),
    "prompts in the prefix cache": Case(pipeline(DENSE), workload(4000.0, 100.0, cvs=(0.8, 0.8), hits=0.9), 1.0, 0.06),
    "chat, decode alone": Case(pipeline(DENSE), workload(1155.0, 211.0, hits=1.0), 0.1, 0.04),
    "code, decode alone": Case(pipeline(DENSE), workload(2048.0, 28.0, cvs=(0.96, 2.15), hits=1.0), 0.06, 0.03),
    "half of long prompts in the prefix cache": Case(
        pipeline(DENSE), workload(8000.0, 200.0, cvs=(0.8, 0.8), hits=0.5), 4.0, 0.1
    ),
    "chat on experts that are dealt out to eight GPUs": Case(pipeline(DEALT), CHAT, 1.5, 0.12, requests=2500),
    "chat over three kinds": Case(
        [Served(device=SLOW, layers=9), Served(device=DENSE, layers=20), Served(device=QUICK, layers=35)],
        CHAT,
        1.2,
        0.08,
    ),
    "chat over uneven stages of two kinds": Case(
        [Served(device=SLOW, layers=11)] * 2 + [Served(device=QUICK, layers=42)], CHAT, 1.2, 0.1
    ),
    "code, prefill alone": Case(pipeline(DENSE), workload(2048.0, 1.0, cvs=(0.96, 0.0)), 1.0, 0.03),
    "regular arrivals": Case(pipeline(DENSE), workload(1155.0, 211.0, cvs=(0.0, 0.0), arrival_cv=0.2), 1.0, 0.06),
}


@pytest.mark.parametrize("name", CASES)
def test_requests_see_what_the_model_says(name: str) -> None:
    case = CASES[name]
    objectives = Objectives(ttft_seconds=case.ttft, tpot_seconds=case.tpot, percentile=case.percentile)
    best = modelled(case.stages, case.workload, objectives)
    assert best.feasible[0]
    operation = best.operation
    seen = simulate(
        case.stages,
        case.workload,
        float(operation.rate[0]),
        requests=case.requests,
        hop_per_token=HOP_PER_TOKEN,
        seed=7,
    )
    assert float(operation.ttft[0]) == pytest.approx(np.percentile(seen.ttft, case.percentile), rel=0.35)
    if len(seen.tpot):
        assert float(best.tpot[0]) == pytest.approx(np.percentile(seen.tpot, case.percentile), rel=0.35)
        assert float(operation.tpot.mean()) == pytest.approx(seen.tpot.mean(), rel=0.2)
        assert float(operation.sequences[0]) == pytest.approx(seen.sequences, rel=0.3)


def test_one_token_answers_share_steps_up_to_the_budget() -> None:
    objectives = Objectives(ttft_seconds=0.3, tpot_seconds=0.1)
    best = modelled(pipeline(DENSE), TINY, objectives)
    rate = float(best.operation.rate[0])
    assert best.limit == (Limit.COMPUTE,)

    def within(share: float) -> bool:
        seen = simulate(pipeline(DENSE), TINY, rate * share, requests=40000, hop_per_token=HOP_PER_TOKEN)
        return bool(np.percentile(seen.ttft, 95.0) <= objectives.ttft_seconds)

    assert within(1.0)
    assert not within(1.2)


def test_a_pipeline_never_gets_more_crowded_than_it_stands() -> None:
    # vLLM leaves micro-batches uneven: long answers over four stages collapse into one micro-batch at a rate at which
    # balanced ones would still keep the objective with ease.
    objectives = Objectives(ttft_seconds=1.0, tpot_seconds=0.06)
    stages = pipeline(DENSE, 4)
    best = modelled(stages, GENERATE, objectives)
    rate = float(best.operation.rate[0])
    assert best.limit == (Limit.COMPUTE,)
    kept = simulate(stages, GENERATE, rate, requests=4000, hop_per_token=HOP_PER_TOKEN)
    assert np.percentile(kept.tpot, 95.0) <= objectives.tpot_seconds
    collapsed = simulate(stages, GENERATE, 2.2 * rate, requests=4000, hop_per_token=HOP_PER_TOKEN)
    assert collapsed.tpot.mean() > 3.0 * objectives.tpot_seconds


@pytest.mark.parametrize("shape", [CHAT, CODE, workload(3000.0, 60.0, cvs=(0.6, 0.9), hits=0.3)])
def test_a_pair_keeps_the_objectives_at_the_lesser_rate_of_both_sides(shape: Workload) -> None:
    objectives = Objectives(ttft_seconds=4.0, tpot_seconds=0.05, percentile=90.0)
    first, then = phase_tasks(SERVED, shape, objectives, ((1, 1),))
    sides = ([Served(device=QUICK, layers=LAYERS)], [Served(device=DENSE, layers=LAYERS)])
    wire = transferred_bytes(SERVED, 1.0, 1) / NETWORK_BYTES_PER_GPU
    rates = [
        min(float(best.operation.rate[0]), task.most_rate)
        for task, stages in zip((first, then), sides, strict=True)
        for best in [modelled(stages, task.workload, task.objectives)]
    ]

    def within(rate: float) -> bool:
        seen = simulate_pair(*sides, shape, rate, requests=4000, wire=wire)
        late = (seen.ttft > objectives.ttft_seconds).mean() + (seen.tpot > objectives.tpot_seconds).mean()
        return bool(late <= 0.1)

    assert within(min(rates))
    assert not within(3.0 * max(rates))
