"""What the solver is given and what it answers: problem in, allocation out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from atoll.domain.demand import DemandKey, Placement
from atoll.domain.pool import OfferingKey, Supply
from atoll.domain.strategy import Strategy, Template


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ReplicaSite:
    """Where one replica's stages are: one offering per stage, in order, all in one zone and of one capacity type."""

    offerings: tuple[OfferingKey, ...]

    @property
    def zone(self) -> str:
        """The domain of the replica."""
        return self.offerings[0].zone


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaGroup:
    """Replicas that are alike: same demand, strategy and site.

    Attributes:
        demand: which they serve.
        strategy: how they run.
        site: where their stages are.
        count: how many, at least 1.
    """

    demand: DemandKey
    strategy: Strategy
    site: ReplicaSite
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandRow:
    """One demand as the solver sees it.

    Attributes:
        key: namespace and name.
        rate: requests/s wanted; the D of the program.
        priority: higher is served first.
        templates: what a replica can be; strategies of running replicas are among them.
        placement: where replicas may run.
        shortfall_price: US$/h for each request/s that is not served, where cost and shortfall are one objective, as
            in published instances; infinity: shortfall is minimised first, at its priority.
        classes: requests/s wanted of each size class, where the router can route by size; they add up to the rate.
    """

    key: DemandKey
    rate: float
    templates: tuple[Template, ...]
    priority: int = 0
    placement: Placement = field(default_factory=Placement)
    shortfall_price: float = float("inf")
    classes: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """Most GPUs that the demands of a namespace may use together; a hard limit.

    Attributes:
        namespace: whose.
        gpus: of any kind.
    """

    namespace: str
    gpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvePolicy:
    """How the fleet wants to be solved.

    Attributes:
        deadline_seconds: wall-clock time in which an answer must be there, seconds.
        work_budget: deterministic limit beside the clock, in solver nodes and rounds; 0 for none.
        saving_tolerance: smallest saving, share of the running cost, for which another plan is adopted.
        horizon_hours: over which a saving must pay for its move, hours.
        budget_per_hour: most that the fleet may cost, US$/h; infinity for no limit.
        accept_gap: stop when this gap is proven, as a share.
        quotas: of namespaces, each named once; one that is not named has none.
        rate_confidence: probability with which replicas of a strategy deliver the rate that is planned with, from one
            half, where rates are taken as estimated, to below 1.
    """

    deadline_seconds: float = 5.0
    work_budget: int = 0
    saving_tolerance: float = 0.02
    horizon_hours: float = 1.0
    budget_per_hour: float = float("inf")
    accept_gap: float = 1e-4
    quotas: tuple[Quota, ...] = ()
    rate_confidence: float = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """The decision of one moment: everything that the answer depends on.

    Attributes:
        demands: rows, each with its templates.
        supplies: nodes that can be had.
        running: replicas that run or start now, already without those that are lost.
        former: replicas of the plan in force, lost ones too: going back to it is always one of the choices.
        policy: how to solve.
    """

    demands: tuple[DemandRow, ...]
    supplies: tuple[Supply, ...]
    running: tuple[ReplicaGroup, ...] = ()
    former: tuple[ReplicaGroup, ...] = ()
    policy: SolvePolicy = field(default_factory=SolvePolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeUse:
    """Nodes of one supply that the allocation uses."""

    supply: Supply
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of the lexicographic program: shortfall of a priority, soft limits, or cost.

    Attributes:
        name: such as ``shortfall/100`` or ``cost``.
        value: of the answer, in the level's unit (penalty, or US$/h).
        bound: valid lower bound of it, same unit.
        proven: value and bound meet within tolerance.
    """

    name: str
    value: float
    bound: float
    proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The solver's answer, placed on nodes.

    Attributes:
        replicas: what runs where.
        nodes: nodes in use by supply.
        shortfall: requests/s not served by demand; only those above zero.
        cost_per_hour: what the nodes in use cost beside what is paid for anyway, US$/h.
        bound_per_hour: valid lower bound of that cost given the shortfalls, US$/h.
        levels: per level value, bound and whether proven.
        unmet: soft limits that could not be kept: demand to named reasons.
        solver: one word for what found it (``program``, ``greedy``, ``running``).
        solve_seconds: wall-clock time spent, seconds.
    """

    replicas: tuple[ReplicaGroup, ...]
    nodes: tuple[NodeUse, ...]
    shortfall: Mapping[DemandKey, float]
    cost_per_hour: float
    bound_per_hour: float
    levels: tuple[Level, ...] = ()
    unmet: Mapping[DemandKey, tuple[str, ...]] = field(default_factory=dict)
    solver: str = "program"
    solve_seconds: float = 0.0

    @property
    def list_cost_per_hour(self) -> float:
        """US$/h of the nodes in use, those that are paid for anyway too."""
        return sum(use.nodes * (use.supply.price_per_hour + use.supply.paid_per_hour) for use in self.nodes)

    @property
    def gap(self) -> float:
        """(cost - bound) / cost, at least 0; conditional unless every level above cost is proven."""
        return max(0.0, self.cost_per_hour - self.bound_per_hour) / max(self.cost_per_hour, 1e-9)

    @property
    def conditional(self) -> bool:
        """The gap holds for these shortfalls only: some level above cost is not proven."""
        return not all(level.proven for level in self.levels if level.name != "cost")
