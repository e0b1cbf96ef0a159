"""The plan that counts, and the phases of all others."""

from collections.abc import Iterable

from atoll.domain.plan import Plan, PlanPhase
from atoll.domain.planning import Planning

_RANK = {PlanPhase.PROPOSED: 0, PlanPhase.MOVING: 1, PlanPhase.COMPLETED: 2}


def current_plan(plans: Iterable[Plan]) -> Plan | None:
    """The plan to carry out: one just approved, else the one under way, else the one completed last."""
    approved = [plan for plan in plans if plan.approved and plan.phase in _RANK]
    if not approved:
        return None
    best = min(_RANK[plan.phase] for plan in approved)
    return max((plan for plan in approved if _RANK[plan.phase] == best), key=lambda plan: (plan.created, plan.name))


def plan_in_force(plans: Iterable[Plan], planning: Planning) -> Plan | None:
    """The plan to carry out, with the planner's numbers of this moment; approving a stale proposal moves nothing."""
    return planning.in_force(current_plan(plan for plan in plans if not is_stale(plan, planning)))


def is_stale(plan: Plan, planning: Planning) -> bool:
    """Whether a proposal was made for something else than what is there now.

    The planner's latest decision is not stale whatever it was written for, a rollback never is, and nothing is before
    the planner has made a decision.
    """
    if plan.phase is not PlanPhase.PROPOSED or plan.rollback_of or planning.decision is None:
        return False
    return plan.basis != planning.basis and plan.name != planning.decision.name


def phases(plans: Iterable[Plan], planning: Planning, *, converged: bool) -> dict[str, PlanPhase]:
    """The phase that each plan should have now, by name, where it differs from the phase that it has.

    Args:
        plans: all plans of the fleet.
        planning: the planner's latest decision.
        converged: the current plan is reached.
    """
    plans = tuple(plans)
    stale = {plan.name for plan in plans if is_stale(plan, planning)}
    current = current_plan(plan for plan in plans if plan.name not in stale)
    wanted = {}
    for plan in plans:
        if current is not None and plan.name == current.name:
            reached = converged or plan.phase is PlanPhase.COMPLETED
            wanted[plan.name] = PlanPhase.COMPLETED if reached else PlanPhase.MOVING
        elif plan.phase is PlanPhase.PROPOSED and not plan.approved and plan.name not in stale:
            wanted[plan.name] = PlanPhase.PROPOSED
        else:
            wanted[plan.name] = PlanPhase.SUPERSEDED
    return {plan.name: wanted[plan.name] for plan in plans if wanted[plan.name] is not plan.phase}


def prunable(plans: Iterable[Plan], keep: int) -> tuple[Plan, ...]:
    """Superseded plans beyond the number to keep, oldest first."""
    superseded = sorted((plan for plan in plans if plan.phase is PlanPhase.SUPERSEDED), key=lambda plan: plan.created)
    pinned = {plan.rollback_of for plan in plans if plan.rollback_of and plan.phase is not PlanPhase.SUPERSEDED}
    loose = [plan for plan in superseded if plan.name not in pinned]
    return tuple(loose[: max(0, len(loose) - keep)])
