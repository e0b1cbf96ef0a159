"""What an engine adds to the time of its kernels: scheduling, sampling, gaps between launches.

Tables and rooflines know kernels alone. The factors are fitted by least absolute logarithms to served loads of vLLM and
SGLang on H100, H200 and B200 (October 2025 to April 2026, benchmarks/data/performance). ``python -m
benchmarks.performance`` fits them again without each LLM and without each GPU kind, and judges by what was left out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.strategy import EngineName, PerformanceSource
from atoll.performance.steps import StepCosts

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineShare:
    """Factors of the kernels' time, and seconds besides.

    Attributes:
        decode: of a decode step.
        prompt: of what a prompt adds to the steps that it joins.
        blocks: of both besides, where vLLM runs experts published in fp8 with a scale for each block.
        sequence: seconds of a step for each sequence in it, where SGLang runs. Its scheduler goes through the requests
            of a step one by one in Python (``process_batch_result_decode`` and ``stream_output`` of its
            scheduler_output_processor_mixin.py). vLLM schedules the next step meanwhile: it was fitted as 0.
    """

    decode: float
    prompt: float
    blocks: float
    sequence: float


ENGINE_SHARE = EngineShare(decode=1.07, prompt=1.2, blocks=1.2, sequence=20e-6)
"""Of both engines. Without one LLM decode is fitted as 1.07 to 1.1, blocks as 1.1 (without Qwen3-235B) to 1.4 (without
MiniMax-M2.5): of the two only vLLM was measured. SGLang shows no such surplus on DeepSeek and Qwen3-235B."""


def runs_blocks(architecture: Architecture, quantisation: Quantisation, engine: EngineName) -> bool:
    """Whether vLLM runs experts whose fp8 weights have a scale for each block."""
    published = architecture.native is Quantisation.FP8 and quantisation is Quantisation.FP8
    return engine is EngineName.VLLM and bool(architecture.experts) and published


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCosts:
    """What kernels take, with what an engine adds: source and expected error stay those of the kernels' times.

    Attributes:
        kernels: of one stage.
        decode: factor of decode steps and of the head.
        prompt: factor of what prompts add.
        sequence: seconds for each sequence of a step, spent once a step: where the head is.
    """

    kernels: StepCosts
    decode: float
    prompt: float
    sequence: float

    @property
    def source(self) -> PerformanceSource:
        """Of the kernels' times."""
        return self.kernels.source

    @property
    def expected_error(self) -> float:
        """Of the kernels' times; where engines were measured, with their share."""
        return self.kernels.expected_error

    def prefill_layer(self, tokens: Array) -> Array:
        """The kernels' time with the engine's share."""
        return self.prompt * self.kernels.prefill_layer(tokens)

    def decode_layer(self, batch: Array, context: float) -> Array:
        """The kernels' time with the engine's share."""
        return self.decode * self.kernels.decode_layer(batch, context)

    def saved_layer(self, batch: Array, tokens: Array) -> Array:
        """The kernels' time with the share of prompts: what a prompt adds, less what it saves, was fitted as one."""
        return self.prompt * self.kernels.saved_layer(batch, tokens)

    def head(self, batch: Array) -> Array:
        """The kernels' time with the engine's share, and its time for each sequence."""
        return self.decode * self.kernels.head(batch) + self.sequence * batch


def with_engine(
    kernels: StepCosts, architecture: Architecture, quantisation: Quantisation, engine: EngineName
) -> EngineCosts:
    """An engine's steps from its kernels' times."""
    share = ENGINE_SHARE
    blocks = share.blocks if runs_blocks(architecture, quantisation, engine) else 1.0
    sequence = share.sequence if engine is EngineName.SGLANG else 0.0
    return EngineCosts(kernels=kernels, decode=share.decode * blocks, prompt=share.prompt * blocks, sequence=sequence)
