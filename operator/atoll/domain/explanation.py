"""Why a plan is as it is: what else was possible and what it would cost, what one more node is worth, what binds.

Prices are those of a relaxation (Lagrangian, of the packing rows): they estimate, and they prove lower bounds. What was
solved again with a change is an answer found, and proves upper bounds. Every figure says which it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from atoll.domain.demand import DemandKey
from atoll.domain.pool import OfferingKey
from atoll.domain.strategy import Strategy


class Basis(StrEnum):
    """Where a figure comes from."""

    PRICES = "Prices"
    RESOLVED = "Resolved"


class Bind(StrEnum):
    """What a demand would be served more cheaply, or better, without."""

    AVAILABILITY = "Availability"
    SPOT_SHARE = "SpotShare"
    MIN_REPLICAS = "MinReplicas"
    MIN_DOMAINS = "MinDomains"
    SURVIVE = "Survive"
    PREFERENCE = "Preference"
    REGIONS = "Regions"
    CAPACITY_TYPES = "CapacityTypes"
    BUDGET = "Budget"
    QUOTA = "Quota"


@dataclass(frozen=True, slots=True, kw_only=True)
class WinningPrice:
    """The price of a node below which an alternative would be taken.

    Attributes:
        offering: whose nodes would have to be cheaper.
        price_per_hour: of one node now, US$/h.
        below_per_hour: at which the alternative begins to win, all other prices as they are, US$/h.
    """

    offering: OfferingKey
    price_per_hour: float
    below_per_hour: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A strategy that a demand is not mainly served by, and what the fleet would cost if it were.

    Attributes:
        strategy: that would serve at least half of what the demand is served.
        replicas: how many that takes.
        zone: where they are cheapest.
        more_per_hour: by how much the fleet would cost more than by this plan, US$/h; negative: less.
        least_per_hour: proven: every plan with it costs at least so much more than this one, US$/h; may be negative.
        basis: where ``more_per_hour`` and the price come from.
        wins_below: price at which it would win; None where no price of a single offering makes it win.
    """

    strategy: Strategy
    replicas: int
    zone: str
    more_per_hour: float
    least_per_hour: float
    basis: Basis
    wins_below: WinningPrice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeWorth:
    """What one more node of an offering would be worth: its shadow price.

    Attributes:
        offering: of which one more could be had.
        obtainable: nodes that can be had now; the plan uses them all.
        saves_per_hour: by how much the fleet would cost less, US$/h; negative where it serves more and costs more.
        most_per_hour: proven: no plan with one more saves more, US$/h; infinity where nothing is proven.
        serves: requests/s that would be served more, all demands.
        basis: where the figures come from.
    """

    offering: OfferingKey
    obtainable: int
    saves_per_hour: float
    most_per_hour: float
    basis: Basis
    serves: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A limit that keeps a demand from a cheaper plan.

    Attributes:
        limit: which.
        saves_per_hour: by how much the fleet would cost less without it, US$/h; None where that was not sought.
    """

    limit: Bind
    saves_per_hour: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandExplanation:
    """Why a demand is served as it is.

    Attributes:
        alternatives: cheapest first.
        bindings: what keeps it from a cheaper plan.
    """

    alternatives: tuple[Alternative, ...] = ()
    bindings: tuple[Binding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why an allocation is as it is.

    Attributes:
        demands: by key; those that were asked for.
        nodes: offerings of which one more node is worth something, dearest first.
        bound_per_hour: lower bound of cost that the prices prove, US$/h.
        seconds: wall-clock time spent, seconds.
    """

    demands: Mapping[DemandKey, DemandExplanation] = field(default_factory=dict)
    nodes: tuple[NodeWorth, ...] = ()
    bound_per_hour: float = 0.0
    seconds: float = 0.0
