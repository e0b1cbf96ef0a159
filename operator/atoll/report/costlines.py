"""What a plan costs in its smallest parts: one demand on the nodes of one offering, in whole millionths.

Every grouping is a sum of these lines, so that all groupings add up to the same, exactly.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from atoll.domain.demand import DemandKey
from atoll.domain.plan import Plan, PlannedDemand
from atoll.domain.pool import OfferingKey
from atoll.reconcile.shares import shared
from atoll.report.apportion import apportioned

MILLION = 1_000_000

_Place = tuple[DemandKey | None, OfferingKey | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """One demand on one offering.

    Attributes:
        demand: that holds the GPUs; None for nodes on which no demand holds any.
        offering: whose nodes they are on; None for a demand that holds no GPU.
        gpu_kind: of these GPUs; empty where nothing tells it.
        gpus: held.
        cost: part of the nodes' cost beside what is paid for anyway, millionths of a US$/h.
        list_cost: part of the price of the same nodes, paid for anyway or not, millionths of a US$/h.
        rate: part of the demand's requests/s that are served, millionths: by what replicas can carry, and among the
            stages of a replica by their GPUs.
    """

    demand: DemandKey | None
    offering: OfferingKey | None
    gpu_kind: str
    gpus: int
    cost: int
    list_cost: int
    rate: int


def cost_lines(plan: Plan, demands: Iterable[PlannedDemand]) -> tuple[CostLine, ...]:
    """The lines of a plan; together they cost what the plan costs, and serve what it serves, to the millionth.

    Args:
        plan: with the nodes in use.
        demands: of the plan, and those that were left out of it.
    """
    demands = tuple(demands)
    cost, list_cost = (_by_place(plan, prices) for prices in _prices(plan))
    gpus: Counter[_Place] = Counter()
    kinds: dict[OfferingKey, str] = {}
    for group in plan.groups:
        for stage, offering in zip(group.strategy.stages, group.site.offerings, strict=True):
            gpus[group.demand, offering] += group.strategy.tp * group.count
            kinds[offering] = stage.gpu_kind
    rates = {place: rate for demand in demands for place, rate in _rates(demand).items()}
    places = dict.fromkeys([*cost, *rates])
    costs = dict(zip(cost, apportioned(_millionths(plan.cost_per_hour), tuple(cost.values())), strict=True))
    total = _millionths(plan.list_cost_per_hour)
    list_costs = dict(zip(list_cost, apportioned(total, tuple(list_cost.values())), strict=True))
    return tuple(
        CostLine(
            demand=place[0],
            offering=place[1],
            gpu_kind=kinds.get(place[1], "") if place[1] else "",
            gpus=gpus[place],
            cost=costs.get(place, 0),
            list_cost=list_costs.get(place, 0),
            rate=rates.get(place, 0),
        )
        for place in places
    )


def _millionths(value: float) -> int:
    return round(value * MILLION)


def _prices(plan: Plan) -> tuple[dict[OfferingKey, float], dict[OfferingKey, float]]:
    """What the nodes of each offering cost beside what is paid for anyway, and their whole price, US$/h."""
    cost: dict[OfferingKey, float] = defaultdict(float)
    whole: dict[OfferingKey, float] = defaultdict(float)
    for use in plan.nodes:
        cost[use.offering] += use.nodes * use.price_per_hour
        whole[use.offering] += use.nodes * (use.price_per_hour + use.paid_per_hour)
    return cost, whole


def _by_place(plan: Plan, prices: Mapping[OfferingKey, float]) -> dict[_Place, float]:
    """The price of all nodes by who holds GPUs of them."""
    parts = shared(plan.groups, prices)
    held = {offering for _, offering in parts}
    found: dict[_Place, float] = {place: part for place, part in parts.items()}  # noqa: C416  # a dict of wider keys
    found |= {(None, offering): price for offering, price in prices.items() if offering not in held}
    return found


def _rates(demand: PlannedDemand) -> dict[_Place, int]:
    """What is served of one demand, by place."""
    carried: dict[_Place, float] = defaultdict(float)
    for item in demand.replicas:
        offerings = item.group.site.offerings
        for offering in offerings:
            carried[demand.key, offering] += item.group.count * item.rate / len(offerings)
    if not carried:
        carried[demand.key, None] = 1.0
    served = _millionths(max(0.0, demand.rate - demand.shortfall))
    return dict(zip(carried, apportioned(served, tuple(carried.values())), strict=True))
