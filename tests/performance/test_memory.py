"""What fits on a GPU."""

import pytest

from atoll.catalogue.architectures import architecture
from atoll.catalogue.gpus import gpu_kind
from atoll.domain.architecture import Quantisation
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
    tokens = (room_bytes(a, gpu_kind("A100-80GB"), 1) - held) / (a.layers * kv_bytes(a, 1, 1.0))
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
    assert {tp for tp in (1, 2, 4, 8) if width_fits(architecture(name), tp)} == widths


def test_fp8_needs_fp8_units_and_four_bits_need_a_four_bit_release() -> None:
    dense, oss = architecture("Qwen/Qwen3-32B"), architecture("openai/gpt-oss-20b")
    assert supported(dense, gpu_kind("H100-80GB"), Quantisation.FP8)
    assert not supported(dense, gpu_kind("A100-80GB"), Quantisation.FP8)
    assert not supported(dense, gpu_kind("H100-80GB"), Quantisation.MXFP4)
    assert supported(oss, gpu_kind("A10G-24GB"), Quantisation.MXFP4)
    assert not supported(oss, gpu_kind("H100-80GB"), Quantisation.BF16)
