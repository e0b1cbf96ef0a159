"""Why one demand is served as it is: one value for text and JSON (docs/reference/json.md)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from atoll.domain.explanation import Alternative, Binding, NodeWorth
from atoll.domain.plan import Plan, PlannedDemand, PlannedReplicas
from atoll.domain.reason import Fault

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainReport:
    """What is said about one demand of a plan.

    Attributes:
        plan: that it is part of.
        demand: what the plan does for it.
        shortfall_reason: why it is not served in full, as far as is known; empty where it is.
        faults: what is wrong with which object, by what it is called.
    """

    plan: Plan
    demand: PlannedDemand
    shortfall_reason: str = ""
    faults: Mapping[str, Fault] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The documented JSON form."""
        plan, demand = self.plan, self.demand
        return {
            "schemaVersion": SCHEMA_VERSION,
            "plan": plan.name,
            "created": plan.created,
            "namespace": demand.key.namespace,
            "name": demand.key.name,
            "rate": demand.rate,
            "shortfall": demand.shortfall,
            "shortfallReason": self.shortfall_reason,
            "costPerHour": round(demand.cost_per_hour, 6),
            "fleetCostPerHour": round(plan.cost_per_hour, 6),
            "fleetLowerBoundPerHour": round(plan.bound_per_hour, 6),
            "reason": demand.reason,
            "unmet": list(demand.unmet),
            "replicas": [_replicas(item) for item in demand.replicas],
            "alternatives": [_alternative(item) for item in demand.alternatives],
            "bindings": [_binding(item) for item in demand.bindings],
            "worths": [_worth(item) for item in plan.worths],
            "faults": [
                {"object": name, "reason": fault.reason.value, "field": fault.field, "message": fault.message}
                for name, fault in self.faults.items()
            ],
        }


def _replicas(item: PlannedReplicas) -> dict[str, Any]:
    strategy = item.group.strategy
    return {
        "count": item.group.count,
        "strategy": str(strategy),
        "id": strategy.id,
        "offerings": [str(offering) for offering in item.group.site.offerings],
        "rate": item.rate,
    }


def _alternative(item: Alternative) -> dict[str, Any]:
    price = item.wins_below
    return {
        "strategy": str(item.strategy),
        "id": item.strategy.id,
        "replicas": item.replicas,
        "zone": item.zone,
        "morePerHour": item.more_per_hour,
        "leastPerHour": item.least_per_hour,
        "basis": item.basis.value,
        "winsBelow": None
        if price is None
        else {
            "offering": str(price.offering),
            "pricePerHour": price.price_per_hour,
            "belowPerHour": price.below_per_hour,
        },
    }


def _binding(item: Binding) -> dict[str, Any]:
    return {"limit": item.limit.value, "savesPerHour": item.saves_per_hour}


def _worth(item: NodeWorth) -> dict[str, Any]:
    return {
        "offering": str(item.offering),
        "obtainable": item.obtainable,
        "savesPerHour": item.saves_per_hour,
        "mostPerHour": item.most_per_hour if math.isfinite(item.most_per_hour) else None,
        "serves": item.serves,
        "basis": item.basis.value,
    }
