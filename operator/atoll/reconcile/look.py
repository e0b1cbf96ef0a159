"""One look at the fleet: the plan in force, what it means, the next safe step; the same for operator and simulation."""

from dataclasses import dataclass
from datetime import datetime

from atoll.domain.plan import Plan
from atoll.domain.planning import Planning
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.plans import plan_in_force
from atoll.reconcile.problem import replan_due, without_faulty
from atoll.reconcile.transition import Step, next_step
from atoll.reconcile.wanted import Desired
from atoll.render.router.routing import RouterSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was made of a snapshot.

    Attributes:
        snapshot: without the demands that no plan can serve, or that cannot be rendered: what runs for them stays.
        plan: in force; None where there is none.
        desired: every object that it means.
        step: what is safe to do now.
    """

    snapshot: Snapshot
    plan: Plan | None
    desired: Desired
    step: Step


def look_at(snapshot: Snapshot, planning: Planning, router: RouterSettings, now: datetime) -> Look:
    """Look once.

    Args:
        snapshot: what was seen.
        planning: the planner's latest decision.
        router: where the router runs.
        now: the moment.
    """
    plan = plan_in_force(snapshot.plans, planning)
    due = replan_due(snapshot, planning, plan, now)
    snapshot = without_faulty(snapshot, planning.faults)
    desired, faults = desired_objects(snapshot, plan, router)
    if faults:
        snapshot = without_faulty(snapshot, faults)
        desired, _ = desired_objects(snapshot, plan, router)
    step = next_step(snapshot, desired, now, hold=plan is None, replan_due=due)
    return Look(snapshot=snapshot, plan=plan, desired=desired, step=step)
