"""The next safe step from what runs to what is desired.

New before old: an old replica is drained only if, without it, what is Ready and acknowledged by every router still
serves what the plan wants; drained means taken out of the router, left alone for the drain time, then stopped. So old
replicas go one by one as new ones come, and a drain is taken back where it was too early. Where there is no room for
both, old replicas break before new ones are made (``shrink`` says which). All state of a move is in the cluster
(replica counts, the routable label and its time), so a crash changes nothing: the next step follows from the snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from atoll.domain.demand import DemandKey
from atoll.domain.objects import Action
from atoll.domain.reason import Fault
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.grow import grow
from atoll.reconcile.move import Move
from atoll.reconcile.protect import protect
from atoll.reconcile.room import Room
from atoll.reconcile.shrink import shrink
from atoll.reconcile.tidy import delete_idle_router, delete_idle_routes, delete_lost_pods, delete_unused
from atoll.reconcile.wanted import Desired


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to do now, and what is waited for.

    Attributes:
        actions: writes that are safe now, in order.
        converged: nothing is left to do and nothing is waited for.
        waiting: for what, by demand.
        unrouted: demands whose present routes are not known by all that carry requests, and why.
        router_synced: every router has acknowledged the present configuration.
    """

    actions: tuple[Action, ...]
    converged: bool
    waiting: Mapping[DemandKey, str]
    router_synced: bool
    unrouted: Mapping[DemandKey, Fault] = field(default_factory=dict)


def next_step(
    snapshot: Snapshot, desired: Desired, now: datetime, *, hold: bool = False, replan_due: bool = False
) -> Step:
    """The writes that are safe now; none when converged or when something must be waited for.

    Args:
        snapshot: what was seen.
        desired: what the plan means.
        now: the moment.
        hold: there is no plan to carry out (none yet, or somebody deleted it): no replica is touched.
        replan_due: another plan is about to come: nothing that serves breaks for this one.
    """
    move = Move(snapshot, desired, now, replan_due=replan_due)
    for intent in desired.companions:
        move.apply(intent, why="differs from what is desired")
    if hold:
        return Step(
            actions=tuple(move.actions),
            converged=False,
            waiting={},
            router_synced=move.router_synced,
            unrouted=move.unrouted,
        )
    delete_lost_pods(move)
    room = Room(move)
    grow(move, room)
    shrink(move, room)
    protect(move)
    delete_unused(move)
    delete_idle_router(move)
    delete_idle_routes(move)
    for key, wanted in desired.deployments.items():
        if move.serving(key) < wanted.count:
            move.waiting.setdefault(wanted.demand, "for replicas to become Ready")
    return Step(
        actions=tuple(move.actions),
        converged=not move.actions and not move.waiting and move.router_synced,
        waiting=move.waiting,
        router_synced=move.router_synced,
        unrouted=move.unrouted,
    )
