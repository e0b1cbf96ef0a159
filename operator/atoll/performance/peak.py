"""The least that steps can take, by the data sheet alone: what is faster was not computed."""

from dataclasses import replace

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.gpu import GpuKind
from atoll.performance.roofline import Efficiency, RooflineCosts, roofline

PEAK = Efficiency(
    memory=1.0,
    expert_memory=1.0,
    kv_memory=1.0,
    compute=1.0,
    expert_compute=1.0,
    attention=1.0,
    link=1.0,
    reduce_seconds=0.0,
    layer_seconds=0.0,
    expected_error=0.0,
)
"""Every product and every byte at the peak, nothing for launches and latencies."""


def peak(architecture: Architecture, kind: GpuKind, tp: int, quantisation: Quantisation) -> RooflineCosts:
    """Steps at the peaks of the data sheet; products of narrow weights in fp8 wherever there are units for it."""
    narrow = quantisation is not Quantisation.BF16 and kind.tflops_fp8 > 0.0
    fastest = replace(kind, tflops_bf16=kind.tflops_fp8) if narrow else kind
    return replace(roofline(architecture, fastest, tp, quantisation), efficiency=PEAK)
