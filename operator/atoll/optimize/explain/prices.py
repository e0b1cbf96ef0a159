"""What slots of nodes are worth at the best bound, and what that proves about plans that are not taken.

For any prices pi >= 0 of the packing rows, ``L = sum_m cover_m(pi) + sum_p min(0, c[p] - slots[p] pi) A[p]`` bounds the
cost of every plan (``generation``). Three things follow, each for whole replicas and not for a relaxation of them:

- every plan in which demand m has n replicas of template t costs at least ``L + r``, with the reduced cost
  ``r = n min_q load[t] pi[q] + least_m(need - n share[t]) - cover_m`` (``fixing``);
- with one more node of offering p no plan costs less than ``L - rent[p]``, unless replicas fit that did not before;
  the rent ``max(0, slots[p] pi - c[p])`` is the shadow price, and zero where the relaxation leaves nodes of p;
- t wins, as far as prices tell, once ``r`` is off the price of its nodes, where these can still be had.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from atoll.optimize.cover import at_price, cover
from atoll.optimize.fixing import GRID, least_costs
from atoll.optimize.generation import Generation, list_prices, replica_prices
from atoll.optimize.space import Floats, Ints, Space

HALF = 0.5
"""Share of what a demand is served that an alternative serves at least: then it is how the demand runs, in the main.

One replica would be too little to ask for: 4 GPUs that serve 1 % cost next to nothing more and tell nobody anything."""

_LIFT = 1e6
_ROUND = 1e-9


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Prices of slots, and what is had from them.

    Attributes:
        space: of which the prices are.
        slots: (Q, R) US$/h of a slot.
        needs: (M,) share of each demand that is to be served.
        covers: (M,) at most what each demand's best plan costs at these prices, US$/h.
        bound: no plan that serves these shares costs less, US$/h.
    """

    space: Space
    slots: Floats
    needs: Floats
    covers: Floats
    bound: float

    @property
    def rents(self) -> Floats:
        """(P,) by how much a node's slots are worth more than the node, US$/h: the shadow price of each supply."""
        return np.maximum(0.0, _worth(self.space, self.slots) - self.space.price)

    def forced(self, demand: int) -> "Forced":
        """What it costs to serve half of a demand or more by each template."""
        menu, need = self.space.menus[demand], float(self.needs[demand])
        price = replica_prices(self.space, demand, self.slots)
        cheapest = price.min(axis=1, initial=np.inf)
        least = least_costs(cheapest, menu.share, need, at_price(self.space.demands[demand].shortfall_cost))
        replicas = np.maximum(1, np.ceil(HALF * need / menu.share - _ROUND)).astype(np.int64)
        rest = np.maximum(0.0, need - replicas * menu.share)
        step = np.floor(rest / max(need, _ROUND) * GRID + _ROUND).astype(np.int64)
        reduced = replicas * cheapest + least[step] - self.covers[demand]
        return Forced(replicas=replicas, place=price.argmin(axis=1), reduced=reduced)


@dataclass(frozen=True, kw_only=True)
class Forced:
    """Templates of one demand, each made to serve half of it or more.

    Attributes:
        replicas: (T,) how many that takes.
        place: (T,) where they are cheapest.
        reduced: (T,) reduced cost: by how much a plan with them is at least above the bound, US$/h.
    """

    replicas: Ints
    place: Ints
    reduced: Floats


def prices_of(space: Space, needs: Floats, goes_on: Callable[[int], bool]) -> Prices:
    """The prices of the best bound that is found.

    Args:
        space: whole or pooled.
        needs: share of each demand that is to be served.
        goes_on: asked before each round but the first, with the number of rounds so far.
    """
    costs = tuple(at_price(wanted.shortfall_cost) for wanted in space.demands)
    return priced(space, needs, lifted(space, Generation(space, costs, needs).run(goes_on).prices))


def priced(space: Space, needs: Floats, slots: Floats) -> Prices:
    """The bound at any prices of slots, and its parts."""
    bound = float(np.minimum(0.0, space.price - _worth(space, slots)) @ space.obtainable)
    covers = np.zeros(len(space.demands))
    for demand, menu in enumerate(space.menus):
        price = replica_prices(space, demand, slots).min(axis=1, initial=np.inf)
        unserved = at_price(space.demands[demand].shortfall_cost)
        covers[demand] = cover(price, menu.share, unserved, need=float(needs[demand])).bound
    return Prices(space=space, slots=slots, needs=needs, covers=covers, bound=bound + float(covers.sum()))


def lifted(space: Space, slots: Floats) -> Floats:
    """Prices raised to what nodes cost where they are worth less: the bound can only rise.

    Where nobody wants a node its price is any that nobody pays. What a newcomer would have to pay is the list price.
    """
    raised = slots.copy()
    listed = list_prices(space)
    worth = _worth(space, slots)
    kinds = np.array([kind for kind, _ in space.rows])
    for place in range(len(space.places)):
        for kind in dict.fromkeys(kinds):
            rows = kinds == kind
            own = np.flatnonzero((space.place_of == place) & space.slots[:, rows].any(axis=1))
            if not own.size:
                continue
            if (worth[own] <= _ROUND * space.price[own]).all():
                raised[place, rows] = listed[place, rows]
                continue
            factor = float((space.price[own] / np.maximum(worth[own], space.price[own] / _LIFT + 1e-12)).min())
            raised[place, rows] *= max(1.0, factor)
    return raised


def _worth(space: Space, slots: Floats) -> Floats:
    """(P,) what the slots of a node are worth."""
    if not len(space.supplies):
        return np.zeros(0)
    worth: Floats = (space.slots * slots[space.place_of]).sum(axis=1)
    return worth
