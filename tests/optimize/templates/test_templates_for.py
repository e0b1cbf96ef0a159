"""Templates of a demand: what they hold, that they stand still, and what is said where there are none."""

from dataclasses import replace
from pathlib import Path

import pytest

from atoll.catalogue.architectures import architecture
from atoll.catalogue.coral import coral_configs
from atoll.catalogue.gpus import gpu_kind
from atoll.domain.architecture import Quantisation
from atoll.domain.demand import Placement
from atoll.domain.engineterms import TERMS
from atoll.domain.reason import Reason
from atoll.domain.startup import Starts
from atoll.domain.strategy import EngineName, PerformanceSource, Stage, Strategy, Template
from atoll.domain.workload import Lengths, Objectives
from atoll.optimize.templates import templates_for
from atoll.optimize.templates.generate import _templates
from atoll.optimize.templates.startup import start_phases
from atoll.performance.estimate import ShippedPerformance
from atoll.performance.memory import kv_bytes, layer_bytes, room_bytes
from golden import assert_golden
from optimize.templates.sample import CORAL, WIDTHS, coral_demand

ESTIMATES = ShippedPerformance()
GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", CORAL)
def test_templates_keep_objectives_memory_and_layers(name: str) -> None:
    wanted = coral_demand(name)
    a = wanted.architecture
    found = templates_for(wanted, WIDTHS, ESTIMATES)
    assert found.fault is None
    assert found.templates
    for template in found.templates:
        strategy = template.strategy
        assert sum(stage.layers for stage in strategy.stages) == a.layers
        assert min(stage.layers for stage in strategy.stages) >= 1
        assert a.heads % strategy.tp == 0
        assert template.rate > 0.0
        assert template.ttft_seconds <= wanted.objectives.ttft_seconds
        assert template.tpot_seconds <= wanted.objectives.tpot_seconds
        assert template.sequences < strategy.max_sequences
        assert strategy.max_sequences & (strategy.max_sequences - 1) == 0
        assert set(template.sources) == set(strategy.need)
        for stage in strategy.stages:
            kv = max(
                kv_bytes(a, strategy.tp, strategy.max_context),
                template.sequences * kv_bytes(a, strategy.tp, wanted.workload.input.mean),
            )
            held = stage.layers * (layer_bytes(a, strategy.quantisation, strategy.tp) + kv)
            assert held <= room_bytes(a, gpu_kind(stage.gpu_kind), strategy.tp, TERMS[strategy.engine])


def test_coral_six_in_a_table() -> None:
    prices: dict[str, float] = {}
    for config in coral_configs("us-east-2"):
        each = config.price_per_hour / config.config.count
        prices[config.config.kind] = min(each, prices.get(config.config.kind, each))

    def dollars(template: Template) -> float:
        need = template.strategy.need
        return sum(prices[kind] * stages * template.strategy.tp for kind, stages in need.items()) / template.rate

    lines = []
    for name in CORAL:
        best = min(templates_for(coral_demand(name), WIDTHS, ESTIMATES).templates, key=dollars)
        lines.append(
            f"{name}: {dollars(best):.3g} $/h per request/s, {best.rate:.3g} request/s, {best.limit}, {best.strategy}\n"
        )
    assert_golden(GOLDEN / "coral_six.txt", "".join(lines))


def test_the_rate_of_a_demand_does_not_matter() -> None:
    slow, fast = (coral_demand("Qwen/Qwen3-32B", rate=rate) for rate in (0.01, 4000.0))
    assert templates_for(slow, WIDTHS, ESTIMATES) is templates_for(fast, WIDTHS, ESTIMATES)


def test_the_same_question_has_the_same_answer() -> None:
    wanted = coral_demand("openai/gpt-oss-20b")
    first = templates_for(wanted, WIDTHS, ESTIMATES)
    _templates.cache_clear()
    again = templates_for(wanted, dict(reversed(WIDTHS.items())), ESTIMATES)
    assert again == first
    assert [template.strategy.id for template in again.templates] == [t.strategy.id for t in first.templates]


def test_placement_limits_the_kinds() -> None:
    wanted = replace(coral_demand("microsoft/phi-4"), placement=Placement(gpu_kinds=frozenset({"A100-80GB"})))
    found = templates_for(wanted, WIDTHS, ESTIMATES).templates
    assert {kind for template in found for kind in template.strategy.need} == {"A100-80GB"}


def test_no_stage_is_wider_than_the_largest_node() -> None:
    strict = replace(coral_demand("Qwen/Qwen3-32B"), objectives=Objectives(ttft_seconds=1.0, tpot_seconds=0.04))
    found = templates_for(strict, {"H100-80GB": 2, "A100-80GB": 4}, ESTIMATES).templates
    assert max(t.strategy.tp for t in found if "H100-80GB" in t.strategy.need) == 2
    assert max(t.strategy.tp for t in found) == 4


def test_two_kinds_share_a_pipeline_with_uneven_layers() -> None:
    found = templates_for(coral_demand("Qwen/Qwen3-32B"), WIDTHS, ESTIMATES).templates
    mixed = [t for t in found if set(t.strategy.need) == {"L40S-48GB", "H100-80GB"}]
    assert mixed
    for template in mixed:
        slow = max(s.layers for s in template.strategy.stages if s.gpu_kind == "L40S-48GB")
        assert slow < max(s.layers for s in template.strategy.stages if s.gpu_kind == "H100-80GB")
        assert len(template.sources) == 2


def test_source_is_roofline_where_there_is_no_table() -> None:
    found = templates_for(coral_demand("openai/gpt-oss-120b"), {"A10G-24GB": 8, "L40S-48GB": 8}, ESTIMATES).templates
    for template in found:
        for kind, source in template.sources.items():
            table = kind == "L40S-48GB"
            assert source is (PerformanceSource.SILICON_TABLE if table else PerformanceSource.ROOFLINE)
        if "A10G-24GB" in template.sources:
            assert template.expected_error == 0.4


def test_running_strategies_are_rated_and_kept_although_dominated() -> None:
    wanted = coral_demand("Qwen/Qwen3-32B")
    running = Strategy(
        engine=EngineName.VLLM,
        tp=8,
        stages=(Stage(gpu_kind="H100-80GB", layers=40), Stage(gpu_kind="A100-80GB", layers=24)),
        quantisation=Quantisation.BF16,
        max_sequences=64,
        max_context=8192,
    )
    found = templates_for(wanted, WIDTHS, ESTIMATES, always=(running, running))
    kept = [template for template in found.templates if template.strategy == running]
    assert len(kept) == 1
    assert kept[0].rate > 0.0
    assert found.templates[1:] == templates_for(wanted, WIDTHS, ESTIMATES).templates


def test_a_generated_strategy_that_runs_is_not_doubled() -> None:
    wanted = coral_demand("microsoft/phi-4")
    templates = templates_for(wanted, WIDTHS, ESTIMATES).templates
    again = templates_for(wanted, WIDTHS, ESTIMATES, always=(templates[3].strategy,)).templates
    assert sorted(t.strategy.id for t in again) == sorted(t.strategy.id for t in templates)


def test_a_running_strategy_that_misses_the_objectives_delivers_nothing() -> None:
    running = Strategy(
        engine=EngineName.VLLM,
        tp=1,
        stages=(Stage(gpu_kind="L4-24GB", layers=20),) * 2,
        quantisation=Quantisation.BF16,
        max_sequences=64,
        max_context=8192,
    )
    found = templates_for(coral_demand("microsoft/phi-4"), {}, ESTIMATES, always=(running,))
    assert [template.rate for template in found.templates] == [0.0]
    assert found.fault is not None
    assert found.fault.reason is Reason.NO_POOL_FITS


def test_impossible_objectives_are_named_with_what_can_be_reached() -> None:
    wanted = coral_demand("meta-llama/Llama-3.3-70B-Instruct")
    strict = replace(wanted, objectives=Objectives(ttft_seconds=0.01, tpot_seconds=0.001))
    found = templates_for(strict, WIDTHS, ESTIMATES)
    assert found.templates == ()
    assert found.fault is not None
    assert found.fault.reason is Reason.IMPOSSIBLE_OBJECTIVES
    assert found.fault.field == "spec.objectives"
    assert "best TTFT" in found.fault.message
    assert "H100-80GB tp8" in found.fault.message


@pytest.mark.parametrize("widths", [{}, {"T4-16GB": 1}, {"L4-24GB": 2}])
def test_what_fits_nowhere_says_so(widths: dict[str, int]) -> None:
    found = templates_for(coral_demand("Qwen/Qwen3-235B-A22B"), widths, ESTIMATES)
    assert found.templates == ()
    assert found.fault is not None
    assert found.fault.reason is Reason.NO_POOL_FITS


@pytest.mark.parametrize(
    ("name", "quantisation", "kinds", "said"),
    [
        (
            "Qwen/Qwen3-32B",
            Quantisation.FP8,
            ("T4-16GB", "V100-32GB"),
            (
                "quantisation fp8 of Qwen/Qwen3-32B is not supported on the allowed GPU kinds (T4-16GB, V100-32GB): "
                "allow bf16 in spec.model.quantisations, or allow newer GPU kinds and add pools of them"
            ),
        ),
        (
            "openai/gpt-oss-20b",
            Quantisation.BF16,
            ("H100-80GB",),
            (
                "quantisation bf16 of openai/gpt-oss-20b is not supported on the allowed GPU kinds (H100-80GB): "
                "allow mxfp4 in spec.model.quantisations"
            ),
        ),
    ],
)
def test_a_quantisation_that_no_kind_supports_is_named_with_the_mend(
    name: str, quantisation: Quantisation, kinds: tuple[str, ...], said: str
) -> None:
    wanted = replace(coral_demand(name), quantisations=(quantisation,))
    fault = templates_for(wanted, dict.fromkeys(kinds, 8), ESTIMATES).fault
    assert fault is not None
    assert fault.reason is Reason.NO_POOL_FITS
    assert fault.field == "spec.model.quantisations"
    assert fault.message == said


def test_size_is_blamed_for_the_quantisations_that_are_supported_only() -> None:
    wanted = replace(
        coral_demand("meta-llama/Llama-3.3-70B-Instruct"), quantisations=(Quantisation.BF16, Quantisation.FP8)
    )
    fault = templates_for(wanted, {"T4-16GB": 1}, ESTIMATES).fault
    assert fault is not None
    assert "as bf16 fits no strategy" in fault.message
    assert "fp8 is supported on none of these kinds" in fault.message


def test_requests_beyond_the_context_are_not_rated_as_served() -> None:
    wanted = coral_demand("Qwen/Qwen3-32B")
    running = templates_for(wanted, WIDTHS, ESTIMATES).templates[0].strategy
    long = replace(wanted, workload=replace(wanted.workload, input=Lengths(mean=20000.0, cv=1.0)))
    found = templates_for(long, WIDTHS, ESTIMATES, always=(running,))
    assert [template.rate for template in found.templates] == [0.0]
    assert found.fault is not None
    assert found.fault.reason is Reason.IMPOSSIBLE_OBJECTIVES
    assert found.fault.field == "spec.demand.workload"
    assert "Qwen/Qwen3-32B takes 40,960" in found.fault.message
    half = replace(long, objectives=replace(long.objectives, percentile=50.0, ttft_seconds=60.0, tpot_seconds=1.0))
    assert templates_for(half, WIDTHS, ESTIMATES).fault is None


def test_a_running_strategy_whose_context_has_become_too_short_delivers_nothing() -> None:
    wanted = coral_demand("Qwen/Qwen3-32B")
    short = Strategy(
        engine=EngineName.VLLM,
        tp=8,
        stages=(Stage(gpu_kind="H100-80GB", layers=64),),
        quantisation=Quantisation.BF16,
        max_sequences=64,
        max_context=2048,
    )
    found = templates_for(wanted, WIDTHS, ESTIMATES, always=(short, replace(short, max_context=8192)))
    rates = {template.strategy.max_context: template.rate for template in found.templates[:2]}
    assert rates[2048] == 0.0
    assert rates[8192] > 0.0


def test_two_quantisations_are_offered_side_by_side() -> None:
    wanted = replace(coral_demand("Qwen/Qwen3-32B"), quantisations=(Quantisation.BF16, Quantisation.FP8))
    found = templates_for(wanted, {"H100-80GB": 8}, ESTIMATES).templates
    assert {template.strategy.quantisation for template in found} == {Quantisation.BF16, Quantisation.FP8}


def test_context_limit_covers_long_requests_within_the_served_model() -> None:
    wanted = coral_demand("Qwen/Qwen3-32B")
    template = templates_for(wanted, WIDTHS, ESTIMATES).templates[0]
    assert template.strategy.max_context == 16384
    long = replace(wanted, workload=replace(wanted.workload, input=Lengths(mean=9000.0, cv=1.0)))
    capped = templates_for(long, WIDTHS, ESTIMATES)
    assert {t.strategy.max_context for t in capped.templates} == {architecture("Qwen/Qwen3-32B").max_context}


def run_as(tp: int, *layers: int, quantisation: Quantisation = Quantisation.BF16) -> Strategy:
    return Strategy(
        engine=EngineName.VLLM,
        tp=tp,
        stages=tuple(Stage(gpu_kind="H100-80GB", layers=held) for held in layers),
        quantisation=quantisation,
        max_sequences=64,
        max_context=8192,
    )


def test_every_pod_loads_all_weights_as_they_are_published() -> None:
    llama, starts = architecture("meta-llama/Llama-3.3-70B-Instruct"), Starts()
    whole = start_phases(llama, run_as(4, 80), starts)
    # 101 + 269 s and 141 GB at 1 GB/s, rounded up to ten seconds.
    assert (whole.seconds, round(whole.weights_bytes / 1e9)) == (520.0, 141)
    assert start_phases(llama, run_as(4, 40, 40), starts) == whole  # a stage keeps half, and reads all
    assert start_phases(llama, run_as(2, 80, quantisation=Quantisation.FP8), starts) == whole  # quantised on loading
    published = replace(llama, native=Quantisation.FP8)
    assert start_phases(published, run_as(2, 80, quantisation=Quantisation.FP8), starts).weights_seconds < 75.0


def test_weights_come_as_fast_as_the_slowest_nodes_that_fit_load_them() -> None:
    llama = architecture("meta-llama/Llama-3.3-70B-Instruct")
    starts = Starts(rates=(("H100-80GB", 1, 1e8), ("H100-80GB", 8, 5e9), ("H100-80GB", 4, 2e9)))
    assert start_phases(llama, run_as(4, 80), starts).weights_seconds == pytest.approx(141.1e9 / 2e9, rel=0.01)
    assert start_phases(llama, run_as(8, 80), starts).weights_seconds == pytest.approx(141.1e9 / 5e9, rel=0.01)


def test_another_nodes_bandwidth_rates_nothing_anew() -> None:
    wanted = coral_demand("Qwen/Qwen3-32B")
    slow = Starts(rates=tuple((kind, width, 1e8) for kind, width in WIDTHS.items()))
    fast, late = (templates_for(wanted, WIDTHS, ESTIMATES, starts=starts).templates for starts in (Starts(), slow))
    assert [item.strategy for item in late] == [item.strategy for item in fast]
    assert [item.rate for item in late] == [item.rate for item in fast]
    assert all(then.startup_seconds > now.startup_seconds for then, now in zip(late, fast, strict=True))
