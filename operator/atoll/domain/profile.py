"""Measured performance of a served model on one GPU kind and width."""

from dataclasses import dataclass

from atoll.domain.architecture import Quantisation
from atoll.domain.strategy import EngineName, Phase

__all__ = ["PerformanceProfile", "Phase", "ProfilePoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePoint:
    """One measured step of the whole model, all its layers.

    Attributes:
        phase: which kind of step.
        sequences: in the batch.
        tokens: per sequence: of the prompt for prefill, of the context for decode.
        seconds: time of the step, seconds.
    """

    phase: Phase
    sequences: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceProfile:
    """One PerformanceProfile, parsed; it wins over every estimate.

    Attributes:
        name: of the object.
        architecture: Hugging Face name.
        gpu_kind: name of the GPU kind.
        tp: tensor-parallel width, GPUs.
        quantisation: how weights were held.
        engine: that was measured.
        points: measured steps.
    """

    name: str
    architecture: str
    gpu_kind: str
    tp: int
    quantisation: Quantisation
    engine: EngineName
    points: tuple[ProfilePoint, ...]
