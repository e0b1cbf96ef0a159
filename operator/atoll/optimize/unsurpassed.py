"""Templates of one demand that stage two need not look at: another delivers as much for no more of anything."""

from collections.abc import Sequence

import numpy as np

from atoll.domain.strategy import Template


def unsurpassed(templates: Sequence[Template]) -> list[int]:
    """Templates for which no other delivers at least as much for no more of anything.

    With one width per strategy the cumulative need at width s is count x tp for s up to tp, so another dominates
    if it is no wider and asks for no more GPUs of any kind. Equal templates keep the first.
    """
    kinds = sorted({kind for template in templates for kind in template.strategy.need})
    gpus = np.array([[t.strategy.need.get(kind, 0) * t.strategy.tp for kind in kinds] for t in templates], dtype=float)
    width = np.array([template.strategy.tp for template in templates], dtype=float)
    rate = np.array([template.rate for template in templates], dtype=float)
    startup = np.array([template.startup_seconds for template in templates], dtype=float)
    survivors = []
    for number, template in enumerate(templates):
        rivals = np.flatnonzero((rate >= rate[number]) & (width <= width[number]) & (startup <= startup[number]))
        rivals = rivals[(gpus[rivals] <= gpus[number]).all(axis=1)]
        rivals = rivals[[_is_alike(templates[rival], template) for rival in rivals]]
        better = (
            np.array(
                [rival.class_rates != template.class_rates for rival in (templates[n] for n in rivals)], dtype=bool
            )
            | (rate[rivals] > rate[number])
            | (width[rivals] < width[number])
            | (startup[rivals] < startup[number])
            | (gpus[rivals] < gpus[number]).any(axis=1)
            | (rivals < number)
        )
        if not better.any():
            survivors.append(number)
    return survivors


def _is_alike(rival: Template, template: Template) -> bool:
    """Whether one can stand in for the other by their rates: same phase and variant, no class served more slowly."""
    phases = (rival.strategy.phase, template.strategy.phase)
    paired = phases != (None, None)
    if paired and (phases[0] is not phases[1] or rival.strategy.variant != template.strategy.variant):
        return False
    if not template.class_rates and not rival.class_rates:
        return True
    return len(rival.class_rates) == len(template.class_rates) and all(
        mine >= other for mine, other in zip(rival.class_rates, template.class_rates, strict=True)
    )
