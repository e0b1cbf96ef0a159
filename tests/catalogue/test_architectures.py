"""Architectures are found by name and their parameters add up to what their publishers say."""

import pytest

from atoll.catalogue.architectures import architecture, names
from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.reason import InvalidObjectError, Reason
from atoll.performance.memory import kv_bytes_per_token, layer_weights

PUBLISHED_BILLIONS = {
    "microsoft/phi-4": 14.7,
    "openai/gpt-oss-20b": 20.9,
    "Qwen/Qwen3-32B": 32.8,
    "meta-llama/Llama-3.3-70B-Instruct": 70.6,
    "openai/gpt-oss-120b": 116.8,
    "Qwen/Qwen3-235B-A22B": 235.0,
    "Qwen/Qwen3-30B-A3B": 30.5,
    "deepseek-ai/DeepSeek-V3": 671.0,
    "zai-org/GLM-4.5": 355.0,
}


def parameters(a: Architecture) -> float:
    weights = layer_weights(a)
    layers = a.layers * (weights.dense + weights.experts * weights.expert)
    return layers + a.vocabulary * a.hidden * (1 if a.tied_embedding else 2)


@pytest.mark.parametrize(("name", "billions"), PUBLISHED_BILLIONS.items())
def test_parameters_agree_with_the_published_count(name: str, billions: float) -> None:
    assert parameters(architecture(name)) / 1e9 == pytest.approx(billions, rel=0.015)


def test_llama_3_3_runs_as_llama_3_1() -> None:
    new, old = architecture("meta-llama/Llama-3.3-70B-Instruct"), architecture("meta-llama/Llama-3.1-70B-Instruct")
    assert (new.layers, new.hidden, new.kv_heads, new.ffn) == (old.layers, old.hidden, old.kv_heads, old.ffn)


def test_gpt_oss_is_four_bit_and_half_windowed() -> None:
    oss = architecture("openai/gpt-oss-120b")
    assert oss.native is Quantisation.MXFP4
    assert (oss.sliding_window, oss.full_attention_layers, oss.layers) == (128, 18, 36)


def test_latent_kv_of_deepseek() -> None:
    deepseek = architecture("deepseek-ai/DeepSeek-V3")
    assert kv_bytes_per_token(deepseek, 8) * deepseek.layers == 70272


def test_case_of_a_name_does_not_matter() -> None:
    assert architecture("qwen/qwen3-32b").name == "Qwen/Qwen3-32B"


def test_unknown_name_is_refused_with_the_nearest_ones() -> None:
    with pytest.raises(InvalidObjectError) as caught:
        architecture("Llama-3.3-70B", field="spec.model.architecture")
    fault = caught.value.fault
    assert fault.reason is Reason.UNKNOWN_ARCHITECTURE
    assert fault.field == "spec.model.architecture"
    assert "meta-llama/Llama-3.3-70B-Instruct" in fault.message


def test_name_like_nothing_known_lists_what_is_known() -> None:
    with pytest.raises(InvalidObjectError, match="microsoft/phi-4"):
        architecture("0000")


def test_names_are_sorted_and_unique() -> None:
    assert list(names()) == sorted(set(names()), key=str.casefold)
