"""Step times from arithmetic, memory traffic and communication, with stated efficiencies per GPU kind.

The efficiencies of A100-80GB, L40S, RTX PRO 6000, H100 and H200 are fitted to the silicon tables (``silicon``). Kinds
without tables take those of the nearest kind that has them, calibrated where single layers were measured, with a larger
expected error. ``python -m benchmarks.performance`` holds them against measurements.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.engineterms import expert_parallel
from atoll.domain.gpu import GpuKind, Interconnect
from atoll.domain.strategy import PerformanceSource
from atoll.performance.memory import (
    BF16_BYTES,
    attention_width,
    kv_bytes,
    layer_weights,
    vocabulary_bytes,
    weight_bytes,
)

Array = NDArray[np.float64]
LARGEST_OF = {2: 0.564, 4: 1.029, 8: 1.424}
"""Expected largest of so many standard normals (Harter, Biometrika 48, 1961)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """Shares of the data sheet's peaks that kernels reach, and what each layer costs besides.

    Attributes:
        memory: of bandwidth, reading dense weights.
        expert_memory: of bandwidth, reading experts' weights.
        kv_memory: of bandwidth, reading KV in decode.
        compute: of dense throughput, in large matrix products.
        expert_compute: of dense throughput, in grouped products of experts.
        attention: of dense throughput, in attention over a prompt.
        link: of the interconnect's bandwidth, in an all-reduce.
        reduce_seconds: latency of one all-reduce.
        layer_seconds: launches, norms and the like, per layer.
        expected_error: expected error of a step: standard deviation of the logarithm of true over estimated time.
    """

    memory: float
    expert_memory: float
    kv_memory: float
    compute: float
    expert_compute: float
    attention: float
    link: float
    reduce_seconds: float
    layer_seconds: float
    expected_error: float


FITTED = {
    # Error against the silicon tables, median and 90th percentile: 0.05 and 0.15.
    "A100-80GB": Efficiency(
        memory=0.73,
        expert_memory=0.78,
        kv_memory=0.7,
        compute=0.77,
        expert_compute=0.27,
        attention=0.9,
        link=0.29,
        reduce_seconds=29e-6,
        layer_seconds=9e-6,
        expected_error=0.15,
    ),
    # Error against the silicon tables, median and 90th percentile: 0.09 and 0.23.
    "H100-80GB": Efficiency(
        memory=0.92,
        expert_memory=0.76,
        kv_memory=0.9,
        compute=0.67,
        expert_compute=0.24,
        attention=0.9,
        link=0.49,
        reduce_seconds=18e-6,
        layer_seconds=26e-6,
        expected_error=0.2,
    ),
    # Error against the silicon tables, median and 90th percentile: 0.09 and 0.26; rate of engines, without this kind in
    # their share: 0.09 and 0.43.
    "H200-141GB": Efficiency(
        memory=0.88,
        expert_memory=0.66,
        kv_memory=0.93,
        compute=0.7,
        expert_compute=0.26,
        attention=0.9,
        link=0.5,
        reduce_seconds=11e-6,
        layer_seconds=41e-6,
        expected_error=0.3,
    ),
    # Error against the silicon tables, median and 90th percentile: 0.10 and 0.40.
    "L40S-48GB": Efficiency(
        memory=0.8,
        expert_memory=0.9,
        kv_memory=0.84,
        compute=0.61,
        expert_compute=0.44,
        attention=0.28,
        link=0.105,
        reduce_seconds=13e-6,
        layer_seconds=31e-6,
        expected_error=0.3,
    ),
    # Error against the silicon tables, median and 90th percentile: 0.08 and 0.27.
    "RTX-PRO-6000-96GB": Efficiency(
        memory=0.95,
        expert_memory=0.95,
        kv_memory=0.93,
        compute=0.74,
        expert_compute=0.43,
        attention=0.9,
        link=0.3,
        reduce_seconds=19e-6,
        layer_seconds=40e-6,
        expected_error=0.2,
    ),
}
"""Fitted to the silicon tables by mean absolute error of the logarithm, 1,600 to 2,000 points each."""

UNFITTED_ERROR = 0.4
"""Expected error where the efficiencies are those of another kind."""

V100 = replace(FITTED["A100-80GB"], memory=0.77, compute=0.71, expert_compute=0.25, expected_error=0.3)

EFFICIENCIES = {
    **FITTED,
    # Helix measured single layers of LLaMA 30B and Llama 2 70B on these (github.com/Thesys-lab/Helix-ASPLOS25,
    # Apache-2.0; benchmarks/data/performance). Errors, median and 90th percentile: L4 0.04 and 0.09, T4 0.03 and 0.11,
    # V100 0.02 and 0.09. The 72 W of an L4 do not sustain the sheet's throughput. What engines add on these kinds was
    # not measured, but for an old one on T4.
    "L4-24GB": replace(FITTED["L40S-48GB"], compute=0.43, expert_compute=0.31, expected_error=0.3),
    "T4-16GB": replace(
        FITTED["L40S-48GB"], memory=0.75, compute=0.42, expert_compute=0.3, link=0.25, expected_error=UNFITTED_ERROR
    ),
    "V100-16GB": V100,
    "V100-32GB": V100,
    "A10G-24GB": replace(FITTED["L40S-48GB"], expected_error=UNFITTED_ERROR),
    "A100-40GB": replace(FITTED["A100-80GB"], expected_error=0.2),
    # Rate of engines, without this kind in their share, median and 90th percentile: 0.10 and 0.31.
    "B200-180GB": replace(FITTED["H200-141GB"], expected_error=0.15),
}
"""By name of the GPU kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RooflineCosts:
    """Step costs of one stage by roofline."""

    architecture: Architecture
    kind: GpuKind
    tp: int
    quantisation: Quantisation
    efficiency: Efficiency

    @property
    def source(self) -> PerformanceSource:
        """Always roofline."""
        return PerformanceSource.ROOFLINE

    @property
    def expected_error(self) -> float:
        """Of the GPU kind's efficiencies."""
        return self.efficiency.expected_error

    def prefill_layer(self, tokens: Array) -> Array:
        """Linear part of all tokens, causal attention among them, all-reduces."""
        a = self.architecture
        # Two products of n x n/2 x heads x head_dim multiply-adds; a windowed layer attends to its window only.
        full = a.full_attention_layers / a.layers if a.sliding_window else 1.0
        attended = full * tokens / 2 + (1.0 - full) * np.minimum(tokens / 2, a.sliding_window)
        flops = 4.0 * a.heads * attention_width(a) * tokens * attended / self.tp
        attention = flops / (self._bf16_flops * self.efficiency.attention)
        seconds: Array = self._linear(tokens) + attention + self._reduces(tokens) + self.efficiency.layer_seconds
        return seconds

    def decode_layer(self, batch: Array, context: float) -> Array:
        """Linear part of one token per sequence, reading of their KV, all-reduces."""
        kv = batch * kv_bytes(self.architecture, self.tp, context)
        read = kv / (self._bandwidth * self.efficiency.kv_memory)
        return self._linear(batch) + read + self._reduces(batch) + self.efficiency.layer_seconds

    def saved_layer(self, batch: Array, tokens: Array) -> Array:
        """Weights read twice, and the overheads of one of the two steps."""
        twice = self._linear(batch) + self._linear(tokens) - self._linear(batch + tokens)
        reduces = 2.0 * self.efficiency.reduce_seconds if self.tp > 1 else 0.0
        return np.maximum(twice, 0.0) + self.efficiency.layer_seconds + reduces

    def head(self, batch: Array) -> Array:
        """Product with the output head in bf16."""
        held = vocabulary_bytes(self.architecture, self.tp)
        flops = 2.0 * batch * held / BF16_BYTES
        read = held / (self._bandwidth * self.efficiency.memory)
        return np.maximum(read, flops / (self._bf16_flops * self.efficiency.compute))

    @property
    def _bandwidth(self) -> float:
        return self.kind.memory_gbps * 1e9

    @property
    def _bf16_flops(self) -> float:
        return self.kind.tflops_bf16 * 1e12

    @property
    def _flops(self) -> float:
        """Narrow weights are widened to bf16 before the product (Marlin), but in fp8 where there are units for it."""
        narrow = self.quantisation is Quantisation.FP8 and self.kind.tflops_fp8 > 0.0
        return self.kind.tflops_fp8 * 1e12 if narrow else self._bf16_flops

    def _linear(self, tokens: Array) -> Array:
        """Seconds of the products with weights, dense and experts apart: the longer of reading and multiplying."""
        weights = layer_weights(self.architecture)
        held = weights.dense * weight_bytes(self.quantisation, expert=False) / self.tp
        read = held / (self._bandwidth * self.efficiency.memory)
        multiply = 2.0 * weights.dense * tokens / self.tp / (self._flops * self.efficiency.compute)
        return np.maximum(read, multiply) + self._experts(tokens)

    def _experts(self, tokens: Array) -> Array:
        """Seconds of the routed experts; a step reads the distinct experts that its tokens are expected to visit."""
        a, weights = self.architecture, layer_weights(self.architecture)
        if not a.experts:
            return np.zeros_like(tokens)
        met = 1.0 - (1.0 - a.experts_per_token / a.experts) ** tokens
        read, visits = weights.experts / self.tp * met, tokens * a.experts_per_token / self.tp
        if expert_parallel(a, self.tp, self.quantisation):
            # The layer waits for the GPU with the most to do. Routing is taken as even; skewed routing is slower.
            largest, whole = LARGEST_OF[self.tp], a.experts / self.tp
            read = read * np.minimum(1.0 + largest * np.sqrt((1.0 - met) / (whole * met)), 1.0 / met)
            visits = visits + largest * np.sqrt(visits * (1.0 - 1.0 / self.tp))
        held = read * weights.expert * weight_bytes(self.quantisation, expert=True)
        flops = 2.0 * visits * weights.experts / a.experts * weights.expert
        multiply = flops / (self._flops * self.efficiency.expert_compute)
        return np.maximum(held / (self._bandwidth * self.efficiency.expert_memory), multiply)

    def _reduces(self, tokens: Array) -> Array:
        """Two ring all-reduces of the residual per layer (Megatron-LM, arXiv 1909.08053, section 3)."""
        if self.tp == 1:
            return np.zeros_like(tokens)
        sent = 2.0 * (self.tp - 1) / self.tp * tokens * self.architecture.hidden * BF16_BYTES
        seconds = sent / (self.kind.interconnect_gbps * 1e9 * self.efficiency.link)
        return 2.0 * (self.efficiency.reduce_seconds + seconds)


def roofline(architecture: Architecture, kind: GpuKind, tp: int, quantisation: Quantisation) -> RooflineCosts:
    """Roofline of one stage; a GPU kind without stated efficiencies takes those of the kind of its interconnect."""
    nearest = "A100-80GB" if kind.interconnect is Interconnect.NVLINK else "L40S-48GB"
    unknown = replace(FITTED[nearest], expected_error=UNFITTED_ERROR)
    return RooflineCosts(
        architecture=architecture,
        kind=kind,
        tp=tp,
        quantisation=quantisation,
        efficiency=EFFICIENCIES.get(kind.name, unknown),
    )
