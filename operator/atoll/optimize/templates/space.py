"""The declared space of strategies; "lossless" in stage one means over it.

Pipelines of one GPU kind, or of two with all stages of one before those of the other; one tensor-parallel width for all
stages (vLLM asks for equal widths); up to ``MOST_STAGES`` stages.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.gpu import GpuKind
from atoll.performance.memory import supported, width_fits

WIDTHS = (1, 2, 4, 8)
"""Tensor-parallel widths: powers of two, for which the packing rows of stage two are exact."""
MOST_STAGES = 8
"""Deepest pipeline. Each stage adds a hop to every token, and no published fleet runs deeper ones across nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A strategy but for its layers: which kinds in which order, how wide, weights held how."""

    kinds: tuple[str, ...]
    tp: int
    quantisation: Quantisation


def layouts(
    architecture: Architecture,
    quantisations: tuple[Quantisation, ...],
    kinds: Mapping[str, GpuKind],
    widths: Mapping[str, int],
) -> Iterator[Layout]:
    """All layouts, in a stable order.

    Args:
        architecture: of the served model.
        quantisations: allowed ones.
        kinds: GPU kinds on offer, by name.
        widths: GPUs of the largest node on offer, by GPU kind.
    """
    for quantisation in quantisations:
        for tp in WIDTHS:
            if not width_fits(architecture, tp):
                continue
            able = [
                name
                for name, kind in kinds.items()
                if widths[name] >= tp and supported(architecture, kind, quantisation)
            ]
            for stages in _pipelines(
                sorted(able, key=lambda name: (kinds[name].memory_gbps, name)), architecture.layers
            ):
                yield Layout(kinds=stages, tp=tp, quantisation=quantisation)


def _pipelines(names: list[str], layers: int) -> Iterator[tuple[str, ...]]:
    """Sequences of stages; of two kinds the one with the faster memory comes last, where the output head is."""
    most = min(MOST_STAGES, layers)
    for name in names:
        for depth in range(1, most + 1):
            yield (name,) * depth
    for slow, fast in combinations(names, 2):
        for depth in range(2, most + 1):
            for count in range(1, depth):
                yield (slow,) * count + (fast,) * (depth - count)
