"""What prefill and decode replicas must have in common for one to go on with the KV of the other.

Both engines check it when they meet: vLLM hashes the served model, the types of activations and KV and the name of the
attention kernels (``nixl/metadata.py``, ``compute_nixl_compatibility_hash``), SGLang compares page size and type of KV
(``disaggregation/common/conn.py``, ``try_ensure_parallel_info``). Which kernels an engine takes follows from the GPU's
generation, so GPU kinds pair by generation; docs/engines.md lists where that was seen.
"""

from atoll.domain.architecture import Architecture
from atoll.domain.engineterms import Attention, EngineTerms
from atoll.domain.gpu import GpuKind

LEAST_GENERATION = 8
"""Older GPUs have no bf16: their KV is fp16, that of the others is not."""
DATA_CENTRE_BLACKWELL = 10
"""Both engines have other kernels and other pages there, whatever the attention."""


def kv_form(architecture: Architecture, kind: GpuKind, engine: EngineTerms) -> str:
    """How KV is laid out on a GPU kind: replicas of equal forms can read each other's; empty where none can."""
    generation = int(kind.compute_capability)
    if generation < LEAST_GENERATION:
        return ""
    if generation == DATA_CENTRE_BLACKWELL or Attention.of(architecture) in engine.kernels_by_generation:
        return f"sm{generation}0"
    return "common"


def width_pairs(architecture: Architecture, engine: EngineTerms) -> tuple[tuple[int, int], ...]:
    """Widths of prefill and decode that an engine hands KV over between.

    Prefill is never the wider side: it splits work that one GPU does as well, while decode needs memory and its step
    to be short.
    """
    widens = Attention.of(architecture) in engine.hands_over_to_wider
    return tuple(
        (prefill, decode)
        for prefill in engine.widths
        for decode in engine.widths
        if prefill == decode or (widens and prefill < decode)
    )
