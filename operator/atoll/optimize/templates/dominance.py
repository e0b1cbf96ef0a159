"""Lossless pruning: a template goes only if another is at least as good in everything that stage two looks at."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from atoll.domain.architecture import Quantisation
from atoll.domain.strategy import Strategy, Template
from atoll.optimize.templates.space import WIDTHS

Array = NDArray[np.float64]


def cumulative_need(strategy: Strategy) -> dict[tuple[str, int], float]:
    """Left sides of the packing rows for one replica: sum over widths tp >= s of (tp / s) x stages, by kind and s.

    A template that needs no more in each of these can take another's place in every packing (design.md section 5).
    """
    return {
        (kind, width): strategy.tp / width * stages
        for kind, stages in strategy.need.items()
        for width in WIDTHS
        if width <= strategy.tp
    }


def undominated(
    templates: Sequence[Template],
    quantisations: Sequence[Quantisation],
    *,
    kept: frozenset[Strategy] = frozenset(),
) -> tuple[Template, ...]:
    """Templates that no other dominates, in the order given; of equals the first stays.

    A dominates B if A needs at most as much by GPU kind and cumulative width, delivers at least the rate, starts no
    later, and its quantisation ranks no worse.

    Args:
        templates: of one demand.
        quantisations: the demand's, best first.
        kept: strategies that stay whatever dominates them, because they run.
    """
    if not templates:
        return ()
    scores = _scores(templates, quantisations)
    best = np.empty_like(scores)
    stay, found = [], 0
    # Whatever dominates a row comes before it in this order, and dominance is transitive: the best so far suffice.
    for row in np.lexsort(scores.T[::-1]):
        dominated = bool(np.any(np.all(best[:found] <= scores[row], axis=1)))
        if not dominated:
            best[found] = scores[row]
            found += 1
        if not dominated or templates[row].strategy in kept:
            stay.append(row)
    return tuple(templates[row] for row in sorted(stay))


def _scores(templates: Sequence[Template], quantisations: Sequence[Quantisation]) -> Array:
    """One row per template, smaller is better in every column."""
    needs = [cumulative_need(template.strategy) for template in templates]
    columns = sorted({column for need in needs for column in need})
    ranks = {quantisation: rank for rank, quantisation in enumerate(quantisations)}
    return np.array(
        [
            [need.get(column, 0.0) for column in columns]
            + [
                -template.rate,
                template.startup_seconds,
                float(ranks.get(template.strategy.quantisation, len(ranks))),
            ]
            for need, template in zip(needs, templates, strict=True)
        ],
    )
