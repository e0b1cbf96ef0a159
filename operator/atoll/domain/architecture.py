"""The architecture of a served model: what its memory and its arithmetic follow from."""

from dataclasses import dataclass
from enum import StrEnum


class Quantisation(StrEnum):
    """How weights are held in memory."""

    BF16 = "bf16"
    FP8 = "fp8"
    MXFP4 = "mxfp4"
    INT4 = "int4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A decoder-only transformer by its Hugging Face configuration values.

    Attributes:
        name: Hugging Face name, such as ``Qwen/Qwen3-32B``.
        layers: number of decoder layers.
        hidden: width of the residual stream.
        heads: attention query heads.
        kv_heads: attention key-value heads (equal to ``heads`` without grouping).
        head_dim: width of one head.
        ffn: width of a dense layer's feed-forward block.
        moe_ffn: width of one expert; 0 for a dense model.
        experts: number of routed experts per layer; 0 for a dense model.
        experts_per_token: routed experts that one token visits.
        shared_experts: experts that every token visits.
        dense_layers: leading layers that are dense in a mixture-of-experts model.
        kv_lora_rank: width of the compressed KV of multi-head latent attention; 0 without it.
        vocabulary: number of tokens in the vocabulary.
        sliding_window: attention window of the windowed layers, tokens; 0 without one.
        full_attention_layers: layers that attend to the whole context.
        native: how the published weights are held.
        max_context: longest context that the model takes, tokens.
        tied_embedding: input embedding and output head are one matrix.
    """

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocabulary: int
    moe_ffn: int = 0
    experts: int = 0
    experts_per_token: int = 0
    shared_experts: int = 0
    dense_layers: int = 0
    kv_lora_rank: int = 0
    sliding_window: int = 0
    full_attention_layers: int = 0
    native: Quantisation = Quantisation.BF16
    max_context: int = 131072
    tied_embedding: bool = False
