"""The pricing problem: the cheapest whole replicas that cover one demand, at given prices of replicas.

``min sum_t c[t] n[t] + unserved(u)  so that  sum_t s[t] n[t] + u >= need``, n integer: a covering knapsack. It is
solved by labels, layer by layer: a label is a multiset of replicas that does not cover yet, with its share and cost.
Labels are dropped where another serves no less for no more, and where cost plus the least that the rest can cost
(its share at the best price per share, or unserved) is no better than what is known. Copies of the template of best
price per share come first and in any number, so a demand that needs hundreds of replicas has few layers: what else an
optimum contains is rounding.
"""

from dataclasses import dataclass

import numpy as np

from atoll.optimize.scarcity import BREAKS, SLOPES
from atoll.optimize.space import Floats, Ints

BEAM = 400
"""Labels kept in a layer; where more are promising, the bound is that of the best one dropped."""

TOLERANCE = 1e-4
"""Share of the cost within which an answer is good enough, at the least."""

_ROUND = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Unserved:
    """What it costs not to serve a share of the demand: convex, piecewise linear, from 0 upwards.

    Attributes:
        breaks: shares at which the pieces end; the last is 1, the whole demand.
        slopes: cost per share of each piece, rising; infinity where that must be served.
    """

    breaks: tuple[float, ...]
    slopes: tuple[float, ...]

    def cost(self, share: Floats) -> Floats:
        """Of leaving shares unserved, elementwise."""
        return self.floor(share, np.inf)

    def beyond(self, share: float) -> "Unserved":
        """Of further shares where one is unserved in any case, without the cost of that."""
        kept = [(limit - share, slope) for limit, slope in zip(self.breaks, self.slopes, strict=True) if limit > share]
        return Unserved(breaks=tuple(limit for limit, _ in kept), slopes=tuple(slope for _, slope in kept))

    def floor(self, share: Floats, rate: float) -> Floats:
        """Of shares of which any part may be served at a price per share instead: the least, elementwise."""
        total: Floats = np.zeros(np.shape(share))
        below = 0.0
        for limit, slope in zip(self.breaks, self.slopes, strict=True):
            piece, least = np.clip(share - below, 0.0, limit - below), min(slope, rate)
            total = np.where(piece > _ROUND, np.inf, total) if np.isinf(least) else total + least * piece
            below = limit
        return total


def at_price(price: float) -> Unserved:
    """The same cost for every share; infinity: everything must be served."""
    return Unserved(breaks=(1.0,), slopes=(price,))


def penalised(weight: float) -> Unserved:
    """The penalty of scarcity, at a price for each unit of it."""
    return Unserved(breaks=BREAKS, slopes=tuple(weight * slope for slope in SLOPES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """An answer to the pricing problem.

    Attributes:
        cost: of the answer; infinity where there is none.
        bound: no answer costs less.
        replicas: template numbers, as often as there are replicas.
    """

    cost: float
    bound: float
    replicas: tuple[int, ...]


def cover(
    price: Floats, share: Floats, unserved: Unserved, *, need: float = 1.0, tolerance: float = TOLERANCE
) -> Cover:
    """The cheapest replicas that serve a share of a demand.

    Args:
        price: of one replica, by template, at least 0; infinity where a template cannot be had.
        share: that one replica serves, by template, above 0.
        unserved: cost of what is not served.
        need: share to be served.
        tolerance: share of the cost within which an answer is good enough; the bound is lowered by it.
    """
    usable = frontier(price, share, need)
    if need <= _ROUND:
        return Cover(cost=0.0, bound=0.0, replicas=())
    if not usable.size:
        cost = float(unserved.cost(np.array([need]))[0])
        return Cover(cost=cost, bound=cost, replicas=())
    return _Labels(price[usable], np.minimum(share[usable], need), unserved, need, tolerance).run(usable)


def frontier(price: Floats, share: Floats, need: float) -> Ints:
    """Templates, most share first, for which no other serves as much of the need for no more."""
    numbers = np.flatnonzero(np.isfinite(price))
    order = numbers[np.lexsort((price[numbers], -np.minimum(share[numbers], need)))]
    if not order.size:
        return order
    least = np.minimum.accumulate(price[order])
    return order[np.concatenate(([True], price[order][1:] < least[:-1] - 1e-15))]


class _Labels:
    """The label search of one pricing problem, over templates by falling share and falling price."""

    def __init__(self, price: Floats, share: Floats, unserved: Unserved, need: float, tolerance: float) -> None:
        self.price, self.share, self.unserved, self.need, self.tolerance = price, share, unserved, need, tolerance
        ratio = price / share
        self.best = int(ratio.argmin())
        self.rate = float(ratio[self.best])
        self.excess = price - min(self.rate, unserved.slopes[-1]) * share
        self.cost = np.inf
        self.last = (-1, -1)
        self.dropped = np.inf

    def run(self, names: Ints) -> Cover:
        price, share = self.price, self.share
        copies = np.arange(int((self.need - _ROUND) / share[self.best]) + 1)
        covered, cost, ids = copies * share[self.best], copies * price[self.best], copies
        parents, added, total = [np.full(len(copies), -1)], [copies], len(copies)
        while len(covered):
            self._finish(covered, cost, ids)
            limit = self.cost * (1.0 - self.tolerance)
            floor = cost + self.unserved.floor(self.need - covered, self.rate)
            live = floor < limit
            if not live.any():
                break
            covered, cost, ids, floor = covered[live], cost[live], ids[live], floor[live]
            others = np.flatnonzero((self.excess < limit - floor.min()) & (np.arange(len(price)) != self.best))
            label, item, covered, cost = self._extend(covered, cost, others, limit)
            parents.append(ids[label])
            added.append(others[item])
            ids = total + np.arange(len(label))
            total += len(label)
        least = float(self.unserved.floor(np.array(self.need), self.rate))
        bound = max(least, min(self.cost * (1.0 - self.tolerance), self.dropped))
        chosen = self._trace(np.concatenate(parents), np.concatenate(added), len(copies))
        return Cover(cost=float(self.cost), bound=float(min(bound, self.cost)), replicas=tuple(names[chosen].tolist()))

    def _finish(self, covered: Floats, cost: Floats, ids: Ints) -> None:
        """Complete each label by the cheapest single replica that covers the rest, or leave the rest unserved."""
        rest = self.need - covered
        place = np.searchsorted(-self.share, -rest + _ROUND, side="right") - 1
        whole = np.where(place >= 0, cost + self.price[np.maximum(place, 0)], np.inf)
        short = cost + self.unserved.cost(rest)
        for value, item in ((whole, place), (short, np.full(len(ids), -1))):
            least = int(value.argmin())
            if value[least] < self.cost:
                self.cost, self.last = float(value[least]), (int(ids[least]), int(item[least]))

    def _extend(self, covered: Floats, cost: Floats, others: Ints, limit: float) -> tuple[Ints, Ints, Floats, Floats]:
        """Labels with one replica more, the useless ones left out: label and template that each is from."""
        wider = covered[:, None] + self.share[None, others]
        dearer = cost[:, None] + self.price[None, others]
        floor = dearer + self.unserved.floor(self.need - wider, self.rate)
        label, item = np.nonzero((wider < self.need - _ROUND) & (floor < limit))
        covered, cost, floor = wider[label, item], dearer[label, item], floor[label, item]
        order = np.lexsort((cost, -covered))
        least = np.minimum.accumulate(cost[order])
        order = order[np.concatenate(([True], cost[order][1:] < least[:-1] - 1e-15))[: len(order)]]
        if len(order) > BEAM:
            nearest = np.argpartition(floor[order], BEAM)
            self.dropped = min(self.dropped, float(floor[order[nearest[BEAM:]]].min()))
            order = order[nearest[:BEAM]]
        return label[order], item[order], covered[order], cost[order]

    def _trace(self, parents: Ints, added: Ints, first: int) -> list[int]:
        label, item = self.last
        replicas = [item] if item >= 0 else []
        while label >= first:
            replicas.append(int(added[label]))
            label = int(parents[label])
        return replicas + [self.best] * (int(added[label]) if label >= 0 else 0)
