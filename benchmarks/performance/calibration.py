"""Factors by which kernels' times are corrected, fitted to measurements and never to the rows that they are judged by.

A GPU kind has a factor for decode and one for prompts: what its kernels reach. An engine has seconds that it adds to
each layer of each step: launches without graphs, say. Engines that Atoll does not render so calibrate hardware only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.performance.measurements import Layer, Served
from benchmarks.performance.prediction import Predicted

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
FACTORS = np.geomspace(0.4, 3.0, 29)
OVERHEADS = np.array([0.0, 5.0, 10.0, 20.0, 40.0, 80.0, 120.0, 160.0, 240.0, 320.0]) * 1e-6
ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Factors by GPU kind and seconds per layer by engine; what was not fitted takes the median of what was.

    Attributes:
        decode: factors of decode steps.
        prompt: factors of prompts.
        overhead: seconds for each layer and step.
    """

    decode: Mapping[str, float]
    prompt: Mapping[str, float]
    overhead: Mapping[str, float]


AS_SHIPPED = Calibration(decode={}, prompt={}, overhead={})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Measurements beside their estimates.

    Attributes:
        served: rows of served LLMs.
        predicted: of them, kernels alone.
        shipped: of them, as the product has it.
        layers: rows of single layers.
        layer_seconds: estimates of them.
    """

    served: Sequence[Served]
    predicted: Predicted
    shipped: Predicted
    layers: Sequence[Layer]
    layer_seconds: Array

    def errors(self, with_: Calibration) -> tuple[Array, Array, Array]:
        """Logarithm of estimate over measurement: TPOT and rate of served rows, seconds of layers."""
        kinds, engines = [row.gpu_kind for row in self.served], [row.engine for row in self.served]
        tpot, rate = self.predicted.tpot_and_rate(
            _of(with_.decode, kinds, 1.0), _of(with_.prompt, kinds, 1.0), _of(with_.overhead, engines, 0.0)
        )
        factors = np.where(
            [row.decode for row in self.layers],
            _of(with_.decode, [row.gpu_kind for row in self.layers], 1.0),
            _of(with_.prompt, [row.gpu_kind for row in self.layers], 1.0),
        )
        whole = factors * self.layer_seconds + _of(with_.overhead, [row.source for row in self.layers], 0.0)
        return (
            np.log(tpot / np.array([row.tpot_seconds for row in self.served])),
            np.log(rate / np.array([row.rate for row in self.served])),
            np.log(whole / np.array([row.seconds for row in self.layers])),
        )


def calibrate(evidence: Evidence, use: Mask, use_layers: Mask) -> Calibration:
    """Fit by least absolute logarithms, kinds and engines in turn.

    Args:
        evidence: all measurements.
        use: served rows to fit to.
        use_layers: layers to fit to.
    """
    kinds = {row.gpu_kind for row, used in zip(evidence.served, use, strict=True) if used}
    kinds |= {row.gpu_kind for row, used in zip(evidence.layers, use_layers, strict=True) if used}
    engines = {row.engine for row, used in zip(evidence.served, use, strict=True) if used}
    engines |= {row.source for row, used in zip(evidence.layers, use_layers, strict=True) if used}
    decode, prompt = dict.fromkeys(sorted(kinds), 1.0), dict.fromkeys(sorted(kinds), 1.0)
    overhead = dict.fromkeys(sorted(engines), 0.0)
    of_kind = np.array([row.gpu_kind for row in evidence.served])
    of_engine = np.array([row.engine for row in evidence.served])
    layer_kind = np.array([row.gpu_kind for row in evidence.layers])
    layer_engine = np.array([row.source for row in evidence.layers])

    def loss(rows: Mask, layers: Mask) -> float:
        tpot, rate, single = evidence.errors(Calibration(decode=decode, prompt=prompt, overhead=overhead))
        return float(np.abs(tpot[rows]).sum() + np.abs(rate[rows]).sum() + np.abs(single[layers]).sum())

    def best(table: dict[str, float], name: str, choices: Array, rows: Mask, layers: Mask) -> None:
        losses = []
        for choice in choices:
            table[name] = float(choice)
            losses.append(loss(rows, layers))
        table[name] = float(choices[int(np.argmin(losses))])

    for _ in range(ROUNDS):
        for kind in decode:
            rows, layers = use & (of_kind == kind), use_layers & (layer_kind == kind)
            best(decode, kind, FACTORS, rows, layers)
            best(prompt, kind, FACTORS, rows, layers)
        for engine in overhead:
            best(overhead, engine, OVERHEADS, use & (of_engine == engine), use_layers & (layer_engine == engine))
    return Calibration(decode=decode, prompt=prompt, overhead=overhead)


def _of(table: Mapping[str, float], names: Sequence[str], neutral: float) -> Array:
    unknown = float(np.median(list(table.values()))) if table else neutral
    return np.array([table.get(name, unknown) for name in names])
