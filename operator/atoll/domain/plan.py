"""A plan: one adopted or proposed solution with everything that people review, approve and roll back."""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from atoll.domain.demand import DemandKey
from atoll.domain.explanation import Alternative, Binding, NodeWorth
from atoll.domain.pool import OfferingKey
from atoll.domain.problem import ReplicaGroup
from atoll.domain.startup import StartPhases


class PlanPhase(StrEnum):
    """Where a plan stands; ``Completed`` and ``Superseded`` are terminal."""

    PROPOSED = "Proposed"
    MOVING = "Moving"
    COMPLETED = "Completed"
    SUPERSEDED = "Superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedReplicas:
    """Replicas that a plan wants, with what their template promised when it was solved.

    Attributes:
        group: demand, strategy, site and count.
        rate: requests/s of one replica.
        ttft_seconds: at the objective's percentile, seconds.
        tpot_seconds: at the objective's percentile, seconds.
        source: where the latencies came from, such as ``Roofline`` or ``SiliconTable+Roofline``.
        expected_error: expected relative error of the rate.
        startup_seconds: image, weights and engine start, without the node's, seconds.
        phases: of that start, at its site and beside what else the plan starts; None where only the whole is known.
    """

    group: ReplicaGroup
    rate: float
    ttft_seconds: float
    tpot_seconds: float
    source: str
    expected_error: float
    startup_seconds: float
    phases: StartPhases | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedNodes:
    """Nodes of one offering that a plan uses.

    Attributes:
        offering: which.
        nodes: how many.
        price_per_hour: US$ per node and hour that using one costs.
        paid_per_hour: US$ per node and hour that is paid whether it is used or not.
    """

    offering: OfferingKey
    nodes: int
    price_per_hour: float
    paid_per_hour: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDemand:
    """What a plan does for one demand.

    Attributes:
        key: namespace and name.
        uid: of the ModelDemand that was planned for.
        rate: requests/s wanted when it was solved.
        shortfall: requests/s that could not be met.
        cost_per_hour: its part of the nodes' price, by GPUs, US$/h.
        replicas: what it gets.
        reason: why this and not the next best, in a sentence.
        unmet: soft limits that could not be kept, as reasons.
        alternatives: the next best strategies, cheapest first; none where they were not sought.
        bindings: what keeps it from being served at less cost, or more.
    """

    key: DemandKey
    uid: str
    rate: float
    shortfall: float
    cost_per_hour: float
    replicas: tuple[PlannedReplicas, ...]
    reason: str = ""
    unmet: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    bindings: tuple[Binding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One FleetPlan.

    Attributes:
        fleet: name of the Fleet.
        basis: hash of demands, pools, hard limits and running allocation that it was solved for.
        demands: what each demand gets.
        nodes: nodes in use.
        cost_per_hour: US$/h once it is reached, beside what is paid for anyway.
        previous_cost_per_hour: US$/h when it was solved.
        bound_per_hour: proven lower bound, US$/h.
        conditional: the bound holds for these shortfalls only.
        approved: it may be (or was) carried out.
        rollback_of: name of the plan that this one returns to; empty for none.
        phase: where it stands.
        created: RFC 3339; empty before it was written.
        in_force_since: when the fleet began to move there, RFC 3339; empty: it never was in force.
        uid: ``metadata.uid``; empty before it was written.
        baseline_per_hour: US$/h of what it is compared with, Fleet's spec.solve.baseline; None where it was not sought.
        baseline_shortfall: requests/s that the baseline does not serve.
        worths: what one more node of an offering would be worth, dearest first; none where that was not sought.
    """

    fleet: str
    basis: str
    demands: tuple[PlannedDemand, ...]
    nodes: tuple[PlannedNodes, ...]
    cost_per_hour: float
    previous_cost_per_hour: float
    bound_per_hour: float
    conditional: bool = False
    approved: bool = False
    rollback_of: str = ""
    phase: PlanPhase = PlanPhase.PROPOSED
    created: str = ""
    in_force_since: str = ""
    uid: str = ""
    baseline_per_hour: float | None = None
    baseline_shortfall: float = 0.0
    worths: tuple[NodeWorth, ...] = ()

    @cached_property
    def content(self) -> str:
        """Ten hexadecimal digits of what it does: demands by uid, strategies, sites and counts; not what it costs.

        Reckoned once: plans are compared for every demand, again and again.
        """
        rows = sorted(
            [str(demand.key), demand.uid, r.group.strategy.id, *map(str, r.group.site.offerings), str(r.group.count)]
            for demand in self.demands
            for r in demand.replicas
        )
        present = sorted([str(demand.key), demand.uid] for demand in self.demands)
        text = json.dumps([self.fleet, self.rollback_of, present, rows])
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def name(self) -> str:
        """``metadata.name``: the same decision has the same name, so that creating it twice is one plan."""
        return f"{self.fleet}-{self.content}"

    @property
    def list_cost_per_hour(self) -> float:
        """US$/h of the nodes in use, those that are paid for anyway too."""
        return sum(use.nodes * (use.price_per_hour + use.paid_per_hour) for use in self.nodes)

    @property
    def gap(self) -> float:
        """(cost - bound) / cost, at least 0."""
        return max(0.0, self.cost_per_hour - self.bound_per_hour) / max(self.cost_per_hour, 1e-9)

    @property
    def groups(self) -> tuple[ReplicaGroup, ...]:
        """All replica groups of all demands."""
        return tuple(r.group for demand in self.demands for r in demand.replicas)
