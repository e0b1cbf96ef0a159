"""What a plan costs, and for whom: one value for table, JSON, CSV and Markdown (docs/reference/json.md)."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from atoll.domain.demand import DemandKey
from atoll.domain.gpu import CapacityType
from atoll.domain.plan import Plan, PlannedDemand
from atoll.domain.reason import Fault
from atoll.domain.workload import Workload
from atoll.report.costlines import MILLION, CostLine, cost_lines

SCHEMA_VERSION = 1

_SECONDS = 3600.0
_DECIMALS = 6


class By(StrEnum):
    """What a plan's cost is grouped by."""

    SERVED_MODEL = "served-model"
    NAMESPACE = "namespace"
    LABEL = "label"
    GPU_KIND = "gpu-kind"
    POOL = "pool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """How lines are put together.

    Attributes:
        by: what for.
        key: of the ModelDemands' label; empty unless it is by label.
    """

    by: By
    key: str = ""

    def __str__(self) -> str:
        """Read as ``--by`` takes it: ``namespace``, ``label=team``."""
        return f"{self.by}={self.key}" if self.key else str(self.by)

    @property
    def of_demands(self) -> bool:
        """A demand is in one group as a whole."""
        return self.by not in {By.GPU_KIND, By.POOL}


@dataclass(frozen=True, slots=True, kw_only=True)
class CostReport:
    """Everything that is said about the cost of a plan.

    Attributes:
        plan: that costs it.
        demands: of the plan, and those that were left out of it.
        grouping: how it is put together.
        workloads: by demand; one that is not known has no price of tokens.
        labels: of the ModelDemands, by demand.
        budget_per_hour: US$/h allowed; infinite for no limit.
        baseline_per_hour: US$/h of the best answer with one GPU kind per served model; None where it is not known.
        baseline_shortfall: requests/s that it does not serve.
        account: US$ spent and saved since the fleet was first planned and hours compared; None where it is not known.
        began: when that was, RFC 3339; empty where it is not known.
        faults: what is wrong with which object, by what it is called.
        assumptions: what the numbers rest on, as sentences.
    """

    plan: Plan
    demands: tuple[PlannedDemand, ...]
    grouping: Grouping
    workloads: Mapping[DemandKey, Workload]
    labels: Mapping[DemandKey, Mapping[str, str]] = field(default_factory=dict)
    budget_per_hour: float = math.inf
    baseline_per_hour: float | None = None
    baseline_shortfall: float = 0.0
    account: tuple[float, float, float] | None = None
    began: str = ""
    faults: Mapping[str, Fault] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()

    @property
    def shortfall(self) -> float:
        """Requests/s wanted and not served, all demands."""
        return sum(demand.shortfall for demand in self.demands)

    @property
    def over_budget(self) -> bool:
        """The plan costs more than is allowed."""
        return self.plan.cost_per_hour > self.budget_per_hour * (1.0 + 1e-9)

    def as_json(self) -> dict[str, Any]:
        """The documented JSON form."""
        lines = cost_lines(self.plan, self.demands)
        groups: dict[str | None, list[CostLine]] = defaultdict(list)
        for line in lines:
            if line.offering is not None or self.grouping.of_demands:
                groups[self._group_of(line)].append(line)
        total = sum(line.cost for line in lines)
        short = self._shortfall_by_group() if self.grouping.of_demands else None
        rows = [
            {"name": name, **self._row(own, total, short.get(name, 0.0) if short is not None else None)}
            for name, own in groups.items()
        ]
        rows.sort(key=lambda row: (-row["costPerHour"], -row["listCostPerHour"], row["name"] or ""))
        return {
            "schemaVersion": SCHEMA_VERSION,
            "plan": self.plan.name,
            "created": self.plan.created,
            "fleet": self.plan.fleet,
            "by": str(self.grouping),
            "total": self._row(lines, total, self.shortfall),
            "groups": rows,
            "budget": self._budget(total),
            "baseline": {"oneKindPerModel": self._baseline()},
            "account": self._account(),
            "faults": [
                {"object": name, "reason": fault.reason.value, "field": fault.field, "message": fault.message}
                for name, fault in self.faults.items()
            ],
            "assumptions": [*self.assumptions, *self._unknown_workloads()],
        }

    def _group_of(self, line: CostLine) -> str | None:
        """Name of the group that a line is in; None where it has no such thing."""
        match self.grouping.by:
            case By.GPU_KIND:
                return line.gpu_kind or None
            case By.POOL:
                return line.offering.pool if line.offering else None
            case _:
                return self._group_of_demand(line.demand)

    def _group_of_demand(self, demand: DemandKey | None) -> str | None:
        if demand is None:
            return None
        if self.grouping.by is By.SERVED_MODEL:
            return str(demand)
        if self.grouping.by is By.NAMESPACE:
            return demand.namespace
        return self.labels.get(demand, {}).get(self.grouping.key)

    def _shortfall_by_group(self) -> dict[str | None, float]:
        found: dict[str | None, float] = defaultdict(float)
        for demand in self.demands:
            found[self._group_of_demand(demand.key)] += demand.shortfall
        return found

    def _row(self, lines: Iterable[CostLine], total: int, shortfall: float | None) -> dict[str, Any]:
        lines = tuple(lines)
        cost, list_cost = sum(line.cost for line in lines), sum(line.list_cost for line in lines)
        rate = sum(line.rate for line in lines)
        spot = sum(line.rate for line in lines if line.offering and line.offering.capacity_type is CapacityType.SPOT)
        tokens = self._tokens(lines)
        return {
            "costPerHour": cost / MILLION,
            "listCostPerHour": list_cost / MILLION,
            "share": round(cost / total, _DECIMALS) if total else None,
            "requestsPerSecond": rate / MILLION,
            "shortfall": shortfall,
            "inputTokensPerSecond": _rounded(tokens[0]),
            "outputTokensPerSecond": _rounded(tokens[1]),
            **_per_million("costPerMillion", cost, tokens),
            **_per_million("listCostPerMillion", list_cost, tokens),
            "gpus": sum(line.gpus for line in lines),
            "spotShare": round(spot / rate, _DECIMALS) if rate else None,
        }

    def _tokens(self, lines: Iterable[CostLine]) -> tuple[float | None, float | None]:
        """Input and output tokens/s: requests/s by mean lengths; None where a workload is not known."""
        served = [line for line in lines if line.rate and line.demand]
        found = [(line.rate / MILLION, self.workloads.get(line.demand)) for line in served if line.demand]
        if any(workload is None for _, workload in found):
            return None, None
        known = [(rate, workload) for rate, workload in found if workload]
        return (
            sum(rate * workload.input.mean for rate, workload in known),
            sum(rate * workload.output.mean for rate, workload in known),
        )

    def _budget(self, total: int) -> dict[str, Any] | None:
        allowed = self.budget_per_hour
        if not math.isfinite(allowed):
            return None
        cost = total / MILLION
        return {
            "perHour": allowed,
            "leftPerHour": round(allowed - cost, _DECIMALS),
            "usedShare": round(cost / allowed, _DECIMALS) if allowed else None,
            "over": self.over_budget,
        }

    def _baseline(self) -> dict[str, Any] | None:
        if self.baseline_per_hour is None:
            return None
        return {
            "costPerHour": round(self.baseline_per_hour, _DECIMALS),
            "shortfall": self.baseline_shortfall,
            "savedPerHour": round(self.baseline_per_hour - self.plan.cost_per_hour, _DECIMALS),
        }

    def _account(self) -> dict[str, Any] | None:
        if self.account is None:
            return None
        spent, saved, hours = (round(value, _DECIMALS) for value in self.account)
        return {"began": self.began, "spent": spent, "saved": saved, "comparedHours": hours}

    def _unknown_workloads(self) -> Iterable[str]:
        unknown = sorted(str(item.key) for item in self.demands if item.replicas and item.key not in self.workloads)
        if unknown:
            yield (
                f"no $/M tokens where {', '.join(unknown)} counts: its ModelDemand is gone or cannot be understood, "
                "so its workload is not known"
            )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DECIMALS)


def _per_million(name: str, cost: int, tokens: tuple[float | None, float | None]) -> dict[str, float | None]:
    """US$ per million input, output and all tokens: the whole cost over each."""
    into, out = tokens
    both = None if into is None or out is None else into + out
    return {
        f"{name}{kind}": round(cost / (_SECONDS * count), _DECIMALS) if count else None
        for kind, count in (("InputTokens", into), ("OutputTokens", out), ("Tokens", both))
    }
