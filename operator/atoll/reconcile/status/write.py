"""Every status write that says something new."""

from atoll.domain.objects import FLEET, GPU_NODE_POOL, MODEL_DEMAND, PERFORMANCE_PROFILE, Action
from atoll.reconcile.status.demand import demand_status
from atoll.reconcile.status.fleet import fleet_status
from atoll.reconcile.status.plan import plan_statuses
from atoll.reconcile.status.pool import pool_status
from atoll.reconcile.status.profile import profile_status
from atoll.reconcile.status.view import View


def status_writes(view: View) -> tuple[Action, ...]:
    """The status writes of all objects of the fleet, and the events that go with them."""
    actions: list[Action] = []
    for ref, live in sorted(view.snapshot.objects.items(), key=lambda item: item[0]):
        if ref.kind == MODEL_DEMAND.name:
            actions.extend(demand_status(view, ref, live))
        elif ref.kind == GPU_NODE_POOL.name:
            actions.extend(pool_status(view, ref, live))
        elif ref.kind == PERFORMANCE_PROFILE.name:
            actions.extend(profile_status(view, ref, live))
        elif ref.kind == FLEET.name and ref.name == view.snapshot.fleet.name:
            actions.extend(fleet_status(view, live))
    actions.extend(plan_statuses(view))
    return tuple(actions)
