"""What each engine can run and on which terms: stage one plans by it, and rendering passes it on.

The one description of an engine. docs/engines.md lists where each figure and rule was seen in the engine's source.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.strategy import EngineName

MEMORY_FRACTION = 0.90
"""Share of device memory that vLLM takes (``--gpu-memory-utilization``), all that it allocates included."""

CHUNK_TOKENS = 2048
"""Most prompt tokens in one engine step (vLLM ``--max-num-batched-tokens``, SGLang ``--chunked-prefill-size``)."""

FP8_BLOCK = 128
"""Width of the blocks that share a scale in weights published in fp8 (``weight_block_size`` of DeepSeek, Qwen3-FP8 and
MiniMax); both engines refuse shards of experts that are no multiple of it."""


class Attention(StrEnum):
    """What a served model's attention keeps of its context."""

    FULL = "full"
    WINDOWED = "windowed"
    LATENT = "latent"

    @classmethod
    def of(cls, architecture: Architecture) -> "Attention":
        """That of an architecture: latent, windowed in some layers, or all of the context in all of them."""
        if architecture.kv_lora_rank:
            return cls.LATENT
        return cls.WINDOWED if architecture.sliding_window else cls.FULL


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTerms:
    """One engine.

    Attributes:
        name: which.
        widths: tensor-parallel widths, GPUs of a stage; powers of two, for which packing rows are exact.
        deepest: most stages planned in a pipeline of one GPU kind, of two, and so on; each adds a hop to every token.
        most_sequences: most sequences in flight in one replica.
        on_loading: how weights can be quantised on loading: what the engine calls it, by published and held form.
        fraction_of_all: its memory fraction counts activations and graphs too; else weights and KV alone.
        kernels_by_generation: attention for which each GPU generation has kernels of its own, and KV as they want it.
        hands_over_to_wider: attention whose KV a wider replica of one stage can take over from a narrower one; for
            equal widths any will do.
    """

    name: EngineName
    widths: tuple[int, ...]
    deepest: tuple[int, ...]
    most_sequences: int
    on_loading: Mapping[tuple[Quantisation, Quantisation], str]
    fraction_of_all: bool
    kernels_by_generation: frozenset[Attention]
    hands_over_to_wider: frozenset[Attention]

    def holds(self, published: Quantisation, wanted: Quantisation) -> bool:
        """Whether weights published in one form can be held in another."""
        return wanted is published or (published, wanted) in self.on_loading

    def memory_fraction(self, memory_gib: float) -> float:
        """Share of device memory that the engine is told to take.

        SGLang's counts weights and KV alone, so what it sets aside for activations and graphs is kept free: its own
        rule (``arg_groups/memory_hook.py``: 0.5 GiB, 1.5 MiB per token of a chunk, up to 1 GiB for wide groups, and at
        least 10 GiB on GPUs of more than 60 GiB), rounded up.
        """
        if self.fraction_of_all:
            return MEMORY_FRACTION
        free = 10.0 if memory_gib > 60.0 else 5.0
        return round(1.0 - free / memory_gib, 3)


TERMS: Mapping[EngineName, EngineTerms] = MappingProxyType(
    {
        EngineName.VLLM: EngineTerms(
            name=EngineName.VLLM,
            widths=(1, 2, 4, 8),
            deepest=(8, 8, 4),
            most_sequences=1024,
            on_loading=MappingProxyType({(Quantisation.BF16, Quantisation.FP8): "fp8"}),
            fraction_of_all=True,
            # Flash attention is taken from Ampere on, but for attention sinks and latent KV (``platforms/cuda.py``).
            kernels_by_generation=frozenset({Attention.WINDOWED, Attention.LATENT}),
            hands_over_to_wider=frozenset({Attention.FULL}),
        ),
        EngineName.SGLANG: EngineTerms(
            name=EngineName.SGLANG,
            widths=(1, 2, 4, 8),
            # Every rank takes the least free memory of all ranks for its KV cache, and refuses to start where they
            # differ by a tenth: GPUs of another kind could not use what they have.
            deepest=(8,),
            most_sequences=1024,
            on_loading=MappingProxyType({(Quantisation.BF16, Quantisation.FP8): "fp8"}),
            fraction_of_all=False,
            # Pools hold tokens by head in pages of one token, whatever the kernels (``_page_size_default``).
            kernels_by_generation=frozenset(),
            # Head by head and token by token for other attention, with a warning; refused for windowed one.
            hands_over_to_wider=frozenset({Attention.LATENT}),
        ),
    }
)
"""By name; a pipeline in vLLM may have any number of GPU kinds, of which three at most are planned."""


def expert_parallel(architecture: Architecture, tp: int, quantisation: Quantisation) -> bool:
    """Whether the experts of a stage are dealt out whole to its GPUs, instead of a slice of each to every GPU.

    Only where slices cannot be had: weights published in fp8 blocks whose experts are too narrow for ``tp`` slices.
    Otherwise slices are better: they share out the load evenly, and both ways sum over the GPUs once per layer.
    """
    if not architecture.experts or tp == 1 or architecture.native is not Quantisation.FP8:
        return False
    return quantisation is Quantisation.FP8 and architecture.moe_ffn % (FP8_BLOCK * tp) != 0
