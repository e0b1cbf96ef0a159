"""What a Fleet says."""

from collections.abc import Sequence

from atoll.domain.fleet import Mode
from atoll.domain.objects import FLEET, Action, ObjectLike
from atoll.domain.reason import Fault, Reason
from atoll.reconcile.account import account
from atoll.reconcile.conditions import Condition, status_actions
from atoll.reconcile.costs import cost_rows, costs, idle_budgets
from atoll.reconcile.policy import in_force, policy_fault
from atoll.reconcile.status.view import View

_WRONG_ROUTES = {
    Reason.GATEWAY_API_MISSING,
    Reason.ROUTE_NOT_ACCEPTED,
    Reason.ROUTER_CONFIG_TOO_LARGE,
    Reason.FORBIDDEN,
}
"""Somebody has to mend something before requests are routed as planned."""

_ALL_IS_SERVED = {Reason.OVER_BUDGET, Reason.DEFINITIONS_OUTDATED}

_NOTES, _NOTE_LENGTH = 8, 1024
"""Of what was found and not understood, as the definition admits."""

_LISTED = 16
"""Short demands named; the rest is counted in the demands' own status."""


def fleet_status(view: View, live: ObjectLike) -> tuple[Action, ...]:
    """The status write of the Fleet."""
    plan = view.plan
    shortfall = sum(item.shortfall for item in plan.demands) if plan else 0.0
    cost = plan.cost_per_hour if plan else 0.0
    bound = plan.bound_per_hour if plan else 0.0
    fields = {
        "costPerHour": cost,
        "listCostPerHour": plan.list_cost_per_hour if plan else 0.0,
        "boundPerHour": bound,
        "gap": plan.gap if plan else 0.0,
        "conditional": bool(plan and plan.conditional),
        "shortfall": shortfall,
        "demands": len(view.snapshot.demands),
        "currentPlan": plan.name if plan else "",
        "costs": cost_rows(costs(view.snapshot, plan)),
        **_discovery(view, live),
    }
    booked = account((live.get("status") or {}).get("account"), plan, view.now)
    fault = policy_fault(view.snapshot)
    settings = in_force(live, fault)
    exact = ({"account": booked} if booked else {}) | ({"inForce": settings} if settings else {})
    return status_actions(FLEET, live, fields, _fleet_conditions(view, fault), view.now, exact=exact)


def outdated(fields: Sequence[str]) -> str:
    """What it means that the API server does not take fields of our own kinds, and the mend."""
    named = ", ".join(fields[:_LISTED]) + (f" and {len(fields) - _LISTED} more" if len(fields) > _LISTED else "")
    return (
        f"the API server does not take {named}: its custom resource definitions are older than this operator; upgrade"
        " the chart with crds.enabled, or apply its definitions with kubectl apply --server-side"
    )


def _discovery(view: View, live: ObjectLike) -> dict[str, object]:
    """What was discovered; as it was while NodePools cannot be read."""
    known = live.get("status") or {}
    if view.snapshot.node_pools is None:
        return {name: known[name] for name in ("discoveredPools", "discoveryNotes") if name in known}
    return {
        "discoveredPools": len(view.discovered.pools),
        "discoveryNotes": [note[:_NOTE_LENGTH] for note in view.discovered.notes[:_NOTES]],
    }


def _fleet_conditions(view: View, invalid: Fault | None) -> tuple[Condition, ...]:
    planning, step = view.planning, view.step
    fault = invalid or planning.fleet_fault
    if fault is not None:
        planned = Condition(type="Planned", status=False, reason=fault.reason, message=str(fault))
    elif view.snapshot.fleet.mode is Mode.PAUSED:
        planned = Condition(type="Planned", status=True, reason=Reason.PAUSED, message="nothing is planned or moved")
    elif view.to_approve is not None:
        message = f"FleetPlan {view.to_approve.name} waits for spec.approved"
        planned = Condition(type="Planned", status=True, reason=Reason.AWAITING_APPROVAL, message=message)
    else:
        planned = Condition(type="Planned", status=True, reason=Reason.PLANNED, message=_idle(view))
    routed = _routed(view)
    degraded = _degraded(view, fault, routed)
    wanted, ready = view.service.wanted_replicas.total(), view.service.ready_replicas.total()
    if degraded.status and degraded.reason not in _ALL_IS_SERVED:
        readiness = Condition(type="Ready", status=False, reason=degraded.reason, message=degraded.message)
    elif ready < wanted or not step.converged:
        message = f"{ready} of {wanted} replicas are Ready"
        readiness = Condition(type="Ready", status=False, reason=Reason.REPLICAS_STARTING, message=message)
    else:
        readiness = Condition(type="Ready", status=True, reason=Reason.SERVING, message=f"{ready} replicas are Ready")
    return readiness, planned, routed, degraded


def _idle(view: View) -> str:
    """Which budgets bound nobody, and the mend; empty where each has somebody."""
    idle = [f"{payer.by} {payer.value!r}" for payer in idle_budgets(view.snapshot)]
    if not idle:
        return ""
    named = ", ".join(idle[:_LISTED]) + (f" and {len(idle) - _LISTED} more" if len(idle) > _LISTED else "")
    return f"spec.cost.budgets: no ModelDemand is of {named}; mend the value where it should be of one"


def _degraded(view: View, fault: Fault | None, routed: Condition) -> Condition:
    """What somebody should mend, the worst alone."""
    plan, budget = view.plan, view.snapshot.fleet.solve.budget_per_hour
    short = [item for item in plan.demands if item.shortfall > 0.0] if plan else []
    if fault is not None:
        return Condition(type="Degraded", status=True, reason=fault.reason, message=str(fault))
    if routed.reason in _WRONG_ROUTES:
        return Condition(type="Degraded", status=True, reason=routed.reason, message=routed.message)
    if short:
        names = ", ".join(str(item.key) for item in short[:_LISTED])
        return Condition(type="Degraded", status=True, reason=Reason.SHORTFALL, message=f"short: {names}")
    if plan is not None and plan.cost_per_hour > budget * (1.0 + 1e-9):
        cost = f"{plan.cost_per_hour:.2f} of {budget:.2f} US$/h"
        message = f"the plan costs {cost}: raise spec.budgetPerHour, or lower a demand"
        return Condition(type="Degraded", status=True, reason=Reason.OVER_BUDGET, message=message)
    if view.snapshot.pruned:
        message = outdated(view.snapshot.pruned)
        return Condition(type="Degraded", status=True, reason=Reason.DEFINITIONS_OUTDATED, message=message)
    return Condition(type="Degraded", status=False, reason=Reason.HEALTHY)


def _routed(view: View) -> Condition:
    """Whether all that carry requests know the present routes; what is wrong comes before what is only not done yet."""
    if view.step.router_synced:
        return Condition(type="Routed", status=True, reason=Reason.ROUTED)
    faults = sorted(view.step.unrouted.items(), key=lambda item: (item[1].reason not in _WRONG_ROUTES, item[0]))
    if not faults:
        return Condition(type="Routed", status=False, reason=Reason.ROUTER_NOT_SYNCED)
    fault = faults[0][1]
    return Condition(type="Routed", status=False, reason=fault.reason, message=fault.message)
