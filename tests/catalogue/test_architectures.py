"""Architectures are found by name and their parameters add up to what their publishers say."""

import pytest

from atoll.catalogue.architectures import architecture, names
from atoll.catalogue.tables import rows
from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.reason import InvalidObjectError, Reason
from atoll.performance.memory import kv_bytes_per_token, layer_weights

PUBLISHED_BILLIONS = {
    "allenai/OLMo-2-1124-13B-Instruct": 13.7,
    "allenai/OLMo-2-1124-7B-Instruct": 7.3,
    "codellama/CodeLlama-34b-Instruct-hf": 33.7,
    "deepseek-ai/DeepSeek-R1": 671.0,
    "deepseek-ai/DeepSeek-R1-Distill-Llama-70B": 70.6,
    "deepseek-ai/DeepSeek-R1-Distill-Llama-8B": 8.03,
    "deepseek-ai/DeepSeek-V3": 671.0,
    "google/gemma-2-27b-it": 27.2,
    "google/gemma-2-9b-it": 9.24,
    "google/gemma-3-12b-it": 11.8,
    "google/gemma-3-27b-it": 27.0,
    "google/gemma-3-4b-it": 3.88,
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": 1.71,
    "meta-llama/Llama-3.1-405B-Instruct": 405.9,
    "meta-llama/Llama-3.1-70B-Instruct": 70.6,
    "meta-llama/Llama-3.1-8B-Instruct": 8.03,
    "meta-llama/Llama-3.2-1B-Instruct": 1.24,
    "meta-llama/Llama-3.2-3B-Instruct": 3.21,
    "meta-llama/Llama-3.3-70B-Instruct": 70.6,
    "meta-llama/Llama-4-Maverick-17B-128E-Instruct": 400.0,
    "meta-llama/Llama-4-Scout-17B-16E-Instruct": 109.0,
    "meta-llama/Meta-Llama-3-70B-Instruct": 70.6,
    "meta-llama/Meta-Llama-3-8B-Instruct": 8.03,
    "microsoft/phi-4": 14.7,
    "microsoft/Phi-4-mini-instruct": 3.84,
    "microsoft/Phi-4-reasoning": 14.7,
    "MiniMaxAI/MiniMax-M2.5": 230.0,
    "mistralai/Mistral-7B-Instruct-v0.3": 7.25,
    "mistralai/Mistral-Large-Instruct-2411": 123.0,
    "mistralai/Mistral-Small-24B-Instruct-2501": 23.6,
    "mistralai/Mixtral-8x22B-Instruct-v0.1": 141.0,
    "mistralai/Mixtral-8x7B-Instruct-v0.1": 46.7,
    "moonshotai/Kimi-K2-Instruct": 1026.0,
    "nvidia/Llama-3.1-Nemotron-70B-Instruct-HF": 70.6,
    "openai/gpt-oss-120b": 116.8,
    "openai/gpt-oss-20b": 20.9,
    "Qwen/Qwen2.5-0.5B-Instruct": 0.494,
    "Qwen/Qwen2.5-1.5B-Instruct": 1.54,
    "Qwen/Qwen2.5-14B-Instruct": 14.7,
    "Qwen/Qwen2.5-32B-Instruct": 32.8,
    "Qwen/Qwen2.5-3B-Instruct": 3.09,
    "Qwen/Qwen2.5-72B-Instruct": 72.7,
    "Qwen/Qwen2.5-7B-Instruct": 7.62,
    "Qwen/Qwen2.5-Coder-32B-Instruct": 32.8,
    "Qwen/Qwen2.5-Coder-7B-Instruct": 7.62,
    "Qwen/Qwen3-0.6B": 0.6,
    "Qwen/Qwen3-1.7B": 1.72,
    "Qwen/Qwen3-14B": 14.8,
    "Qwen/Qwen3-235B-A22B": 235.0,
    "Qwen/Qwen3-235B-A22B-FP8": 235.0,
    "Qwen/Qwen3-235B-A22B-Instruct-2507": 235.0,
    "Qwen/Qwen3-30B-A3B": 30.5,
    "Qwen/Qwen3-30B-A3B-FP8": 30.5,
    "Qwen/Qwen3-30B-A3B-Instruct-2507": 30.5,
    "Qwen/Qwen3-32B": 32.8,
    "Qwen/Qwen3-32B-FP8": 32.8,
    "Qwen/Qwen3-4B": 4.02,
    "Qwen/Qwen3-4B-Instruct-2507": 4.02,
    "Qwen/Qwen3-8B": 8.19,
    "Qwen/Qwen3-Coder-480B-A35B-Instruct": 480.0,
    "Qwen/QwQ-32B": 32.8,
    "tiiuae/Falcon3-10B-Instruct": 10.3,
    "tiiuae/Falcon3-7B-Instruct": 7.46,
    "XiaomiMiMo/MiMo-7B-Base": 7.6,
    "zai-org/GLM-4.5": 355.0,
    "zai-org/GLM-4.5-Air": 106.0,
}
ROUGH = {"google/gemma-4-26B-A4B"}


def parameters(a: Architecture) -> float:
    weights = layer_weights(a)
    layers = a.layers * (weights.dense + weights.experts * weights.expert)
    return layers + a.vocabulary * a.hidden * (1 if a.tied_embedding else 2)


@pytest.mark.parametrize(("name", "billions"), PUBLISHED_BILLIONS.items())
def test_parameters_agree_with_the_published_count(name: str, billions: float) -> None:
    assert parameters(architecture(name)) / 1e9 == pytest.approx(billions, rel=0.015)


def test_every_row_but_the_rough_one_is_held_against_its_published_count() -> None:
    assert set(names()) == PUBLISHED_BILLIONS.keys() | ROUGH


def test_every_row_names_its_source_and_has_heads_that_fit_together() -> None:
    for row in rows("architectures.csv"):
        found = architecture(row["name"])
        assert row["source"], found.name
        assert found.heads % found.kv_heads == 0, found.name
        assert (found.experts > 0) == (found.moe_ffn > 0) == (found.experts_per_token > 0), found.name
        assert (found.sliding_window > 0) == (found.full_attention_layers > 0), found.name


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


def test_name_like_nothing_known_is_refused_with_some_that_are_known_in_few_words() -> None:
    with pytest.raises(InvalidObjectError, match=f"{len(names())} are known, such as {names()[0]}") as caught:
        architecture("0000")
    assert len(caught.value.fault.message) < 300, "what comes after it is not cut off in a condition"


def test_names_are_sorted_and_unique() -> None:
    assert list(names()) == sorted(set(names()), key=str.casefold)
