"""The fleet at one moment, for ``atoll top``: what it costs, how each demand is served, what moves, what is masked."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from atoll.domain.objects import FLEET, MODEL_DEMAND, ObjectLike, Reference
from atoll.domain.plan import Plan, PlanPhase
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.drain import is_draining
from atoll.reconcile.moments import format_moment
from atoll.reconcile.ownership import demand_of, fleet_of, is_engine
from atoll.reconcile.plans import current_plan
from atoll.reconcile.shares import per_million_tokens

SCHEMA_VERSION = 1

_DECIMALS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class TopReport:
    """Everything on the screen.

    Attributes:
        snapshot: what was seen, with the statuses that the operator wrote.
        now: the moment.
        namespace: of the demands that are listed; empty for all.
    """

    snapshot: Snapshot
    now: datetime
    namespace: str = ""

    def as_json(self) -> dict[str, Any]:
        """The documented JSON form (docs/reference/json.md)."""
        snapshot, plan = self.snapshot, current_plan(self.snapshot.plans)
        demands = [_demand(snapshot, ref, live) for ref, live in self._demands()]
        return {
            "schemaVersion": SCHEMA_VERSION,
            "time": format_moment(self.now),
            "fleet": _fleet(snapshot, plan),
            "demands": demands,
            "moves": list(_moves(snapshot)),
            "masks": [
                {"offering": str(key), "until": format_moment(mask.until), "strikes": mask.strikes, "why": mask.reason}
                for key, mask in sorted(snapshot.masks.items())
                if self.now < mask.until
            ],
        }

    def _demands(self) -> Iterator[tuple[Reference, ObjectLike]]:
        name = self.snapshot.fleet.name
        for ref, live in sorted(self.snapshot.objects.items(), key=lambda item: item[0]):
            if ref.kind != MODEL_DEMAND.name or self.namespace not in ("", ref.namespace):
                continue
            if fleet_of(live) == name:
                yield ref, live


def _fleet(snapshot: Snapshot, plan: Plan | None) -> dict[str, Any]:
    fleet = snapshot.fleet
    live = snapshot.objects.get(Reference(kind=FLEET.name, name=fleet.name), {})
    budget = fleet.solve.budget_per_hour
    nodes = [node for node in snapshot.nodes.values() if node.offering is not None]
    waiting = [item.name for item in snapshot.plans if item.phase is PlanPhase.PROPOSED and not item.approved]
    return {
        "name": fleet.name,
        "mode": fleet.mode.value,
        "state": _state(live) if live else {"ready": None, "reason": "", "message": "not declared"},
        "plan": plan.name if plan else "",
        "phase": plan.phase.value if plan else "",
        "rollbackOf": plan.rollback_of if plan else "",
        "waitsForApproval": waiting[-1] if waiting else "",
        "costPerHour": round(plan.cost_per_hour, _DECIMALS) if plan else 0.0,
        "listCostPerHour": round(plan.list_cost_per_hour, _DECIMALS) if plan else 0.0,
        "lowerBoundPerHour": round(plan.bound_per_hour, _DECIMALS) if plan else 0.0,
        "gap": plan.gap if plan else 0.0,
        "budgetPerHour": budget if math.isfinite(budget) else None,
        "shortfall": sum(item.shortfall for item in plan.demands) if plan else 0.0,
        "nodes": len(nodes),
        "nodesReady": sum(node.ready for node in nodes),
        "gpus": sum(node.gpus for node in nodes),
        "gpusHeld": sum(pod.gpus for pod in snapshot.pods if is_engine(pod.labels) and pod.node and not pod.finished),
    }


def _demand(snapshot: Snapshot, ref: Reference, live: ObjectLike) -> dict[str, Any]:
    status: Mapping[str, Any] = live.get("status") or {}
    known = next(
        (item for key, item in snapshot.demands.items() if (key.namespace, key.name) == (ref.namespace, ref.name)), None
    )
    model = (live.get("spec") or {}).get("model") or {}
    cost, rate = float(status.get("costPerHour", 0.0)), float(status.get("demandRate", 0.0))
    served = max(0.0, rate - float(status.get("shortfall", 0.0)))
    price = per_million_tokens(cost, served, known.workload) if known else None
    return {
        "namespace": ref.namespace,
        "name": ref.name,
        "servedModel": model.get("servedName", ""),
        "priority": known.priority if known else 0,
        "demandRate": rate,
        "servedRate": float(status.get("servedRate", 0.0)),
        "shortfall": float(status.get("shortfall", 0.0)),
        "replicas": int(status.get("replicas", 0)),
        "readyReplicas": int(status.get("readyReplicas", 0)),
        "gpuKinds": [kind for kind in str(status.get("gpuKinds", "")).split(",") if kind],
        "costPerHour": cost,
        "costPerMillionTokens": None if price is None else round(price, _DECIMALS),
        "state": _state(live),
    }


def _state(live: ObjectLike) -> dict[str, Any]:
    """Condition Ready as of the object's present generation; ``ready`` is null where nobody has looked yet."""
    conditions = (live.get("status") or {}).get("conditions") or ()
    ready: Mapping[str, Any] = next((item for item in conditions if item.get("type") == "Ready"), {})
    if ready.get("observedGeneration") != live["metadata"].get("generation", 0):
        return {"ready": None, "reason": "", "message": "not looked at yet"}
    return {
        "ready": ready.get("status") == "True",
        "reason": ready.get("reason", ""),
        "message": ready.get("message", ""),
    }


def _moves(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """Pods that start, drain or stop, by demand."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for pod in snapshot.pods:
        demand = demand_of(pod.namespace, pod.labels) if is_engine(pod.labels) and not pod.finished else None
        if demand is None:
            continue
        what = (
            "stopping"
            if pod.deleting
            else "draining"
            if is_draining(pod)
            else "pending"
            if not pod.node
            else "starting"
            if not pod.ready
            else ""
        )
        if what:
            counts[demand.namespace, demand.name, what] += 1
    for namespace, name in sorted({(namespace, name) for namespace, name, _ in counts}):
        row = {what: counts[namespace, name, what] for what in ("pending", "starting", "draining", "stopping")}
        yield {"namespace": namespace, "name": name, **row}
