"""The rate model, term by term, and against aiconfigurator's own search on its own tables."""

import numpy as np
import pytest

from atoll.catalogue.architectures import architecture
from atoll.domain.strategy import EngineName, Limit, Stage, Strategy, Template
from atoll.domain.workload import Lengths, Objectives, Workload
from atoll.optimize.templates import templates_for
from atoll.optimize.templates.hops import hop_seconds
from atoll.optimize.templates.queueing import Service, Wait, log_normal_at, queueing
from atoll.optimize.templates.rate import spread
from atoll.optimize.templates.tails import share_beyond, tpot_at
from atoll.performance.estimate import KernelPerformance
from optimize.templates.sample import demand

QWEN = architecture("Qwen/Qwen3-32B")
CHAT = Workload(input=Lengths(mean=1024.0, cv=0.0), output=Lengths(mean=256.0, cv=0.0), arrival_cv=0.05)


def one_stage(name: str, kind: str, tp: int, *, max_sequences: int = 1024, context: int = 32768) -> Strategy:
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
    return templates_for(wanted, {}, KernelPerformance(), always=(strategy,)).templates[0]


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
    decoding = template.rate * (CHAT.output.mean - 1.0) * template.tpot_seconds
    # The mean is a little below the percentile that the template tells.
    assert 0.8 * decoding < template.sequences < decoding * 1.1


def waiting(
    rate: float, mean: float, square: float, *, first: tuple[float, float] | None = None, arrival_cv: float = 1.0
) -> Wait:
    behind = Service(mean=np.array([mean]), square=np.array([square]))
    alone = Service(mean=np.array([first[0]]), square=np.array([first[1]])) if first else behind
    return queueing(np.array([rate]), behind, alone, arrival_cv)


def test_waiting_is_that_of_m_m_1() -> None:
    assert waiting(0.8, 1.0, 2.0).mean[0] == pytest.approx(4.0)


def test_waiting_varies_as_in_m_d_1() -> None:
    wait = waiting(0.8, 1.0, 1.0)
    assert wait.mean[0] == pytest.approx(2.0)
    # Takacs: mean^2 + rate E[S^3] / (3 (1 - u)).
    assert wait.variance[0] == pytest.approx(4.0 + 0.8 / 0.6)


def test_a_first_prompt_that_takes_longer_makes_others_wait() -> None:
    # Welch: 0.4 x (4 - 1) / (2 (1 + 0.4 (2 - 1))) beside 0.4 / (2 x 0.6).
    assert waiting(0.4, 1.0, 1.0, first=(2.0, 4.0)).mean[0] == pytest.approx(0.4 / 1.2 + 1.2 / 2.8)


def test_regular_arrivals_of_equal_prompts_do_not_wait() -> None:
    assert waiting(0.9, 1.0, 1.0, arrival_cv=0.0).mean[0] == pytest.approx(0.0)


def test_an_overloaded_queue_waits_for_ever() -> None:
    assert waiting(1.1, 1.0, 2.0).mean[0] > 1e8


def test_a_percentile_of_what_does_not_vary_is_the_mean() -> None:
    assert log_normal_at(np.array([0.4]), np.array([0.0]), 95.0)[0] == pytest.approx(0.4)
    assert log_normal_at(np.array([1.0]), np.array([1.0]), 95.0)[0] == pytest.approx(
        Lengths(mean=1.0, cv=1.0).quantile(0.95)
    )


def test_tails_of_equal_answers_are_normal() -> None:
    steps, mean, deviation = np.array([100.0]), np.array([[0.05]]), np.array([[0.01]])
    for z, beyond in ((0.0, 0.5), (1.0, 0.158655), (1.644854, 0.05), (2.326348, 0.01)):
        assert share_beyond(0.05 + z * 0.01, mean, deviation, steps)[0] == pytest.approx(beyond, abs=2e-4)
    assert tpot_at(mean, deviation, steps, 95.0)[0] == pytest.approx(0.05 + 1.645 * 0.01, rel=1e-3)


def test_answers_of_one_token_have_no_tpot() -> None:
    steps, mean, deviation = np.array([0.0, 0.0, 50.0]), np.full((3, 1), 0.05), np.full((3, 1), 0.001)
    assert share_beyond(0.04, mean, deviation, steps)[0] == pytest.approx(1 / 3)
    assert tpot_at(mean, deviation, steps, 50.0)[0] == 0.0


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


def test_a_stricter_percentile_lowers_the_rate_where_tpot_binds() -> None:
    strategy = one_stage(QWEN.name, "H100-80GB", 4)
    workload = Workload(input=Lengths(mean=1155.0, cv=0.96), output=Lengths(mean=211.0, cv=0.77))
    found = [
        rated(QWEN.name, strategy, workload, Objectives(ttft_seconds=9.0, tpot_seconds=0.04, percentile=percentile))
        for percentile in (50.0, 90.0, 99.0)
    ]
    assert {template.limit for template in found} == {Limit.TPOT}
    assert [template.tpot_seconds for template in found] == pytest.approx([0.04] * 3, rel=1e-3)
    half, most, nearly_all = (template.rate for template in found)
    assert nearly_all < 0.97 * most < 0.97 * 0.98 * half


def test_short_prompts_share_steps() -> None:
    strategy = one_stage(QWEN.name, "H100-80GB", 4)
    objectives = Objectives(ttft_seconds=2.0, tpot_seconds=0.2)
    few, many = (
        rated(
            QWEN.name,
            strategy,
            Workload(input=Lengths(mean=mean, cv=0.0), output=Lengths(mean=1.0, cv=0.0)),
            objectives,
        ).rate
        for mean in (16.0, 512.0)
    )
    # A step takes 2,048 prompt tokens at once; the fewer each prompt has, the more prompts it takes.
    assert few == pytest.approx(32 * many, rel=0.35)


@pytest.mark.parametrize("hits", [0.99, 1.0])
@pytest.mark.parametrize("arrival_cv", [0.0, 1.0, 20.0])
@pytest.mark.parametrize("answer", [1.0, 1.5, 200.0])
@pytest.mark.filterwarnings("error")
def test_extreme_workloads_are_rated_without_warnings(hits: float, arrival_cv: float, answer: float) -> None:
    workload = Workload(
        input=Lengths(mean=1000.0),
        output=Lengths(mean=answer),
        prefix_hit_rate=hits,
        arrival_cv=arrival_cv,
    )
    wanted = demand(QWEN, Objectives(ttft_seconds=2.0, tpot_seconds=0.1), workload)
    found = templates_for(wanted, {"H100-80GB": 8, "L40S-48GB": 4}, KernelPerformance())
    for template in found.templates:
        assert np.isfinite([template.rate, template.ttft_seconds, template.tpot_seconds, template.sequences]).all()


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
