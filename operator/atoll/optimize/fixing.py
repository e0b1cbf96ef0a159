"""Choices that no plan cheaper than the best known one uses: left out, the rest can be proven.

At the prices of a bound L, forcing one replica of a choice into a plan raises the bound by the replica's price, plus
the least that the rest of its demand then costs, less what the demand's best plan costs. Where L and this reduced cost
reach the best known value, the choice is out (reduced-cost fixing; lossless). The least cost of the rest is by dynamic
programming over a grid of the demand, shares rounded up, so it is never too high.
"""

from collections.abc import Sequence

import numpy as np

from atoll.optimize.cover import frontier
from atoll.optimize.generation import replica_prices
from atoll.optimize.space import Choice, Floats, Space

GRID = 2000
"""Steps of a demand; ladder instance 6,5,0,1 keeps 4970 of 24280 choices with 1000, 15 ms a demand with 2000."""


def left_after_fixing(
    space: Space, prices: Floats, covers: Sequence[float], needs: Floats, window: float
) -> list[Choice]:
    """The choices whose reduced cost is below a window.

    Args:
        space: whose domains the prices tell apart.
        prices: (Q, R) of the bound.
        covers: what each demand's best plan costs at these prices, at most.
        needs: share of each demand that is to be served.
        window: best known value less the bound, US$/h.
    """
    choices: list[Choice] = []
    for demand, menu in enumerate(space.menus):
        price = replica_prices(space, demand, prices)
        need = float(needs[demand])
        least = least_costs(price.min(axis=1, initial=np.inf), menu.share, need, space.demands[demand].shortfall_cost)
        rest = np.maximum(0.0, need - menu.share)
        step = np.floor(rest / max(need, 1e-12) * GRID + 1e-9).astype(np.int64)
        reduced = price + least[step][:, None] - covers[demand]
        choices += [(demand, int(line), int(place)) for line, place in np.argwhere(menu.allowed & (reduced < window))]
    return choices


def least_costs(price: Floats, share: Floats, need: float, shortfall_cost: float) -> Floats:
    """(GRID + 1,) at most the least cost of serving each part of a need.

    Args:
        price: of one replica, by template; infinity where it cannot be had.
        share: that one replica serves, by template.
        need: share to be served.
        shortfall_cost: of serving nothing of the whole demand; infinity where all of the need must be served.
    """
    usable = frontier(price, share, need)
    least = np.arange(GRID + 1) / GRID * need * (shortfall_cost if np.isfinite(shortfall_cost) else 0.0)
    if np.isinf(shortfall_cost):
        least[1:] = np.inf
    if not usable.size or need <= 0.0:
        return least
    cost = price[usable]
    steps = np.minimum(np.ceil(share[usable] / need * GRID - 1e-9), GRID).astype(np.int64)
    for number in range(1, GRID + 1):
        least[number] = min(least[number], float((cost + least[np.maximum(0, number - steps)]).min()))
    return least
