"""Going back to a plan: another FleetPlan of the same content, pinned until somebody approves something else."""

from collections.abc import Iterable
from dataclasses import replace

from atoll.domain.plan import Plan, PlanPhase
from atoll.reconcile.plans import current_plan


def rollback_to(plan: Plan, *, cost_now_per_hour: float) -> Plan:
    """The plan that returns to a former one, approved; back to a rollback is back to what that went back to.

    Args:
        plan: to return to.
        cost_now_per_hour: of the plan in force, US$/h.
    """
    return replace(
        plan,
        rollback_of=plan.rollback_of or plan.name,
        approved=True,
        phase=PlanPhase.PROPOSED,
        previous_cost_per_hour=cost_now_per_hour,
        created="",
        in_force_since="",
        uid="",
    )


def former_plan(plans: Iterable[Plan]) -> Plan | None:
    """The plan that was in force before the present one; None where there is none.

    One that was approved too late, for another world, is approved and superseded too, but never was in force.
    """
    plans = tuple(plans)
    current = current_plan(plans)
    if current is None:
        return None
    before = [
        item
        for item in plans
        if item.in_force_since
        and item.phase is PlanPhase.SUPERSEDED
        and (item.created, item.name) < (current.created, current.name)
        and item.name != current.rollback_of
    ]
    return max(before, key=lambda item: (item.created, item.name), default=None)
