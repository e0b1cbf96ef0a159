"""The rate model, term by term, and against aiconfigurator's own search on its own tables."""

import numpy as np
import pytest

from atoll.catalogue.architectures import architecture
from atoll.domain.strategy import EngineName, Limit, Stage, Strategy, Template
from atoll.domain.workload import Lengths, Objectives, Workload
from atoll.optimize.templates import templates_for
from atoll.optimize.templates.hops import hop_seconds
from atoll.optimize.templates.rate import Prefilling, first_token_passage, queueing, spread
from atoll.performance.estimate import ShippedPerformance
from optimize.templates.sample import demand

QWEN = architecture("Qwen/Qwen3-32B")
CHAT = Workload(input=Lengths(mean=1024.0, cv=0.0), output=Lengths(mean=256.0, cv=0.0), arrival_cv=0.05)


def one_stage(name: str, kind: str, tp: int, *, max_sequences: int = 1024, context: int = 8192) -> Strategy:
    served = architecture(name)
    return Strategy(
        engine=EngineName.VLLM,
        tp=tp,
        stages=(Stage(gpu_kind=kind, layers=served.layers),),
        quantisation=served.native,
        max_sequences=max_sequences,
        max_context=context,
    )


def rated(name: str, strategy: Strategy, workload: Workload, objectives: Objectives) -> Template:
    wanted = demand(architecture(name), objectives, workload)
    return templates_for(wanted, {}, ShippedPerformance(), always=(strategy,)).templates[0]


# Requests/s under TPOT 50 ms and TTFT 1 s at 1024 tokens in, 256 out: PyPI aiconfigurator 0.12.0 (Apache-2.0), vLLM.
AICONFIGURATOR = [
    ("meta-llama/Llama-3.1-8B-Instruct", "L40S-48GB", 1, 3.878),
    ("meta-llama/Llama-3.1-8B-Instruct", "L40S-48GB", 2, 6.877),
    ("meta-llama/Llama-3.1-8B-Instruct", "A100-80GB", 1, 8.756),
    ("Qwen/Qwen3-32B", "A100-80GB", 2, 2.613),
    ("Qwen/Qwen3-32B", "A100-80GB", 4, 6.372),
    ("Qwen/Qwen3-32B", "H100-80GB", 2, 10.392),
    ("Qwen/Qwen3-32B", "H100-80GB", 4, 19.17),
    ("meta-llama/Llama-3.1-70B-Instruct", "A100-80GB", 4, 2.133),
    ("meta-llama/Llama-3.1-70B-Instruct", "H100-80GB", 4, 9.002),
    ("meta-llama/Llama-3.1-70B-Instruct", "H100-80GB", 8, 15.096),
    ("openai/gpt-oss-120b", "L40S-48GB", 2, 3.506),
    ("openai/gpt-oss-120b", "L40S-48GB", 4, 2.671),
]


@pytest.mark.parametrize(("name", "kind", "tp", "requests"), AICONFIGURATOR)
def test_rates_agree_with_aiconfigurator(name: str, kind: str, tp: int, requests: float) -> None:
    objectives = Objectives(ttft_seconds=1.0, tpot_seconds=0.05, percentile=50.0)
    assert rated(name, one_stage(name, kind, tp), CHAT, objectives).rate == pytest.approx(requests, rel=0.13)


def test_little_holds() -> None:
    template = rated(
        QWEN.name, one_stage(QWEN.name, "H100-80GB", 4), CHAT, Objectives(ttft_seconds=9, tpot_seconds=0.05)
    )
    decoding = template.rate * CHAT.output.mean * template.tpot_seconds
    assert decoding < template.sequences < decoding * 1.1


def test_waiting_is_that_of_m_m_1() -> None:
    rate, service = np.array([0.8]), np.array([1.0])
    wait = queueing(rate, service, 2.0 * service**2, 1.0, 95.0)
    assert wait.mean[0] == pytest.approx(4.0)
    # P(W > t) = 0.8 exp(-0.2 t).
    assert wait.at_percentile[0] == pytest.approx(np.log(0.8 / 0.05) / 0.2)


def test_regular_arrivals_of_equal_prompts_do_not_wait() -> None:
    wait = queueing(np.array([0.9]), np.array([1.0]), np.array([1.0]), 0.0, 99.0)
    assert wait.mean[0] == pytest.approx(0.0)


def test_an_overloaded_queue_waits_for_ever() -> None:
    assert queueing(np.array([1.1]), np.array([1.0]), np.array([2.0]), 1.0, 50.0).mean[0] > 1e8


def test_chunks_follow_each_other_through_the_stages() -> None:
    # Two stages, 0.4 s each for a prompt of two chunks.
    prompt = Prefilling(mean=np.full((1, 2), 0.4), whole=np.full((1, 1), 0.8), slowest=np.full((1, 1), 0.4))
    passage = first_token_passage(prompt, np.array([0.01]), np.array([2.0]), np.array([4096.0]))
    # 0.2 + 0.2 for the first chunk, 0.2 more for the second behind it, and three slots' decode steps.
    assert passage[0, 0] == pytest.approx(0.6 + 3 * 0.01)


def test_a_pipeline_of_one_stage_hops_nowhere() -> None:
    seconds = hop_seconds(QWEN, np.array([1.0, 2.0]), np.array([2048.0, 2048.0]))
    assert seconds[0] == 0.0
    # 2,048 tokens x 5,120 x two tensors of two bytes over 10 Gbit/s, and the latency.
    assert seconds[1] == pytest.approx(2048 * 5120 * 4 / 1.25e9 + 0.5e-3)


def test_three_standard_deviations_are_held() -> None:
    assert spread(np.array([100.0]))[0] == 130.0


@pytest.mark.parametrize(
    ("kind", "tp", "workload", "objectives", "limit"),
    [
        ("H100-80GB", 4, CHAT, Objectives(ttft_seconds=9.0, tpot_seconds=0.03), Limit.TPOT),
        ("H100-80GB", 1, CHAT, Objectives(ttft_seconds=9.0, tpot_seconds=0.5), Limit.KV_MEMORY),
        (
            "A100-80GB",
            8,
            Workload(input=Lengths(mean=6000.0), output=Lengths(mean=20.0)),
            Objectives(ttft_seconds=3.0, tpot_seconds=0.5),
            Limit.TTFT,
        ),
        (
            "A100-80GB",
            8,
            Workload(input=Lengths(mean=6000.0), output=Lengths(mean=20.0)),
            Objectives(ttft_seconds=300.0, tpot_seconds=0.5),
            Limit.COMPUTE,
        ),
    ],
)
def test_limit_is_named(kind: str, tp: int, workload: Workload, objectives: Objectives, limit: Limit) -> None:
    assert rated(QWEN.name, one_stage(QWEN.name, kind, tp), workload, objectives).limit is limit


def test_admitted_sequences_limit_a_running_replica() -> None:
    objectives = Objectives(ttft_seconds=2.0, tpot_seconds=0.05)
    free = rated(QWEN.name, one_stage(QWEN.name, "H100-80GB", 4), CHAT, objectives)
    held = rated(QWEN.name, one_stage(QWEN.name, "H100-80GB", 4, max_sequences=16), CHAT, objectives)
    assert held.limit is Limit.SEQUENCES
    assert held.rate < free.rate / 3
    assert spread(np.array([held.sequences]))[0] == pytest.approx(16.0, rel=1e-3)


def test_looser_objectives_never_lower_the_rate() -> None:
    strategy = one_stage(QWEN.name, "A100-80GB", 4)
    workload = Workload(input=Lengths(mean=1155.0, cv=0.96), output=Lengths(mean=211.0, cv=0.77))
    rates = [
        rated(QWEN.name, strategy, workload, Objectives(ttft_seconds=0.3 * factor, tpot_seconds=0.03 * factor)).rate
        for factor in (1.0, 1.5, 2.0, 4.0, 8.0)
    ]
    assert rates[0] < rates[-1]
    assert rates == sorted(rates)


def test_burstier_arrivals_lower_the_rate_where_ttft_binds() -> None:
    strategy = one_stage(QWEN.name, "A100-80GB", 8)
    objectives = Objectives(ttft_seconds=2.0, tpot_seconds=0.5)
    calm, bursty = (
        rated(
            QWEN.name,
            strategy,
            Workload(input=Lengths(mean=4000.0), output=Lengths(mean=20.0), arrival_cv=cv),
            objectives,
        ).rate
        for cv in (1.0, 3.0)
    )
    assert bursty < 0.9 * calm


def test_prefix_hits_raise_the_rate() -> None:
    strategy = one_stage(QWEN.name, "A100-80GB", 8)
    objectives = Objectives(ttft_seconds=2.0, tpot_seconds=0.5)
    cold, warm = (
        rated(
            QWEN.name,
            strategy,
            Workload(input=Lengths(mean=4000.0), output=Lengths(mean=20.0), prefix_hit_rate=hits),
            objectives,
        ).rate
        for hits in (0.0, 0.5)
    )
    assert warm > 1.3 * cold
