"""The declared space of strategies; "lossless" in stage one means over it.

Pipelines of one GPU kind, or of two with all stages of one before those of the other where the engine can; one
tensor-parallel width for all stages (the engines ask for equal widths); as many stages as the engine's terms allow.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.engineterms import TERMS, EngineTerms
from atoll.domain.gpu import GpuKind
from atoll.performance.memory import supported, width_fits

WIDTHS = tuple(sorted({width for terms in TERMS.values() for width in terms.widths}))
"""Tensor-parallel widths of any engine: powers of two, for which the packing rows of stage two are exact."""


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
    engine: EngineTerms,
) -> Iterator[Layout]:
    """All layouts, in a stable order.

    Args:
        architecture: of the served model.
        quantisations: allowed ones.
        kinds: GPU kinds on offer, by name.
        widths: GPUs of the largest node on offer, by GPU kind.
        engine: what it can run.
    """
    for quantisation in quantisations:
        for tp in engine.widths:
            if not width_fits(architecture, tp, quantisation):
                continue
            able = [
                name
                for name, kind in kinds.items()
                if widths[name] >= tp and supported(architecture, kind, quantisation, engine)
            ]
            ordered = sorted(able, key=lambda name: (kinds[name].memory_gbps, name))
            for stages in _pipelines(ordered, min(engine.most_stages, architecture.layers), engine.most_kinds):
                yield Layout(kinds=stages, tp=tp, quantisation=quantisation)


def _pipelines(names: list[str], most: int, most_kinds: int) -> Iterator[tuple[str, ...]]:
    """Sequences of stages; of two kinds the one with the faster memory comes last, where the output head is."""
    for name in names:
        for depth in range(1, most + 1):
            yield (name,) * depth
    for slow, fast in combinations(names, 2) if most_kinds > 1 else ():
        for depth in range(2, most + 1):
            for count in range(1, depth):
                yield (slow,) * count + (fast,) * (depth - count)
