"""What one GPU holds: weights, KV cache and what the engine keeps for itself.

All layers of a served model are counted alike: the leading dense layers of a mixture-of-experts model and the windowed
layers of a hybrid one are averaged over all layers.
"""

from dataclasses import dataclass

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.engineterms import CHUNK_TOKENS, EngineTerms, expert_parallel
from atoll.domain.gpu import GpuKind

GIB = 2.0**30
RUNTIME_GIB = 0.7
"""CUDA context, kernels and allocator slack of one worker, GiB. Stated assumption."""
COMMUNICATOR_GIB = 0.4
"""NCCL buffers of a worker that talks to others, GiB. Stated assumption."""
GRAPHS_GIB = 0.6
"""Captured CUDA graphs, GiB. Stated assumption; vLLM logs 0.3 to 1 GiB."""
SAMPLED_SEQUENCES = 256
"""Sequences whose logits are held at once in the memory profile of the engine."""
BF16_BYTES = 2.0
MLA_ROPE_DIM = 64
"""Rotary part kept beside the latent KV of multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1)."""
MLA_HEAD_DIM = 128
"""Width of a head of multi-head latent attention without its rotary part (the same paper; Kimi K2 keeps it)."""
BYTES_PER_WEIGHT = {
    Quantisation.BF16: 2.0,
    Quantisation.FP8: 1.0,
    # Blocks of 32 four-bit values share one eight-bit scale (OCP Microscaling formats 1.0).
    Quantisation.MXFP4: 4.25 / 8,
    # Groups of 128 four-bit values share a 16-bit scale and a four-bit zero (AWQ, arXiv 2306.00978; GPTQ).
    Quantisation.INT4: (4.0 + 20.0 / 128.0) / 8,
}
LEAST_CAPABILITY = {
    # V100 and T4 have no bf16; the engines run such weights in fp16 there.
    Quantisation.BF16: 7.0,
    # Marlin kernels, weights only; from 8.9 on (tflops_fp8 above 0) products are in fp8 too.
    Quantisation.FP8: 8.0,
    Quantisation.MXFP4: 8.0,
    Quantisation.INT4: 8.0,
}
"""Lowest CUDA compute capability with kernels for weights held so, in both engines."""


def supported(architecture: Architecture, kind: GpuKind, quantisation: Quantisation, engine: EngineTerms) -> bool:
    """Whether an engine can hold the weights so on this GPU kind: as published or quantised on loading."""
    held = engine.holds(architecture.native, quantisation)
    return held and kind.compute_capability >= LEAST_CAPABILITY[quantisation]


def width_fits(architecture: Architecture, tp: int, quantisation: Quantisation) -> bool:
    """Whether ``tp`` GPUs can share a layer.

    They divide the heads, divide or replicate KV heads, and where experts go to GPUs whole, they divide the experts.
    """
    kv = architecture.kv_heads
    if expert_parallel(architecture, tp, quantisation) and architecture.experts % tp:
        return False
    return architecture.heads % tp == 0 and (kv % tp == 0 or tp % kv == 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerWeights:
    """Weights of one average layer, in numbers of parameters over all GPUs of a stage.

    Attributes:
        dense: attention, dense feed-forward and shared experts: visited by every token.
        expert: one routed expert of an average layer.
        experts: routed experts of an average layer (not whole where some layers are dense).
    """

    dense: float
    expert: float
    experts: float


def layer_weights(architecture: Architecture) -> LayerWeights:
    """Parameters of one average layer, from the Hugging Face configuration values."""
    a = architecture
    attention = a.hidden * a.head_dim * (2 * a.heads + 2 * a.kv_heads)
    if not a.experts:
        return LayerWeights(dense=attention + 3 * a.hidden * a.ffn, expert=0.0, experts=0.0)
    dense_share = a.dense_layers / a.layers
    expert = 3.0 * a.hidden * a.moe_ffn
    dense = attention + dense_share * 3 * a.hidden * a.ffn + (1 - dense_share) * a.shared_experts * expert
    return LayerWeights(dense=dense, expert=expert, experts=(1 - dense_share) * a.experts)


def weight_bytes(quantisation: Quantisation, *, expert: bool) -> float:
    """Bytes per weight; MXFP4 holds experts in four bits and all else in bf16 (gpt-oss model card)."""
    if quantisation is Quantisation.MXFP4 and not expert:
        return BF16_BYTES
    return BYTES_PER_WEIGHT[quantisation]


def layer_bytes(architecture: Architecture, quantisation: Quantisation, tp: int) -> float:
    """Bytes of one layer's weights on each GPU."""
    weights = layer_weights(architecture)
    dense = weights.dense * weight_bytes(quantisation, expert=False)
    routed = weights.experts * weights.expert * weight_bytes(quantisation, expert=True)
    return (dense + routed) / tp


def vocabulary_bytes(architecture: Architecture, tp: int) -> float:
    """Bytes of the input embedding, or of the output head, on each GPU; both stay in bf16."""
    return architecture.vocabulary * architecture.hidden * BF16_BYTES / tp


def kv_bytes_per_token(architecture: Architecture, tp: int) -> float:
    """Bytes per GPU of one layer's KV of one token; KV heads and the MLA latent are replicated beyond their number."""
    if architecture.kv_lora_rank:
        return (architecture.kv_lora_rank + MLA_ROPE_DIM) * BF16_BYTES
    return 2 * max(1.0, architecture.kv_heads / tp) * architecture.head_dim * BF16_BYTES


def kv_bytes(architecture: Architecture, tp: int, tokens: float) -> float:
    """Bytes per GPU of one average layer's KV of a sequence of ``tokens``; windowed layers keep their window."""
    return kv_bytes_per_token(architecture, tp) * attended_tokens(architecture, tokens)


def attention_width(architecture: Architecture) -> float:
    """Mean width, over the scores and the values, of one head's products in attention over a prompt.

    With latent attention scores are taken over the head and its rotary part, values over the head alone.
    """
    if architecture.kv_lora_rank:
        return MLA_HEAD_DIM + MLA_ROPE_DIM / 2.0
    return architecture.head_dim


def attended_tokens(architecture: Architecture, tokens: float) -> float:
    """Tokens that one more token attends to, averaged over full and windowed layers."""
    if not architecture.sliding_window:
        return tokens
    full = architecture.full_attention_layers / architecture.layers
    return full * tokens + (1 - full) * min(tokens, architecture.sliding_window)


def room_bytes(architecture: Architecture, kind: GpuKind, tp: int, engine: EngineTerms) -> float:
    """Bytes on each GPU for weights and KV: the engine's share of memory less what it keeps for itself."""
    context = RUNTIME_GIB + (COMMUNICATOR_GIB if tp > 1 else 0.0)
    fraction, besides = engine.memory_fraction(kind.memory_gib), activation_bytes(architecture, tp)
    if engine.fraction_of_all:
        return (fraction * kind.memory_gib - context - GRAPHS_GIB) * GIB - besides
    # The fraction is of what is free once there is a context; the rest must hold graphs and activations.
    whole = (kind.memory_gib - context) * GIB
    return min(fraction * whole, whole - GRAPHS_GIB * GIB - besides)


def activation_bytes(architecture: Architecture, tp: int) -> float:
    """Peak of activations in a step of ``CHUNK_TOKENS``, bytes on each GPU.

    Residual, normalised input, attention output and their copies (eight times hidden), gate, up and product of the
    feed-forward block, and logits in fp32 with their probabilities. First order; vLLM measures it at start.
    """
    a = architecture
    wide = max(a.ffn, a.moe_ffn * a.experts_per_token)
    tokens = CHUNK_TOKENS * BF16_BYTES * (8 * a.hidden + 3 * wide / tp)
    return tokens + 2 * 4 * SAMPLED_SEQUENCES * a.vocabulary / tp
