"""Remove what is not wanted any more: out of the router first, then left alone to drain, then stopped.

An old replica goes once what its plan wants is served without it and every router knows. Where new replicas lack room,
old ones there go before that (break before make), and only as many as make the room:

- at once those of a demand of lower priority than the one that lacks room;
- of the same priority only where nothing starts and no room comes free anyhow, and then a quarter at a time;
- never those of a higher priority.
"""

from collections import Counter

from atoll.domain.objects import DEPLOYMENT, POD, Apply, Delete, Reference, Scale
from atoll.domain.snapshot import ObservedPod
from atoll.reconcile.drain import draining_since, is_draining, routable_pod, unroutable_pod
from atoll.reconcile.move import Move
from atoll.reconcile.room import Room
from atoll.reconcile.running import DeploymentId
from atoll.reconcile.spare import Spare
from atoll.reconcile.victims import Victim, removed, victims


def shrink(move: Move, room: Room) -> None:
    """Take surplus replicas away, as far as it is safe now, and take back drains that are not."""
    room.settle()
    found = victims(move)
    spare = Spare(move, room, found)
    gone: Counter[DeploymentId] = Counter()
    leaving: set[str] = set()
    for victim in found:
        spared = not victim.refilled and spare.suffices(victim)
        if victim.head is None or _may_go(move, room, spare, victim):
            spare.without(victim)
            for offering, gpus in victim.gpus.items():
                room.answer(offering, gpus)
            if victim.head is not None:
                leaving.add(victim.head.uid)
            known = move.routed(victim.demand) or not spared
            if victim.head is None or (_drained(move, victim.head) and known):
                _stop(move, victim, gone)
            else:
                move.waiting.setdefault(victim.demand, "for old replicas to drain")
        elif not victim.refilled:
            move.waiting.setdefault(victim.demand, "for new replicas to serve")
    _take_back(move, leaving)
    for key, count in sorted(gone.items()):
        _remove(move, key, count)


def _may_go(move: Move, room: Room, spare: Spare, victim: Victim) -> bool:
    """Whether a replica that answers requests may be drained now.

    A drain goes on while routers learn of something else, such as a strategy of another demand that has gone.
    """
    if not victim.refilled and (move.routed(victim.demand) or victim.draining) and spare.suffices(victim):
        for offering, gpus in victim.gpus.items():
            room.coming[offering] += gpus
        return True
    if move.replan_due:
        return False  # the next plan may find room elsewhere
    for offering in victim.gpus:
        asked = room.highest_ask(offering)
        if asked is None or asked < victim.priority:
            continue
        waits = spare.starting(victim.demand) or room.coming[offering] > 0
        if asked > victim.priority or (not waits and spare.breakable(victim)):
            return True
    return False


def _stop(move: Move, victim: Victim, gone: Counter[DeploymentId]) -> None:
    """Stop a replica; one that is wanted, only not there, comes again at once."""
    if victim.refilled and victim.head is not None:
        target = Reference(kind=POD.name, namespace=victim.head.namespace, name=victim.head.name)
        why = "its node is going and holds the room for its replacement"
        move.actions.append(Delete(target=target, uid=victim.head.uid, resource_version="", why=why))
    else:
        gone.update(victim.keys)


def _drained(move: Move, pod: ObservedPod) -> bool:
    """Whether a pod may be stopped; takes it out of the router where it is not out yet.

    A drain that an operator with a clock ahead began would last until ours is there too: it begins anew.
    """
    since = draining_since(pod)
    if since is None or since > move.now:
        move.actions.append(Apply(intent=unroutable_pod(pod, move.now), why="drain", live_uid=pod.uid))
    return move.drained(pod)


def _take_back(move: Move, leaving: set[str]) -> None:
    """Route again to pods that are out of the router and do not go."""
    for key, item in sorted(move.live.items()):
        if item.demand not in move.snapshot.demands or item.stage > 0:
            continue
        going = {pod.uid for pod in removed(move, key)} | leaving
        for pod in move.pods.get(key, ()):
            if is_draining(pod) and pod.ready and pod.uid not in going:
                move.actions.append(Apply(intent=routable_pod(pod), why="is needed after all", live_uid=pod.uid))


def _remove(move: Move, key: DeploymentId, count: int) -> None:
    """Take replicas off a Deployment, or delete it where none are left or wanted."""
    item = move.live[key]
    target = Reference(kind=DEPLOYMENT.name, namespace=item.namespace, name=item.name)
    left = item.replicas - count
    if item.replica >= 0 or (left <= 0 and key not in move.desired.deployments):
        why = "not wanted any more"
        move.actions.append(Delete(target=target, uid=item.uid, resource_version=item.resource_version, why=why))
        return
    move.actions.append(
        Scale(
            target=target,
            uid=item.uid,
            resource_version=item.resource_version,
            replicas=left,
            why="fewer replicas are wanted",
        )
    )
