"""What is served: a name, and the architecture behind it."""

from typing import Annotated, ClassVar

from msgspec import Meta

from atoll.api.v1alpha1.base import (
    Rule,
    Schema,
    Text,
    describe,
)
from atoll.domain.architecture import Quantisation

Width = Annotated[int, Meta(ge=1, le=1_048_576)]
OptionalWidth = Annotated[int, Meta(ge=0, le=1_048_576)]
Layers = Annotated[int, Meta(ge=1, le=1024)]
OptionalLayers = Annotated[int, Meta(ge=0, le=1024)]


class ArchitectureConfig(Schema, frozen=True, kw_only=True):
    """Values of the Hugging Face ``config.json``, in camelCase, for an architecture that the catalogue lacks."""

    num_hidden_layers: Annotated[Layers, describe("Decoder layers (num_hidden_layers).")]
    hidden_size: Annotated[Width, describe("Width of the residual stream (hidden_size).")]
    num_attention_heads: Annotated[Width, describe("Query heads (num_attention_heads).")]
    num_key_value_heads: Annotated[
        OptionalWidth, describe("Key-value heads (num_key_value_heads); 0: as many as query heads.")
    ] = 0
    head_dim: Annotated[OptionalWidth, describe("Width of one head (head_dim); 0: hiddenSize / numAttentionHeads.")] = 0
    intermediate_size: Annotated[Width, describe("Width of a dense feed-forward block (intermediate_size).")]
    vocab_size: Annotated[Annotated[int, Meta(ge=1, le=10_000_000)], describe("Tokens in the vocabulary (vocab_size).")]
    moe_intermediate_size: Annotated[
        OptionalWidth, describe("Width of one expert (moe_intermediate_size); 0 for a dense model.")
    ] = 0
    num_experts: Annotated[
        OptionalWidth, describe("Routed experts per layer (num_experts, n_routed_experts); 0 for a dense model.")
    ] = 0
    num_experts_per_tok: Annotated[
        OptionalWidth, describe("Routed experts that one token visits (num_experts_per_tok).")
    ] = 0
    n_shared_experts: Annotated[OptionalWidth, describe("Experts that every token visits (n_shared_experts).")] = 0
    first_k_dense_replace: Annotated[
        OptionalLayers, describe("Leading dense layers of a mixture of experts (first_k_dense_replace).")
    ] = 0
    kv_lora_rank: Annotated[
        OptionalWidth, describe("Width of the compressed KV of latent attention (kv_lora_rank); 0 without it.")
    ] = 0
    sliding_window: Annotated[
        Annotated[int, Meta(ge=0, le=100_000_000)],
        describe("Attention window of windowed layers, tokens (sliding_window); 0 without one."),
    ] = 0
    full_attention_layers: Annotated[
        OptionalLayers, describe("Layers that attend to the whole context, where others have a window.")
    ] = 0
    max_position_embeddings: Annotated[
        Annotated[int, Meta(ge=1, le=100_000_000)], describe("Longest context, tokens (max_position_embeddings).")
    ] = 131072
    tie_word_embeddings: Annotated[
        bool, describe("Input embedding and output head are one matrix (tie_word_embeddings).")
    ] = False
    native: Annotated[Quantisation, describe("How the published weights are held.")] = Quantisation.BF16

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.numExperts == 0 || (self.numExpertsPerTok > 0 && self.moeIntermediateSize > 0)",
            "a mixture of experts needs numExpertsPerTok and moeIntermediateSize above 0",
        ),
        Rule("self.numExpertsPerTok <= self.numExperts", "numExpertsPerTok must not exceed numExperts"),
        Rule(
            "self.numExperts > 0 || (self.moeIntermediateSize == 0 && self.nSharedExperts == 0"
            " && self.firstKDenseReplace == 0)",
            "moeIntermediateSize, nSharedExperts and firstKDenseReplace need numExperts above 0",
        ),
        Rule(
            "self.slidingWindow > 0 || self.fullAttentionLayers == 0", "fullAttentionLayers needs slidingWindow above 0"
        ),
        Rule("self.fullAttentionLayers <= self.numHiddenLayers", "fullAttentionLayers must not exceed numHiddenLayers"),
        Rule("self.firstKDenseReplace <= self.numHiddenLayers", "firstKDenseReplace must not exceed numHiddenLayers"),
        Rule(
            "self.numKeyValueHeads == 0 || self.numAttentionHeads % self.numKeyValueHeads == 0",
            "numKeyValueHeads must divide numAttentionHeads",
        ),
        Rule(
            "self.headDim > 0 || self.hiddenSize % self.numAttentionHeads == 0",
            "set headDim: hiddenSize is not a multiple of numAttentionHeads",
        ),
        Rule(
            "self.headDim == 0 || (self.headDim * self.numAttentionHeads <= 8 * self.hiddenSize"
            " && self.hiddenSize <= 8 * self.headDim * self.numAttentionHeads)",
            "headDim times numAttentionHeads must be within 8 times hiddenSize",
        ),
    )


class ArchitectureChoice(Schema, frozen=True, kw_only=True):
    """The served model's architecture: a name from the catalogue, or inline values."""

    name: Annotated[
        Annotated[str, Meta(min_length=1, max_length=128)] | None,
        describe("Hugging Face name in the built-in catalogue, such as Qwen/Qwen3-32B."),
    ] = None
    config: Annotated[ArchitectureConfig | None, describe("Inline values, where the catalogue lacks the model.")] = None

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.name) != has(self.config)", "give exactly one of name and config"),
    )


_ServedName = Annotated[str, Meta(pattern="^[A-Za-z0-9]([A-Za-z0-9._:/-]*[A-Za-z0-9])?$", max_length=128)]


class ServedModel(Schema, frozen=True, kw_only=True):
    """Which LLM, under which name."""

    name: Annotated[Text, describe("For people; shown in reports. Empty: the served name.")] = ""
    served_name: Annotated[
        _ServedName, describe("What clients put into the model field of a request. The oldest demand holds a name.")
    ]
    aliases: Annotated[
        Annotated[tuple[_ServedName, ...], Meta(max_length=16)],
        describe(
            "Other names that clients may put there, each held by the oldest demand that gives it. A change of them "
            "moves no replica.",
            list_type="set",
        ),
    ] = ()
    architecture: Annotated[ArchitectureChoice, describe("What memory and arithmetic follow from.")]
    weights: Annotated[
        Annotated[str, Meta(pattern="^(|(hf|pvc|s3|oci)://.+)$", max_length=1024)],
        describe("Where weights are had: an hf://, pvc://, s3:// or oci:// URI. Empty: hf:// and the architecture."),
    ] = ""
    quantisations: Annotated[
        Annotated[tuple[Quantisation, ...], Meta(max_length=8)],
        describe("How weights may be held, best first. Empty: as they are published.", list_type="set"),
    ] = ()

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.architecture.name) || size(self.weights) > 0",
            "weights must be set where the architecture is given inline",
        ),
    )
