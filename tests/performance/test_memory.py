"""What fits on a GPU."""

from dataclasses import replace

import pytest

from atoll.catalogue.architectures import architecture
from atoll.catalogue.gpus import gpu_kind
from atoll.domain.architecture import Quantisation
from atoll.domain.engineterms import TERMS, EngineTerms, expert_parallel
from atoll.domain.strategy import EngineName
from atoll.performance.memory import (
    GIB,
    attended_tokens,
    kv_bytes,
    kv_bytes_per_token,
    layer_bytes,
    room_bytes,
    supported,
    vocabulary_bytes,
    width_fits,
)

VLLM, SGLANG = TERMS[EngineName.VLLM], TERMS[EngineName.SGLANG]
# Weights in GiB per GPU and KV tokens of one GPU group: PyPI aiconfigurator 0.12.0, kv_capacity.csv (Apache-2.0).
WEIGHTS_GIB = [
    ("meta-llama/Llama-3.1-8B-Instruct", Quantisation.BF16, 1, 14.96),
    ("meta-llama/Llama-3.1-8B-Instruct", Quantisation.BF16, 8, 1.87),
]


@pytest.mark.parametrize(("name", "quantisation", "tp", "gib"), WEIGHTS_GIB)
def test_weights_agree_with_aiconfigurator(name: str, quantisation: Quantisation, tp: int, gib: float) -> None:
    a = architecture(name)
    held = a.layers * layer_bytes(a, quantisation, tp) + 2 * vocabulary_bytes(a, tp)
    assert held / GIB == pytest.approx(gib, rel=0.01)


def test_kv_tokens_agree_with_aiconfigurator() -> None:
    a = architecture("meta-llama/Llama-3.1-8B-Instruct")
    held = a.layers * layer_bytes(a, Quantisation.BF16, 1) + 2 * vocabulary_bytes(a, 1)
    tokens = (room_bytes(a, gpu_kind("A100-80GB"), 1, VLLM) - held) / (a.layers * kv_bytes(a, 1, 1.0))
    assert tokens == pytest.approx(432992, rel=0.05)


def test_four_bit_experts_shrink_gpt_oss_to_its_published_size() -> None:
    a = architecture("openai/gpt-oss-120b")
    held = a.layers * layer_bytes(a, Quantisation.MXFP4, 1) + 2 * vocabulary_bytes(a, 1)
    assert held / 1e9 == pytest.approx(65.3, rel=0.02)  # size of its safetensors files, GB


def test_kv_heads_are_shared_out_then_replicated() -> None:
    a = architecture("Qwen/Qwen3-235B-A22B")
    assert kv_bytes_per_token(a, 4) == kv_bytes_per_token(a, 1) / 4
    assert kv_bytes_per_token(a, 8) == kv_bytes_per_token(a, 4)


def test_windowed_layers_keep_their_window_only() -> None:
    a = architecture("openai/gpt-oss-20b")
    assert attended_tokens(a, 100.0) == 100.0
    assert attended_tokens(a, 1128.0) == (1128.0 + 128.0) / 2


@pytest.mark.parametrize(
    ("name", "widths"),
    [("microsoft/phi-4", {1, 2}), ("Qwen/Qwen3-235B-A22B", {1, 2, 4, 8}), ("Qwen/Qwen3-32B", {1, 2, 4, 8})],
)
def test_widths_divide_the_heads(name: str, widths: set[int]) -> None:
    assert {tp for tp in (1, 2, 4, 8) if width_fits(architecture(name), tp, Quantisation.BF16)} == widths


@pytest.mark.parametrize("engine", TERMS.values())
def test_fp8_needs_its_kernels_and_four_bits_need_a_four_bit_release(engine: EngineTerms) -> None:
    dense, oss = architecture("Qwen/Qwen3-32B"), architecture("openai/gpt-oss-20b")
    packed = replace(dense, native=Quantisation.INT4)
    assert supported(dense, gpu_kind("H100-80GB"), Quantisation.FP8, engine)
    assert supported(dense, gpu_kind("A100-80GB"), Quantisation.FP8, engine)
    assert not supported(dense, gpu_kind("T4-16GB"), Quantisation.FP8, engine)
    assert supported(packed, gpu_kind("A10G-24GB"), Quantisation.INT4, engine)
    assert not supported(packed, gpu_kind("V100-32GB"), Quantisation.INT4, engine)
    assert not supported(dense, gpu_kind("H100-80GB"), Quantisation.INT4, engine)
    assert not supported(packed, gpu_kind("H100-80GB"), Quantisation.FP8, engine)
    assert not supported(oss, gpu_kind("T4-16GB"), Quantisation.MXFP4, engine)
    assert not supported(dense, gpu_kind("H100-80GB"), Quantisation.MXFP4, engine)
    assert supported(oss, gpu_kind("A10G-24GB"), Quantisation.MXFP4, engine)
    assert not supported(oss, gpu_kind("H100-80GB"), Quantisation.BF16, engine)


def test_int4_weights_are_a_little_more_than_a_quarter_of_bf16() -> None:
    a = architecture("Qwen/Qwen3-32B")
    ratio = layer_bytes(a, Quantisation.INT4, 2) / layer_bytes(a, Quantisation.BF16, 2)
    assert ratio == pytest.approx(4.156 / 16, rel=1e-3)


@pytest.mark.parametrize("kind", ["T4-16GB", "L4-24GB", "L40S-48GB", "A100-80GB", "H100-80GB", "B200-180GB"])
@pytest.mark.parametrize("tp", [1, 8])
def test_what_sglang_leaves_free_holds_graphs_and_activations(kind: str, tp: int) -> None:
    a, gpu = architecture("meta-llama/Llama-3.1-70B-Instruct"), gpu_kind(kind)
    fraction = SGLANG.memory_fraction(gpu.memory_gib)
    room = room_bytes(a, gpu, tp, SGLANG)
    assert room <= fraction * gpu.memory_gib * GIB
    assert room <= room_bytes(a, gpu, tp, VLLM) * 1.15
    assert 0.6 < fraction < 0.95


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("MiniMaxAI/MiniMax-M2.5", {8}),  # 1536 / 8 = 192 columns of an expert: refused by both engines
        ("Qwen/Qwen3-235B-A22B-FP8", {8}),
        ("Qwen/Qwen3-30B-A3B-FP8", {4, 8}),
        ("deepseek-ai/DeepSeek-V3", set()),  # 2048 / 8 = 256
        ("Qwen/Qwen3-235B-A22B", set()),  # bf16: any width
        ("Qwen/Qwen3-32B-FP8", set()),  # dense
    ],
)
def test_experts_go_to_gpus_whole_where_fp8_blocks_cannot_be_cut(name: str, widths: set[int]) -> None:
    a = architecture(name)
    assert {tp for tp in (1, 2, 4, 8) if expert_parallel(a, tp, a.native)} == widths
    assert not any(expert_parallel(replace(a, native=Quantisation.BF16), tp, Quantisation.FP8) for tp in (2, 4, 8))


def test_experts_that_go_to_gpus_whole_must_be_divisible_among_them() -> None:
    odd = replace(architecture("MiniMaxAI/MiniMax-M2.5"), experts=252)
    assert width_fits(odd, 4, Quantisation.FP8)
    assert not width_fits(odd, 8, Quantisation.FP8)
