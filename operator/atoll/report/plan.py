"""A decision as a report: one value for table and JSON (docs/reference/json.md)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from atoll.domain.demand import Demand, DemandKey
from atoll.domain.plan import Plan, PlannedReplicas
from atoll.domain.pool import NodePool, PriceSource
from atoll.domain.reason import Fault

SCHEMA_VERSION = 1


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
        levels: of the lexicographic program: name, value, bound, proven.
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
    levels: tuple[Mapping[str, Any], ...] = ()

    @property
    def shortfall(self) -> float:
        """Requests/s wanted and not served, all demands, faulty ones too."""
        planned = {item.key for item in self.plan.demands}
        faulty = sum(demand.rate for key, demand in self.demands.items() if key not in planned)
        return sum(item.shortfall for item in self.plan.demands) + faulty

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the numbers rest on, for people."""
        return (*_price_assumptions(self.plan, self.pools), *_rate_assumptions(self.plan))

    def as_json(self) -> dict[str, Any]:
        """The documented JSON form."""
        plan = self.plan
        return {
            "schemaVersion": SCHEMA_VERSION,
            "name": plan.name,
            "costPerHour": round(plan.cost_per_hour, 6),
            "lowerBoundPerHour": round(plan.bound_per_hour, 6),
            "gap": plan.gap,
            "conditional": plan.conditional,
            "shortfall": self._shortfall_by_demand(),
            "baseline": {
                "oneKindPerModel": None
                if self.baseline_per_hour is None
                else {"costPerHour": round(self.baseline_per_hour, 6), "shortfall": self.baseline_shortfall}
            },
            "solver": self.solver,
            "solveSeconds": round(self.solve_seconds, 3),
            "levels": list(self.levels),
            "demands": [
                {
                    "namespace": item.key.namespace,
                    "name": item.key.name,
                    "rate": item.rate,
                    "shortfall": item.shortfall,
                    "costPerHour": round(item.cost_per_hour, 6),
                    "reason": item.reason,
                    "unmet": list(item.unmet),
                    "replicas": [_replicas(replicas) for replicas in item.replicas],
                }
                for item in plan.demands
            ],
            "nodes": [
                {
                    "pool": item.offering.pool,
                    "zone": item.offering.zone,
                    "capacityType": item.offering.capacity_type.value,
                    "nodes": item.nodes,
                    "pricePerHour": item.price_per_hour,
                }
                for item in plan.nodes
            ],
            "faults": [
                {"object": name, "reason": fault.reason.value, "field": fault.field, "message": fault.message}
                for name, fault in self.faults.items()
            ],
            "assumptions": list(self.assumptions),
        }

    def _shortfall_by_demand(self) -> dict[str, float]:
        planned = {item.key: item.shortfall for item in self.plan.demands}
        return {str(key): planned.get(key, demand.rate) for key, demand in self.demands.items()}


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
        (PriceSource.CATALOGUE, "prices of {n} offerings in use are the catalogue's (list prices; AWS spot estimated)"),
        (PriceSource.FIXED, "prices of {n} offerings in use are those that their GPUNodePools state"),
        (PriceSource.FEED, "prices of {n} offerings in use come from a feed"),
    ):
        if count := used.count(source):
            yield text.format(n=count)


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
