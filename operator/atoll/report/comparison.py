"""Two plans side by side, what costs and serves before against after: one value for table, JSON and Markdown."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from atoll.domain.demand import DemandKey
from atoll.domain.plan import Plan, PlannedDemand, PlannedNodes
from atoll.domain.pool import OfferingKey
from atoll.domain.problem import ReplicaGroup
from atoll.domain.reason import Fault

SCHEMA_VERSION = 1

_DECIMALS = 6
_LEAST_SHORTFALL = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two.

    Attributes:
        title: what it is, for people, such as ``in force``.
        name: of the FleetPlan, written or not; empty where nothing is planned.
        demands: what each gets, those that nothing can serve too.
        nodes: in use.
        cost_per_hour: US$/h beside what is paid for anyway.
        list_cost_per_hour: US$/h of all nodes in use.
        bound_per_hour: proven lower bound of the cost, US$/h; None where none was proven.
        faults: what is wrong with which object, by what it is called.
    """

    title: str
    name: str = ""
    demands: tuple[PlannedDemand, ...] = ()
    nodes: tuple[PlannedNodes, ...] = ()
    cost_per_hour: float = 0.0
    list_cost_per_hour: float = 0.0
    bound_per_hour: float | None = None
    faults: Mapping[str, Fault] = field(default_factory=dict)

    @property
    def shortfall(self) -> float:
        """Requests/s wanted and not served, all demands."""
        return sum(item.shortfall for item in self.demands)

    @property
    def replicas(self) -> Counter[tuple[DemandKey, str, tuple[OfferingKey, ...]]]:
        """How many replicas of which demand run how and where."""
        found: Counter[tuple[DemandKey, str, tuple[OfferingKey, ...]]] = Counter()
        for demand in self.demands:
            for item in demand.replicas:
                found[_place(item.group)] += item.group.count
        return found


def side_of(
    plan: Plan, title: str, *, demands: Iterable[PlannedDemand] = (), faults: Mapping[str, Fault] | None = None
) -> Side:
    """A plan as a side.

    Args:
        plan: which.
        title: what it is, for people.
        demands: all that were asked for, also those that are not in the plan; none for those of the plan.
        faults: what is wrong with which object.
    """
    return Side(
        title=title,
        name=plan.name,
        demands=tuple(demands) or plan.demands,
        nodes=plan.nodes,
        cost_per_hour=plan.cost_per_hour,
        list_cost_per_hour=plan.list_cost_per_hour,
        bound_per_hour=plan.bound_per_hour,
        faults=faults or {},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything that is said about two plans.

    Attributes:
        before: what is or would be.
        after: what would be instead.
        changes: that lead from one to the other, for people; empty where the manifests or the plans say it.
        budget_per_hour: US$/h that the plan after may cost; infinite for no limit.
        shortfall_reasons: why a demand is not served in full after, as far as it is known.
        notes: what the numbers rest on, as sentences.
    """

    before: Side
    after: Side
    changes: tuple[str, ...] = ()
    budget_per_hour: float = math.inf
    shortfall_reasons: Mapping[DemandKey, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def is_over_budget(self) -> bool:
        """The plan after costs more than is allowed."""
        return self.after.cost_per_hour > self.budget_per_hour * (1.0 + 1e-9)

    @property
    def falls_short(self) -> bool:
        """The plan after does not serve all that is wanted."""
        return self.after.shortfall > _LEAST_SHORTFALL

    def as_json(self) -> dict[str, Any]:
        """The documented JSON form (docs/reference/json.md)."""
        starts, stops = _moves(self.before, self.after)
        return {
            "schemaVersion": SCHEMA_VERSION,
            "changes": list(self.changes),
            "before": _side(self.before),
            "after": _side(self.after),
            "moreCostPerHour": round(self.after.cost_per_hour - self.before.cost_per_hour, _DECIMALS),
            "moreShortfall": round(self.after.shortfall - self.before.shortfall, _DECIMALS),
            "replicasStarted": sum(starts.values()),
            "replicasStopped": sum(stops.values()),
            "budgetPerHour": self.budget_per_hour if math.isfinite(self.budget_per_hour) else None,
            "overBudget": self.is_over_budget,
            "demands": list(self._demands()),
            "nodes": list(self._nodes()),
            "notes": list(self.notes),
        }

    def _demands(self) -> Iterable[dict[str, Any]]:
        before = {item.key: item for item in self.before.demands}
        after = {item.key: item for item in self.after.demands}
        starts, stops = _moves(self.before, self.after)
        for key in sorted(before.keys() | after.keys()):
            started = sum(count for (demand, _, _), count in starts.items() if demand == key)
            stopped = sum(count for (demand, _, _), count in stops.items() if demand == key)
            yield {
                "namespace": key.namespace,
                "name": key.name,
                "change": _change(before.get(key), after.get(key), started + stopped),
                "before": _demand(before.get(key)),
                "after": _demand(after.get(key)),
                "replicasStarted": started,
                "replicasStopped": stopped,
                "shortfallReason": self._why_short(after.get(key)),
            }

    def _why_short(self, item: PlannedDemand | None) -> str:
        if item is None or item.shortfall <= _LEAST_SHORTFALL:
            return ""
        return self.shortfall_reasons.get(item.key, "") or (item.reason if not item.replicas else "")

    def _nodes(self) -> Iterable[dict[str, Any]]:
        before, after = _used(self.before), _used(self.after)
        for key in sorted(before.keys() | after.keys()):
            yield {
                "pool": key.pool,
                "zone": key.zone,
                "capacityType": key.capacity_type.value,
                "before": before[key],
                "after": after[key],
            }


def _place(group: ReplicaGroup) -> tuple[DemandKey, str, tuple[OfferingKey, ...]]:
    return group.demand, group.strategy.id, group.site.offerings


def _moves(
    before: Side, after: Side
) -> tuple[
    Counter[tuple[DemandKey, str, tuple[OfferingKey, ...]]], Counter[tuple[DemandKey, str, tuple[OfferingKey, ...]]]
]:
    """Replicas that start and replicas that stop on the way from one to the other."""
    return after.replicas - before.replicas, before.replicas - after.replicas


def _change(before: PlannedDemand | None, after: PlannedDemand | None, moved: int) -> str:
    if before is None:
        return "Added"
    if after is None:
        return "Removed"
    costs = abs(after.cost_per_hour - before.cost_per_hour) >= 0.5 * 10**-_DECIMALS
    differs = moved or costs or (before.rate, before.shortfall) != (after.rate, after.shortfall)
    return "Changed" if differs else "Same"


def _used(side: Side) -> Counter[OfferingKey]:
    found: Counter[OfferingKey] = Counter()
    for item in side.nodes:
        found[item.offering] += item.nodes
    return found


def _side(side: Side) -> dict[str, Any]:
    return {
        "title": side.title,
        "plan": side.name,
        "costPerHour": round(side.cost_per_hour, _DECIMALS),
        "listCostPerHour": round(side.list_cost_per_hour, _DECIMALS),
        "lowerBoundPerHour": None if side.bound_per_hour is None else round(side.bound_per_hour, _DECIMALS),
        "shortfall": round(side.shortfall, _DECIMALS),
        "nodes": sum(item.nodes for item in side.nodes),
        "replicas": side.replicas.total(),
        "faults": [
            {"object": name, "reason": fault.reason.value, "field": fault.field, "message": fault.message}
            for name, fault in side.faults.items()
        ],
    }


def _demand(item: PlannedDemand | None) -> dict[str, Any] | None:
    if item is None:
        return None
    counts: Counter[str] = Counter()
    for replicas in item.replicas:
        counts[str(replicas.group.strategy)] += replicas.group.count
    return {
        "rate": item.rate,
        "shortfall": round(item.shortfall, _DECIMALS),
        "costPerHour": round(item.cost_per_hour, _DECIMALS),
        "unmet": list(item.unmet),
        "strategies": [{"strategy": strategy, "replicas": count} for strategy, count in sorted(counts.items())],
    }
