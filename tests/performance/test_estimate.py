"""Step times: tables where they exist, roofline elsewhere, and the two agree where both answer."""

from dataclasses import replace

import numpy as np
import pytest

from atoll.catalogue.architectures import architecture
from atoll.catalogue.gpus import gpu_kind, known_gpu_kinds
from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.engineterms import expert_parallel
from atoll.domain.strategy import PerformanceSource
from atoll.performance.estimate import KernelPerformance
from atoll.performance.roofline import FITTED, roofline
from atoll.performance.silicon import silicon

BATCHES = 2.0 ** np.arange(9)
KERNELS = KernelPerformance()


def qwen_decode(batch: float, context: float) -> float:
    a = architecture("Qwen/Qwen3-32B")
    costs = KERNELS.costs(a, gpu_kind("H100-80GB"), 4, Quantisation.BF16)
    at = np.array([batch])
    return float((a.layers * costs.decode_layer(at, context) + costs.head(at))[0])


# Rows of step_latency.csv.gz.
@pytest.mark.parametrize(
    ("batch", "context", "milliseconds"), [(1, 512, 8.1477), (64, 2048, 12.7721), (256, 8192, 57.5594)]
)
def test_layers_and_head_add_up_to_the_table(batch: float, context: float, milliseconds: float) -> None:
    seconds = qwen_decode(batch, context)
    assert seconds * 1e3 == pytest.approx(milliseconds, rel=0.02)


def test_prefill_of_the_table() -> None:
    a = architecture("Qwen/Qwen3-32B")
    costs = KERNELS.costs(a, gpu_kind("H100-80GB"), 4, Quantisation.BF16)
    tokens = np.array([1024.0, 8192.0])
    seconds = a.layers * costs.prefill_layer(tokens) + costs.head(np.ones(2))
    assert seconds * 1e3 == pytest.approx(np.array([36.2497, 273.6283]), rel=0.01)


def test_between_the_points_of_the_table_lies_between() -> None:
    assert qwen_decode(64, 2048) < qwen_decode(90, 2048) < qwen_decode(128, 2048)
    assert qwen_decode(64, 2048) < qwen_decode(64, 3000) < qwen_decode(64, 4096)
    assert qwen_decode(64, 8192) < qwen_decode(64, 16384)


@pytest.mark.parametrize(
    ("name", "kind", "quantisation", "source"),
    [
        ("meta-llama/Llama-3.3-70B-Instruct", "H100-80GB", Quantisation.BF16, PerformanceSource.SILICON_TABLE),
        ("meta-llama/Llama-3.3-70B-Instruct", "L4-24GB", Quantisation.BF16, PerformanceSource.ROOFLINE),
        ("microsoft/phi-4", "H100-80GB", Quantisation.BF16, PerformanceSource.ROOFLINE),
        ("openai/gpt-oss-20b", "L40S-48GB", Quantisation.MXFP4, PerformanceSource.SILICON_TABLE),
        ("openai/gpt-oss-20b", "A100-80GB", Quantisation.MXFP4, PerformanceSource.ROOFLINE),
    ],
)
def test_source_is_named(name: str, kind: str, quantisation: Quantisation, source: PerformanceSource) -> None:
    costs = KERNELS.costs(architecture(name), gpu_kind(kind), 2, quantisation)
    assert costs.source is source
    assert 0.0 < costs.expected_error < 0.5


@pytest.mark.parametrize("kind", sorted(FITTED))
@pytest.mark.parametrize("tp", [1, 2, 4, 8])
def test_roofline_agrees_with_the_tables(kind: str, tp: int) -> None:
    a = architecture("Qwen/Qwen3-32B")
    table = silicon(a, gpu_kind(kind), tp, Quantisation.BF16)
    assert table is not None
    line = roofline(a, gpu_kind(kind), tp, Quantisation.BF16)
    ratios = line.decode_layer(BATCHES, 2048.0) / table.decode_layer(BATCHES, 2048.0)
    assert abs(np.median(ratios) - 1.0) < FITTED[kind].expected_error


@pytest.mark.parametrize(("tokens", "milliseconds"), [(1000.0, 24.0), (4000.0, 85.0)])
def test_l4_prefill_agrees_with_helix_measurements(tokens: float, milliseconds: float) -> None:
    # LLaMA-30B per layer on one L4: Thesys-lab/Helix-ASPLOS25 (Apache-2.0), simulator/model_manager.
    llama = Architecture(
        name="llama-30b",
        layers=60,
        hidden=6656,
        heads=52,
        kv_heads=52,
        head_dim=128,
        ffn=17920,
        vocabulary=32000,
    )
    costs = roofline(llama, gpu_kind("L4-24GB"), 1, Quantisation.BF16)
    assert float(costs.prefill_layer(np.array([tokens]))[0]) * 1e3 == pytest.approx(milliseconds, rel=0.15)
    assert float(costs.decode_layer(np.array([2.0]), 500.0)[0]) * 1e3 == pytest.approx(4.5, rel=0.15)


@pytest.mark.parametrize("kind", known_gpu_kinds())
@pytest.mark.parametrize("name", ["microsoft/phi-4", "openai/gpt-oss-120b", "Qwen/Qwen3-235B-A22B"])
def test_more_work_never_takes_less_time(kind: str, name: str) -> None:
    a = architecture(name)
    costs = KERNELS.costs(a, gpu_kind(kind), 2, a.native)
    tokens = 2.0 ** np.arange(7, 14)
    assert np.all(np.diff(costs.decode_layer(BATCHES, 1500.0)) >= 0.0)
    assert np.all(np.diff(costs.prefill_layer(tokens)) > 0.0)
    assert np.all(costs.decode_layer(BATCHES, 3000.0) >= costs.decode_layer(BATCHES, 1500.0))


def test_fp8_arithmetic_is_faster_where_there_are_units() -> None:
    a = architecture("microsoft/phi-4")
    tokens = np.array([2048.0])
    bf16, fp8 = (
        KERNELS.costs(a, gpu_kind("H100-80GB"), 1, quantisation).prefill_layer(tokens)
        for quantisation in (Quantisation.BF16, Quantisation.FP8)
    )
    assert fp8[0] < 0.7 * bf16[0]


@pytest.mark.parametrize("name", ["microsoft/phi-4", "openai/gpt-oss-120b"])
@pytest.mark.parametrize("kind", ["H100-80GB", "A10G-24GB"])
def test_prompts_that_join_a_decode_step_cost_less_than_a_step_of_their_own(name: str, kind: str) -> None:
    a = architecture(name)
    costs = KERNELS.costs(a, gpu_kind(kind), 2, a.native)
    tokens = np.array([16.0, 128.0, 2048.0])
    for batch in BATCHES:
        decode = costs.decode_layer(np.array([batch]), 1000.0)
        saved = costs.saved_layer(np.array([batch]), tokens)
        assert np.all(saved > 0.0)
        assert np.all(saved < costs.prefill_layer(tokens) * (1.0 + 1e-9))
        assert np.all(saved < decode * (1.0 + 1e-9))


def test_a_step_of_both_reads_the_weights_once() -> None:
    a = architecture("microsoft/phi-4")
    costs = roofline(a, gpu_kind("H100-80GB"), 1, Quantisation.BF16)
    batch, tokens = np.array([8.0]), np.array([32.0])
    apart = costs.decode_layer(batch, 0.0) + costs.prefill_layer(tokens)
    # Too few tokens to be bound by arithmetic: together they take what one token alone takes.
    together = apart - costs.saved_layer(batch, tokens)
    assert together[0] == pytest.approx(costs.decode_layer(np.array([1.0]), 0.0)[0], rel=0.01)


@pytest.mark.parametrize("tp", [4, 8])
@pytest.mark.parametrize("tokens", [1, 16, 256, 2048])
def test_whole_experts_wait_for_the_gpu_with_the_most(tp: int, tokens: int) -> None:
    """Against routing drawn at random: experts read and visits of the GPU with the most, over their mean."""
    a = architecture("Qwen/Qwen3-30B-A3B-FP8")
    kind, draw = gpu_kind("H100-80GB"), np.random.default_rng(7)
    visited = np.array([draw.permuted(np.tile(np.arange(a.experts), (tokens, 1)), axis=1) for _ in range(40)])
    visited = visited[:, :, : a.experts_per_token].reshape(40, -1)
    counts = np.stack([np.bincount(each, minlength=a.experts) for each in visited]).reshape(40, tp, -1)
    read = (counts > 0).sum(axis=2).max(axis=1).mean() / ((counts > 0).sum(axis=2).mean())
    visits = counts.sum(axis=2).max(axis=1).mean() / counts.sum(axis=2).mean()
    whole, cut = (
        roofline(replace(a, native=native), kind, tp, Quantisation.FP8)._experts(np.array([float(tokens)]))[0]
        for native in (Quantisation.FP8, Quantisation.BF16)
    )

    assert expert_parallel(a, tp, Quantisation.FP8)
    assert whole >= cut
    assert min(read, visits) * 0.8 <= whole / cut <= max(read, visits) * 1.2


def test_latent_attention_multiplies_the_rotary_part_and_the_whole_head() -> None:
    """Scores over 128 + 64, values over 128 for each head: 2.86 times what hidden / heads = 56 would be."""
    deepseek = architecture("deepseek-ai/DeepSeek-V3")
    grouped = replace(deepseek, kv_lora_rank=0)
    kind, tokens = gpu_kind("H200-141GB"), np.array([16384.0])
    latent = roofline(deepseek, kind, 8, Quantisation.FP8).prefill_layer(tokens)[0]
    plain = roofline(grouped, kind, 8, Quantisation.FP8).prefill_layer(tokens)[0]
    flops = 2.0 * deepseek.heads * ((128 + 64 + 128) - 2 * 56) * tokens[0] ** 2 / 2 / 8
    reached = kind.tflops_bf16 * 1e12 * FITTED[kind.name].attention
    assert latent - plain == pytest.approx(flops / reached)


def test_steps_of_fp8_weights_read_kv_of_two_bytes() -> None:
    """Their tables hold KV of one byte; engines keep two unless told otherwise."""
    served, kind = architecture("meta-llama/Llama-3.1-70B-Instruct"), gpu_kind("H100-80GB")
    growth = {}
    for quantisation in (Quantisation.BF16, Quantisation.FP8):
        costs = KernelPerformance().costs(served, kind, 4, quantisation)
        assert costs.source is PerformanceSource.SILICON_TABLE
        growth[quantisation] = (
            costs.decode_layer(np.array([256.0]), 4096.0) - costs.decode_layer(np.array([256.0]), 1024.0)
        )[0]
    assert growth[Quantisation.FP8] == pytest.approx(growth[Quantisation.BF16], rel=0.15)
