"""The declared space of strategies; "lossless" in stage one means over it.

Pipelines of one GPU kind, or where the engine can of two or three with all stages of one before those of the next; one
tensor-parallel width for all stages (the engines ask for equal widths); as many stages as the engine's terms allow. Of
several kinds only those that deliver more than their stages do in pipelines of fewer kinds (``parts``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

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
            for stages in _pipelines(ordered, [min(depth, architecture.layers) for depth in engine.deepest]):
                yield Layout(kinds=stages, tp=tp, quantisation=quantisation)


def _pipelines(names: list[str], deepest: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """Sequences of stages; the kind with the fastest memory comes last, where the output head is."""
    for kinds, most in enumerate(deepest, 1):
        for chosen in combinations(names, kinds):
            for depth in range(kinds, most + 1):
                for cuts in combinations(range(1, depth), kinds - 1):
                    counts = (until - since for since, until in pairwise((0, *cuts, depth)))
                    yield tuple(name for name, count in zip(chosen, counts, strict=True) for _ in range(count))
