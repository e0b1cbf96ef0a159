"""Another case than the one that is: what would be decided if prices, supply, demand or the budget were different."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from atoll.domain.demand import DemandKey
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import Supply
from atoll.domain.problem import ReplicaGroup
from atoll.optimize.case import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Another price, US$ per node and hour.

    Attributes:
        pool: of which pool's offerings.
        per_hour: the price; of owned and reserved nodes it is paid whether they are used or not.
        zone: of this zone alone; empty for all.
        capacity_type: of this one alone; None for all.
    """

    pool: str
    per_hour: float
    zone: str = ""
    capacity_type: CapacityType | None = None

    def is_of(self, supply: Supply) -> bool:
        """Whether it is the price of such nodes."""
        key = supply.offering
        return key.pool == self.pool and self.zone in ("", key.zone) and self.capacity_type in (None, key.capacity_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is different; all of it together.

    Attributes:
        without_spot: no spot node can be had.
        lost_zones: zones whose nodes are all gone.
        lost_pools: pools whose nodes are all gone.
        prices: other prices; a later one wins.
        rates: requests/s wanted, by demand.
        budget_per_hour: US$/h that the fleet may cost; None for the one that it has.
    """

    without_spot: bool = False
    lost_zones: frozenset[str] = frozenset()
    lost_pools: frozenset[str] = frozenset()
    prices: tuple[Price, ...] = ()
    rates: dict[DemandKey, float] = field(default_factory=dict)
    budget_per_hour: float | None = None

    def takes_away(self, supply: Supply) -> bool:
        """Whether such nodes are gone."""
        return (
            (self.without_spot and supply.capacity_type is CapacityType.SPOT)
            or supply.zone in self.lost_zones
            or supply.offering.pool in self.lost_pools
        )


def changed(case: Case, change: Change) -> Case:
    """The case with a change: what ran on nodes that are gone is lost, and a demand's rate is another.

    Offerings that are gone stay in the case with no node to be had, so that a GPU kind does not become unknown.
    """
    gone = {supply.offering for supply in case.supplies if change.takes_away(supply)}

    def stays(group: ReplicaGroup) -> bool:
        return not gone.intersection(group.site.offerings)

    budget = case.policy.budget_per_hour if change.budget_per_hour is None else change.budget_per_hour
    return replace(
        case,
        demands=tuple(replace(item, rate=change.rates.get(item.key, item.rate)) for item in case.demands),
        supplies=tuple(_supplies(case.supplies, change)),
        running=tuple(filter(stays, case.running)),
        policy=replace(case.policy, budget_per_hour=budget),
    )


def _supplies(supplies: Iterable[Supply], change: Change) -> Iterable[Supply]:
    for supply in supplies:
        found = replace(supply, obtainable=0) if change.takes_away(supply) else supply
        for price in change.prices:
            if price.is_of(supply):
                found = _repriced(found, price.per_hour)
        yield found


def _repriced(supply: Supply, per_hour: float) -> Supply:
    """At another price: of what is paid for anyway that part changes; nodes that others keep stay free of charge."""
    if supply.paid_per_hour > 0.0:
        return replace(supply, paid_per_hour=per_hour)
    return replace(supply, price_per_hour=per_hour) if supply.price_per_hour > 0.0 else supply
