"""Step times from the shipped silicon tables, interpolated.

``step_latency.csv.gz`` holds milliseconds per step of whole served models by GPU kind, width, batch and context, made
with NVIDIA aiconfigurator 0.12.0 from kernel measurements (NOTICE.md). They are estimates from measured kernels, within
4 to 8 % of silicon for Llama-70B and 16 to 39 % for some others.
"""

import csv
import gzip
import io
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from atoll.catalogue.architectures import architecture as known_architecture
from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.gpu import GpuKind
from atoll.domain.strategy import PerformanceSource
from atoll.performance.memory import BF16_BYTES
from atoll.performance.roofline import RooflineCosts, roofline

Array = NDArray[np.float64]
EXPECTED_ERROR = 0.2
"""Between the two ranges above."""
FP8_KV_BYTES = 1.0
"""Bytes of a value of KV in the tables of fp8 weights, and in no others: their steps grow half as fast with the context
as those of bf16 weights do. Engines as Atoll runs them keep KV in bf16."""
MEASURED_ERROR = {"H100-80GB": 0.15, "H200-141GB": 0.1}
"""By GPU kind on which engines were measured that these tables tell, with the engines' share fitted without the LLM
itself: what 80 and 90 % of the loads need is 0.12 to 0.14 and 0.05 to 0.06. No table is surer than a profile."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Whole-model step times of one served model, quantisation, GPU kind and width.

    Attributes:
        prompts: log2 of prompt lengths, tokens.
        prefill: log of seconds by prompt length.
        batches: log2 of decode batches.
        contexts: log2 of context lengths, tokens.
        decode: log of seconds by batch and context.
    """

    prompts: Array
    prefill: Array
    batches: Array
    contexts: Array
    decode: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class SiliconCosts:
    """Step costs of one stage from a table; the split into layers and head follows the roofline's shares."""

    table: Table
    shares: RooflineCosts

    @property
    def source(self) -> PerformanceSource:
        """Always the silicon tables."""
        return PerformanceSource.SILICON_TABLE

    @property
    def expected_error(self) -> float:
        """Of the tables on kinds where engines were measured, or of the tables as a whole."""
        return MEASURED_ERROR.get(self.shares.kind.name, EXPECTED_ERROR)

    def prefill_layer(self, tokens: Array) -> Array:
        """Interpolated in logarithms; beyond the longest prompt the last slope goes on."""
        table = self.table
        whole = np.exp(_interpolate(np.log2(np.maximum(tokens, 1.0)), table.prompts, table.prefill))
        layers = self.shares.prefill_layer(tokens) * self.shares.architecture.layers
        head = self.shares.head(np.ones_like(tokens))
        seconds: Array = whole * layers / (layers + head) / self.shares.architecture.layers
        return seconds

    def decode_layer(self, batch: Array, context: float) -> Array:
        """Interpolated in logarithms of batch and context; beyond the longest context the last slope goes on."""
        layers = self.shares.decode_layer(batch, context) * self.shares.architecture.layers
        share = layers / (layers + self.shares.head(batch))
        # Half as many bytes a token are as many as those of half as many tokens.
        told = context * (BF16_BYTES / FP8_KV_BYTES if self.shares.quantisation is Quantisation.FP8 else 1.0)
        return self._decode(batch, told) * share / self.shares.architecture.layers

    def saved_layer(self, batch: Array, tokens: Array) -> Array:
        """The roofline's share of the prefill or of the decode step, the lesser: the tables know no step of both."""
        saved, context = self.shares.saved_layer(batch, tokens), float(2 ** self.table.contexts[0])
        of_prefill = saved / self.shares.prefill_layer(tokens) * self.prefill_layer(tokens)
        of_decode = saved / self.shares.decode_layer(batch, context) * self.decode_layer(batch, context)
        return np.minimum(of_prefill, of_decode)

    def head(self, batch: Array) -> Array:
        """The roofline's share of the shortest context's step."""
        context = float(2 ** self.table.contexts[0])
        head = self.shares.head(batch)
        layers = self.shares.decode_layer(batch, context) * self.shares.architecture.layers
        return self._decode(batch, context) * head / (layers + head)

    def _decode(self, batch: Array, context: float) -> Array:
        table = self.table
        at_context = np.array([_interpolate(np.log2([context]), table.contexts, row)[0] for row in table.decode])
        return np.exp(_interpolate(np.log2(np.maximum(batch, 1.0)), table.batches, at_context))


def silicon(architecture: Architecture, kind: GpuKind, tp: int, quantisation: Quantisation) -> SiliconCosts | None:
    """Costs from the tables; None where they hold no served model of this architecture on this GPU kind and width."""
    table = _tables().get((_shape(architecture), quantisation, kind.name, tp))
    if table is None:
        return None
    return SiliconCosts(table=table, shares=roofline(architecture, kind, tp, quantisation))


def _interpolate(x: Array, grid: Array, values: Array) -> Array:
    """Piecewise linear; constant below the grid, the last slope beyond it."""
    beyond = np.maximum(x - grid[-1], 0.0) * (values[-1] - values[-2]) / (grid[-1] - grid[-2])
    values_at_x: Array = np.interp(x, grid, values) + beyond
    return values_at_x


def _shape(architecture: Architecture) -> Architecture:
    """What step times depend on: Llama 3.3 70B runs as Llama 3.1 70B does."""
    return replace(architecture, name="", max_context=0)


@cache
def _tables() -> dict[tuple[Architecture, Quantisation, str, int], Table]:
    packed = files(__package__).joinpath("step_latency.csv.gz").read_bytes()
    points: dict[tuple[str, str, str, int], list[dict[str, str]]] = defaultdict(list)
    for row in csv.DictReader(io.StringIO(gzip.decompress(packed).decode())):
        points[row["architecture"], row["quantisation"], row["gpu_kind"], int(row["tp"])].append(row)
    return {
        (_shape(known_architecture(name)), Quantisation(quantisation), kind, tp): _table(rows)
        for (name, quantisation, kind, tp), rows in points.items()
    }


def _table(rows: list[dict[str, str]]) -> Table:
    """Arrays of one table, made monotone: a larger step never takes less, so noise cannot make a rate jump."""
    prefill = {int(row["tokens"]): float(row["ms"]) for row in rows if row["phase"] == "prefill"}
    decode = {(int(row["batch"]), int(row["tokens"])): float(row["ms"]) for row in rows if row["phase"] == "decode"}
    prompts = sorted(prefill)
    batches = sorted({batch for batch, _ in decode})
    contexts = sorted({context for _, context in decode})
    grid = np.array([[decode[batch, context] for context in contexts] for batch in batches]) / 1e3
    monotone = np.maximum.accumulate(np.maximum.accumulate(grid, axis=0), axis=1)
    return Table(
        prompts=np.log2(prompts),
        prefill=np.log(np.maximum.accumulate(np.array([prefill[tokens] for tokens in prompts]) / 1e3)),
        batches=np.log2(batches),
        contexts=np.log2(contexts),
        decode=np.log(monotone),
    )
