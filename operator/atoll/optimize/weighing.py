"""All levels weighed into one sum, in US$/h, for searches that must see how near a plan is to serving everything.

Levels are compared one after the other wherever plans are held against each other or reported (``scarcity``). These
weights steer: where a little of one level is weighed against much of a later one they may prefer the wrong plan.
"""

from collections.abc import Mapping

import numpy as np

from atoll.optimize.cover import Unserved, at_price, penalised
from atoll.optimize.generation import list_prices, replica_prices
from atoll.optimize.scarcity import BUDGET, LIMITS, PREFERENCE, shortfall_level
from atoll.optimize.space import Space

LEAST = 20.0
"""Weight of the lowest level that is not in US$/h, in multiples of what it takes to serve the dearest demand at list
prices: under scarcity the last GPUs are dearer than that."""

STEP = 10.0
"""By how much a level outweighs the next one."""

WIDEST = 1e4
"""Between the first level and the last, so that the solver's tolerances do not swallow the last."""


def weights_of(space: Space) -> Mapping[str, float]:
    """US$/h per unit of each level above cost.

    Args:
        space: for its priorities and prices.
    """
    priorities = sorted({wanted.priority for wanted in space.demands if not wanted.is_priced})
    names = [PREFERENCE, LIMITS, *(shortfall_level(priority) for priority in priorities)]
    step = min(STEP, WIDEST ** (1.0 / max(1, len(names) - 1)))
    slots = list_prices(space)
    costs = [0.0]
    for demand, menu in enumerate(space.menus):
        worth = (replica_prices(space, demand, slots) / menu.share[:, None]).min(initial=np.inf)
        costs.append(float(worth) if np.isfinite(worth) else 0.0)
    least = LEAST * max(*costs, 1e-6)
    return {BUDGET: STEP, **{name: least * step**number for number, name in enumerate(names)}}


def weighed_sum(values: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """All levels of a plan in one sum, US$/h.

    Args:
        values: by level.
        weights: of those above cost.
    """
    return sum(value * weights.get(name, 1.0) for name, value in values.items())


def unserved_of(space: Space, weights: Mapping[str, float]) -> list[Unserved]:
    """What it costs each demand not to be served, at these weights."""
    return [
        at_price(wanted.shortfall_cost) if wanted.is_priced else penalised(weights[shortfall_level(wanted.priority)])
        for wanted in space.demands
    ]
