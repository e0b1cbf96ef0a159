"""A decision as a report: one value for table and JSON (docs/reference/json.md)."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from atoll.domain.demand import Demand, DemandKey
from atoll.domain.objects import MODEL_DEMAND
from atoll.domain.plan import Plan, PlannedDemand, PlannedReplicas
from atoll.domain.pool import NodePool, PriceSource
from atoll.domain.problem import Level
from atoll.domain.reason import Fault
from atoll.reconcile.softlimits import unkept
from atoll.report.numbers import counted

SCHEMA_VERSION = 1

_UNITS = {"limits": "share", "preference": "share", "budget": "US$/h", "cost": "US$/h"}

NO_BOUND_GAP = 0.995
"""From this gap on a bound tells nothing: it is 0 or near it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """Everything that is said about a plan.

    Attributes:
        plan: the decision.
        demands: that were asked for, by key.
        pools: by name.
        faults: what is wrong with which object, by what it is called.
        baseline_per_hour: US$/h of the best answer with one GPU kind per served model; None where it was not sought.
        baseline_shortfall: requests/s that it does not serve.
        solver: what found the answer.
        solve_seconds: wall-clock time of stage two, seconds.
        budget_per_hour: US$/h allowed; infinite for no limit.
        levels: of the lexicographic program, highest first.
        shortfall_reasons: why a demand is not served in full, as far as the allocation tells.
        premises: what the plan rests on beside prices and rates, as sentences.
        deadline_seconds: time that stage two was given, seconds; None where it is not known.
        stage_one_seconds: wall-clock time of stage one, seconds; None where it is not known.
        baseline_seconds: wall-clock time of the baseline, seconds; None where it was not sought.
    """

    plan: Plan
    demands: Mapping[DemandKey, Demand]
    pools: Mapping[str, NodePool]
    faults: Mapping[str, Fault]
    baseline_per_hour: float | None
    baseline_shortfall: float
    solver: str
    solve_seconds: float
    budget_per_hour: float
    levels: tuple[Level, ...] = ()
    shortfall_reasons: Mapping[DemandKey, str] = field(default_factory=dict)
    premises: tuple[str, ...] = ()
    deadline_seconds: float | None = None
    stage_one_seconds: float | None = None
    baseline_seconds: float | None = None

    @property
    def shortfall(self) -> float:
        """Requests/s wanted and not served, all demands, faulty ones too."""
        return sum(self._shortfall_by_demand().values())

    @property
    def is_over_budget(self) -> bool:
        """Whether it costs more than the Fleet may."""
        return self.plan.cost_per_hour > self.budget_per_hour * (1.0 + 1e-9)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the numbers rest on, for people."""
        return (*self.premises, *_price_assumptions(self.plan, self.pools), *_rate_assumptions(self.plan))

    def as_json(self) -> dict[str, Any]:
        """The documented JSON form."""
        plan = self.plan
        return {
            "schemaVersion": SCHEMA_VERSION,
            "name": plan.name,
            "costPerHour": round(plan.cost_per_hour, 6),
            "listCostPerHour": round(plan.list_cost_per_hour, 6),
            "lowerBoundPerHour": round(plan.bound_per_hour, 6),
            "gap": plan.gap,
            "boundIsUseful": plan.gap < NO_BOUND_GAP,
            "conditional": plan.conditional,
            "budgetPerHour": self.budget_per_hour if math.isfinite(self.budget_per_hour) else None,
            "overBudget": self.is_over_budget,
            "shortfall": self._shortfall_by_demand(),
            "baseline": {
                "oneKindPerModel": None
                if self.baseline_per_hour is None
                else {"costPerHour": round(self.baseline_per_hour, 6), "shortfall": self.baseline_shortfall}
            },
            "solver": self.solver,
            "solveSeconds": round(self.solve_seconds, 3),
            "deadlineSeconds": self.deadline_seconds,
            "stageOneSeconds": _rounded(self.stage_one_seconds),
            "baselineSeconds": _rounded(self.baseline_seconds),
            "levels": [
                {
                    "name": level.name,
                    "unit": _UNITS.get(level.name, "penalty"),
                    "value": level.value,
                    "bound": level.bound,
                    "proven": level.proven,
                }
                for level in self.levels
            ],
            "demands": [_demand(item, self.shortfall_reasons, self._unkept(item)) for item in self.all_demands()],
            "nodes": [
                {
                    "pool": item.offering.pool,
                    "zone": item.offering.zone,
                    "capacityType": item.offering.capacity_type.value,
                    "nodes": item.nodes,
                    "pricePerHour": item.price_per_hour,
                    "paidPerHour": item.paid_per_hour,
                }
                for item in plan.nodes
            ],
            "faults": [
                {"object": name, "reason": fault.reason.value, "field": fault.field, "message": fault.message}
                for name, fault in self.faults.items()
            ],
            "assumptions": list(self.assumptions),
        }

    def all_demands(self) -> tuple[PlannedDemand, ...]:
        """What each demand gets, by key; nothing for those that no plan can serve, with the fault as the reason."""
        found = {item.key: item for item in self.plan.demands}
        found |= {key: self._left_out(demand) for key, demand in self.demands.items() if key not in found}
        return tuple(item for _, item in sorted(found.items()))

    def _left_out(self, demand: Demand) -> PlannedDemand:
        fault = self.faults.get(f"{MODEL_DEMAND.name} {demand.key}")
        return PlannedDemand(
            key=demand.key,
            uid=demand.uid,
            rate=demand.rate,
            shortfall=demand.rate,
            cost_per_hour=0.0,
            replicas=(),
            reason=str(fault) if fault else "not in the plan",
        )

    def _unkept(self, item: PlannedDemand) -> tuple[str, ...]:
        """Soft limits that are not kept, as sentences; of a demand that is gone since, as reasons."""
        demand = self.demands.get(item.key)
        return unkept(item.unmet, demand.placement) if demand is not None else item.unmet

    def _shortfall_by_demand(self) -> dict[str, float]:
        return {str(item.key): item.shortfall for item in self.all_demands()}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _demand(item: PlannedDemand, reasons: Mapping[DemandKey, str], limits: Iterable[str]) -> dict[str, Any]:
    return {
        "namespace": item.key.namespace,
        "name": item.key.name,
        "rate": item.rate,
        "shortfall": item.shortfall,
        "shortfallReason": reasons.get(item.key, item.reason if not item.replicas else "") if item.shortfall else "",
        "costPerHour": round(item.cost_per_hour, 6),
        "reason": item.reason,
        "unmet": list(item.unmet),
        "unkept": list(limits),
        "replicas": [_replicas(replicas) for replicas in item.replicas],
    }


def _replicas(item: PlannedReplicas) -> dict[str, Any]:
    strategy = item.group.strategy
    return {
        "count": item.group.count,
        "strategy": str(strategy),
        "id": strategy.id,
        "engine": strategy.engine.value,
        "tp": strategy.tp,
        "stages": [{"gpuKind": stage.gpu_kind, "layers": stage.layers} for stage in strategy.stages],
        "layers": [stage.layers for stage in strategy.stages],
        "quantisation": strategy.quantisation.value,
        "offerings": [str(offering) for offering in item.group.site.offerings],
        "rate": item.rate,
        "ttftSeconds": item.ttft_seconds,
        "tpotSeconds": item.tpot_seconds,
        "source": item.source,
        "expectedError": item.expected_error,
    }


def _price_assumptions(plan: Plan, pools: Mapping[str, NodePool]) -> Iterable[str]:
    sources = {offering.key: offering.price_source for pool in pools.values() for offering in pool.offerings}
    used = [sources[item.offering] for item in plan.nodes if item.offering in sources]
    for source, text in (
        (PriceSource.CATALOGUE, "from the catalogue (list prices; AWS spot estimated)"),
        (PriceSource.FIXED, "that GPUNodePools state"),
        (PriceSource.FEED, "from a feed"),
    ):
        if count := used.count(source):
            yield f"prices {text}: {counted(count, 'offering')} in use"


def _rate_assumptions(plan: Plan) -> Iterable[str]:
    errors: dict[str, float] = {}
    for demand in plan.demands:
        for item in demand.replicas:
            errors[item.source] = max(item.expected_error, errors.get(item.source, 0.0))
    for source, error in sorted(errors.items()):
        said = {
            "Roofline": "from a roofline with stated efficiencies, not measured",
            "SiliconTable": "from generated silicon tables (aiconfigurator)",
        }.get(source, f"from {source}")
        yield f"rates {said}: expected error {100 * error:.0f} %"
