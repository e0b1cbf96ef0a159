"""What one GPU holds: weights, KV cache and what the engine keeps for itself.

All layers of a served model are counted alike: the leading dense layers of a mixture-of-experts model and the windowed
layers of a hybrid one are averaged over all layers.
"""

from dataclasses import dataclass

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.engineterms import CHUNK_TOKENS, MEMORY_FRACTION
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
BYTES_PER_WEIGHT = {
    Quantisation.BF16: 2.0,
    Quantisation.FP8: 1.0,
    # Blocks of 32 four-bit values share one eight-bit scale (OCP Microscaling formats 1.0).
    Quantisation.MXFP4: 4.25 / 8,
}


def supported(architecture: Architecture, kind: GpuKind, quantisation: Quantisation) -> bool:
    """Whether the weights can be held so on this GPU kind.

    Four-bit weights only where published so (held in four bits everywhere, arithmetic in bf16 by the Marlin kernels);
    fp8 only on kinds with fp8 units; bf16 only where published so.
    """
    match quantisation:
        case Quantisation.MXFP4:
            return architecture.native is Quantisation.MXFP4
        case Quantisation.FP8:
            return kind.tflops_fp8 > 0 and architecture.native is not Quantisation.MXFP4
        case Quantisation.BF16:
            return architecture.native is Quantisation.BF16


def width_fits(architecture: Architecture, tp: int) -> bool:
    """Whether ``tp`` GPUs can share the attention heads: they divide the heads, and divide or replicate KV heads."""
    kv = architecture.kv_heads
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


def attended_tokens(architecture: Architecture, tokens: float) -> float:
    """Tokens that one more token attends to, averaged over full and windowed layers."""
    if not architecture.sliding_window:
        return tokens
    full = architecture.full_attention_layers / architecture.layers
    return full * tokens + (1 - full) * min(tokens, architecture.sliding_window)


def room_bytes(architecture: Architecture, kind: GpuKind, tp: int) -> float:
    """Bytes on each GPU for weights and KV: the engine's share of memory less what it keeps for itself."""
    own = RUNTIME_GIB + GRAPHS_GIB + (COMMUNICATOR_GIB if tp > 1 else 0.0)
    return (MEMORY_FRACTION * kind.memory_gib - own) * GIB - activation_bytes(architecture, tp)


def activation_bytes(architecture: Architecture, tp: int) -> float:
    """Peak of activations in a step of ``CHUNK_TOKENS``, bytes on each GPU.

    Residual, normalised input, attention output and their copies (eight times hidden), gate, up and product of the
    feed-forward block, and logits in fp32 with their probabilities. First order; vLLM measures it at start.
    """
    a = architecture
    wide = max(a.ffn, a.moe_ffn * a.experts_per_token)
    tokens = CHUNK_TOKENS * BF16_BYTES * (8 * a.hidden + 3 * wide / tp)
    return tokens + 2 * 4 * SAMPLED_SEQUENCES * a.vocabulary / tp
