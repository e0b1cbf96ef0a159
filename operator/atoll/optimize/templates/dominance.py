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

    k copies of A dominate B if together they need at most as much by GPU kind and cumulative width and deliver at least
    the rate, and each starts no later and its quantisation ranks no worse. Then k replicas of A can take the place of
    one of B in every solution: packing, demand, spot share and budget rows hold as before, their nodes and their starts
    cost no more, and least numbers of replicas and domains are met by more replicas in the same place.

    Args:
        templates: of one demand.
        quantisations: the demand's, best first.
        kept: strategies that stay whatever dominates them, because they run.
    """
    if not templates:
        return ()
    needs, others = _needs(templates), _others(templates, quantisations)
    rates = np.array([template.rate for template in templates])
    best, found, stay = np.empty(len(templates), dtype=np.int64), 0, []
    # Whatever dominates a row comes before it in this order, and dominance is transitive: the best so far suffice.
    for row in np.lexsort((*others.T, -rates, *needs.T[::-1])):
        rivals = best[:found]
        copies = np.ceil(rates[row] / rates[rivals]) if rates[row] > 0.0 else np.ones(found)
        dominated = bool(
            np.any(
                np.all(copies[:, None] * needs[rivals] <= needs[row], axis=1)
                & (copies * rates[rivals] >= rates[row])
                & np.all(others[rivals] <= others[row], axis=1)
            )
        )
        if not dominated and rates[row] > 0.0:
            best[found] = row
            found += 1
        if not dominated or templates[row].strategy in kept:
            stay.append(row)
    return tuple(templates[row] for row in sorted(stay))


def _needs(templates: Sequence[Template]) -> Array:
    """Cumulative need, one row per template."""
    needs = [cumulative_need(template.strategy) for template in templates]
    columns = sorted({column for need in needs for column in need})
    return np.array([[need.get(column, 0.0) for column in columns] for need in needs])


def _others(templates: Sequence[Template], quantisations: Sequence[Quantisation]) -> Array:
    """Start-up time and rank of the quantisation, one row per template; smaller is better."""
    ranks = {quantisation: rank for rank, quantisation in enumerate(quantisations)}
    return np.array(
        [
            [template.startup_seconds, float(ranks.get(template.strategy.quantisation, len(ranks)))]
            for template in templates
        ],
    )
