"""What a FleetPlan says: where it stands."""

from collections.abc import Iterable
from typing import Any

from atoll.domain.objects import FLEET_PLAN, Action, Reference
from atoll.domain.plan import PlanPhase
from atoll.domain.reason import Reason
from atoll.reconcile.conditions import Condition, status_actions
from atoll.reconcile.moments import format_moment
from atoll.reconcile.plans import phases
from atoll.reconcile.status.view import View

_IN_FORCE = {PlanPhase.MOVING, PlanPhase.COMPLETED}


def plan_statuses(view: View) -> Iterable[Action]:
    """The status writes of all FleetPlans of the fleet."""
    snapshot, service = view.snapshot, view.service
    wanted = phases(snapshot.plans, view.planning, converged=view.step.converged)
    for plan in snapshot.plans:
        live = snapshot.objects.get(Reference(kind=FLEET_PLAN.name, name=plan.name))
        if live is None:
            continue
        phase = wanted.get(plan.name, plan.phase)
        fields: dict[str, Any] = {"phase": phase.value}
        since = plan.in_force_since or (format_moment(view.now) if phase in _IN_FORCE else "")
        if since:
            fields["inForceSince"] = since
        if phase is PlanPhase.MOVING:
            fields["progress"] = {
                "wanted": service.wanted_replicas.total(),
                "ready": service.ready_replicas.total(),
                "leaving": service.leaving_replicas,
            }
        yield from status_actions(FLEET_PLAN, live, fields, (_phase_condition(phase),), view.now)


def _phase_condition(phase: PlanPhase) -> Condition:
    reasons = {
        PlanPhase.PROPOSED: (False, Reason.AWAITING_APPROVAL),
        PlanPhase.MOVING: (False, Reason.ADOPTED),
        PlanPhase.COMPLETED: (True, Reason.COMPLETED),
        PlanPhase.SUPERSEDED: (False, Reason.SUPERSEDED),
    }
    status, reason = reasons[phase]
    return Condition(type="Ready", status=status, reason=reason)
