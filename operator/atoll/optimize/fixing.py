"""Choices that no plan cheaper than the best known one uses: left out, the rest can be proven.

At the prices of a bound L, forcing one replica of a choice into a plan raises the bound by the replica's price, plus
the least that the rest of its demand then costs, less what the demand's best plan costs. Where L and this reduced cost
reach the best known value, the choice is out (reduced-cost fixing; lossless). The least cost of the rest is by dynamic
programming over a grid of the demand, shares rounded up, so it is never too high.
"""

import numpy as np

from atoll.optimize.cover import Unserved, frontier
from atoll.optimize.generation import Generated, replica_prices
from atoll.optimize.space import Choice, Floats, Space

GRID = 2000
"""Steps of a demand; ladder instance 6,5,0,1 keeps 4970 of 24280 choices with 1000, 15 ms a demand with 2000."""


def left_after_fixing(space: Space, generated: Generated, window: float) -> list[Choice]:
    """The choices whose reduced cost is below a window.

    Args:
        space: over which the bound was generated, with every demand wanted whole or more: more is not counted in the
            rest, so fewer choices are left out than could be.
        generated: the bound, its prices and covers.
        window: best known value less the bound, US$/h.
    """
    choices: list[Choice] = []
    for demand, menu in enumerate(space.menus):
        price = replica_prices(space, demand, generated.prices)
        least = least_costs(price.min(axis=1, initial=np.inf), menu.share, 1.0, generated.unserved[demand])
        step = np.floor(np.maximum(0.0, 1.0 - menu.share) * GRID + 1e-9).astype(np.int64)
        reduced = price + least[step][:, None] - generated.covers[demand]
        choices += [(demand, int(line), int(place)) for line, place in np.argwhere(menu.allowed & (reduced < window))]
    return choices


def least_costs(price: Floats, share: Floats, need: float, unserved: Unserved) -> Floats:
    """(GRID + 1,) at most the least cost of serving each part of a need.

    Args:
        price: of one replica, by template; infinity where it cannot be had.
        share: that one replica serves, by template.
        need: share to be served.
        unserved: what it costs not to.
    """
    usable = frontier(price, share, need)
    least = unserved.cost(np.arange(GRID + 1) / GRID * need)
    if not usable.size or need <= 0.0:
        return least
    cost = price[usable]
    steps = np.minimum(np.ceil(share[usable] / need * GRID - 1e-9), GRID).astype(np.int64)
    for number in range(1, GRID + 1):
        least[number] = min(least[number], float((cost + least[np.maximum(0, number - steps)]).min()))
    return least
