"""Which choices are promising for each demand, at the prices that column generation ended with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from atoll.domain.demand import Placement
from atoll.domain.gpu import CapacityType
from atoll.optimize.cover import Unserved
from atoll.optimize.generation import Generated, replica_prices
from atoll.optimize.master import WholePlan
from atoll.optimize.space import Bools, Choice, Floats, Ints, Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A demand's promising choices.

    Attributes:
        lines: (N,) templates within its menu.
        places: (N,) places.
        loss: (N,) by how much the best known plan with this choice exceeds the demand's best plan, US$/h.
        least: cost of the demand's best plan, US$/h.
        price: (T, Q) price of one replica.
    """

    lines: Ints
    places: Ints
    loss: Floats
    least: float
    price: Floats


def options_of(space: Space, generated: Generated, chosen: Sequence[WholePlan], *, pooled: bool) -> list[Options]:
    """Every replica of every generated plan, wherever its capacity class is offered.

    Args:
        space: the whole one, not pooled.
        generated: over it, or over the pooled one.
        chosen: the plan of each demand in the integer master: their loss counts as none.
        pooled: whether places of ``generated`` are capacity classes.
    """
    class_of = space.class_of
    prices = generated.prices[class_of] if pooled else generated.prices
    of_demand: list[list[WholePlan]] = [[] for _ in space.demands]
    for plan in generated.plans:
        of_demand[plan.demand].append(plan)
    picked = {plan.demand: plan for plan in chosen}
    found = []
    for demand in range(len(space.demands)):
        price = replica_prices(space, demand, prices)
        known = _Known(
            plans=of_demand[demand],
            picked=picked.get(demand),
            unserved=generated.unserved[demand],
            pooled=pooled,
        )
        found.append(_options(space, demand, price, known, class_of))
    return found


def front(options: Sequence[Options], most: int) -> list[Choice]:
    """The choices of least loss of every demand."""
    choices: list[Choice] = []
    for demand, own in enumerate(options):
        order = np.argsort(own.loss, kind="stable")[:most]
        choices += [(demand, int(own.lines[n]), int(own.places[n])) for n in order]
    return choices


def cheapest(space: Space, prices: Floats, *, templates: int, places: int) -> list[Choice]:
    """What costs least per share at these prices, for a first plan, before any bound.

    Args:
        space: the whole one.
        prices: (Q, R) of slots.
        templates: most of each demand.
        places: most of each template: cheap nodes are few, and every demand wants them.
    """
    choices: list[Choice] = []
    for demand, menu in enumerate(space.menus):
        worth = replica_prices(space, demand, prices) / np.minimum(menu.share, 1.0)[:, None]
        for line in np.argsort(worth.min(axis=1, initial=np.inf), kind="stable")[:templates]:
            near = np.argsort(worth[line], kind="stable")[:places]
            choices += [(demand, int(line), int(place)) for place in near if menu.allowed[line, place]]
    return choices


def varied(space: Space, prices: Floats, *, templates: int, places: int) -> list[Choice]:
    """The same, and then again among what a demand's limits and wishes make it look for, dear as it may be.

    Arguments as in ``cheapest``.
    """
    nowhere = np.zeros(len(space.places), dtype=bool)
    steady = np.array([place.capacity_type is not CapacityType.SPOT for place in space.places], dtype=bool)

    def not_on_spot(placement: Placement) -> Bools:
        return steady if placement.spot_share < 1.0 else nowhere

    def preferred(placement: Placement) -> Bools:
        if not placement.steps:
            return nowhere
        return np.array([placement.rank(place.capacity_type) == 0 for place in space.places], dtype=bool)

    looks = [(space, prices), (space.within(not_on_spot), prices), (space.within(preferred), prices)]
    if space.quotas:
        looks.append((space, _per_gpu(space)))
    found = [cheapest(each, price, templates=templates, places=places) for each, price in looks]
    return list(dict.fromkeys(choice for choices in found for choice in choices))


def _per_gpu(space: Space) -> Floats:
    """(Q, R) prices at which a replica costs as much as it has GPUs: they are what is scarce within a quota."""
    narrowest: dict[str, int] = {}
    for kind, width in space.rows:
        narrowest[kind] = min(width, narrowest.get(kind, width))
    price = [float(width) if width == narrowest[kind] else 0.0 for kind, width in space.rows]
    return np.tile(np.array(price), (len(space.places), 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """Plans of one demand, the picked one, what it costs not to serve, and whether places are capacity classes."""

    plans: list[WholePlan]
    picked: WholePlan | None
    unserved: Unserved
    pooled: bool


def _options(space: Space, demand: int, price: Floats, known: _Known, class_of: Ints) -> Options:
    plans, picked, pooled = known.plans, known.picked, known.pooled
    menu = space.menus[demand]
    classes = int(class_of.max(initial=-1)) + 1
    least_in_class = np.full((len(menu.share), classes), np.inf)
    for place, sort_of in enumerate(class_of.tolist()):
        least_in_class[:, sort_of] = np.minimum(least_in_class[:, sort_of], price[:, place])
    costs = []
    for plan in plans:
        short = float(known.unserved.cost(np.array(plan.unserved)))
        costs.append(short + sum(least_in_class[t, q if pooled else class_of[q]] for t, q in plan.replicas))
    least = min(costs, default=0.0)
    loss: dict[tuple[int, int], float] = {}
    for plan, cost in zip(plans, costs, strict=True):
        extra = 0.0 if plan is picked else max(0.0, cost - least)
        for line, place in plan.replicas:
            sort = (line, place if pooled else int(class_of[place]))
            loss[sort] = min(loss.get(sort, np.inf), extra)
    lines, places, losses = list[int](), list[int](), list[float]()
    for (line, sort_of), extra in loss.items():
        for found in np.flatnonzero((class_of == sort_of) & menu.allowed[line]):
            lines.append(line)
            places.append(int(found))
            losses.append(extra + float(price[line, found] - least_in_class[line, sort_of]))
    return Options(
        lines=np.array(lines, dtype=np.int64),
        places=np.array(places, dtype=np.int64),
        loss=np.array(losses, dtype=float),
        least=least,
        price=price,
    )
