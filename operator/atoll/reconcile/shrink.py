"""Remove what is not wanted any more: out of the router first, then left alone to drain, then stopped."""

from collections import Counter

from atoll.domain.objects import DEPLOYMENT, Apply, Delete, Reference, Scale
from atoll.domain.snapshot import ObservedDeployment, ObservedPod
from atoll.reconcile.drain import is_draining, unroutable_pod
from atoll.reconcile.move import Move
from atoll.reconcile.running import DeploymentId, is_lost


def shrink(move: Move) -> None:
    """Take surplus replicas away, lowest priority first.

    Old replicas go once everything wanted for their demand serves and every router knows. Where new replicas lack room,
    old ones on the same offering go at once (break before make), but only as many as make the room.
    """
    _note_stuck_pods(move)
    surplus = [
        (key, item, item.replicas - move.goal(key)) for key, item in move.live.items() if item.replicas > move.goal(key)
    ]
    for key, item, count in sorted(surplus, key=lambda entry: (move.priority(entry[1].demand), entry[0])):
        if item.demand in move.snapshot.demands:  # of a demand that is gone the garbage collector removes it
            _shrink(move, key, item, count)


def _note_stuck_pods(move: Move) -> None:
    """Wanted pods that no node takes although all nodes of the offering are there: room is missing after all."""
    nodes = Counter(node.offering for node in move.snapshot.nodes.values() if node.ready and not node.notice)
    limits: Counter[object] = Counter()
    for supply in move.supplies:
        limits[supply.offering] += supply.obtainable
    for key, wanted in move.desired.deployments.items():
        stuck = sum(not pod.node for pod in move.pods.get(key, ()))
        if stuck and nodes[wanted.offering] >= limits[wanted.offering]:
            move.missing_room[wanted.offering] += stuck * wanted.gpus


def _shrink(move: Move, key: DeploymentId, item: ObservedDeployment, count: int) -> None:
    breaks = move.missing_room[item.offering] > 0
    may_drain = breaks or (move.all_serve(item.demand) and move.router_synced)
    victims = _victims(move, key, count)
    if item.replica >= 0:
        removable = count if _replica_may_go(move, item, may_drain=may_drain) else 0
    else:
        removable = max(0, count - len(victims))  # replicas that have no pod at all
    for pod in victims:
        removable += _release(move, item, pod, may_drain=may_drain)
        if breaks and pod.ready:
            move.missing_room[item.offering] -= pod.gpus
    removable = min(removable, count)
    if removable < count:
        waits = "for old replicas to drain" if may_drain else "for new replicas to serve"
        move.waiting.setdefault(item.demand, waits)
    if removable > 0:
        _remove(move, key, item, removable)


def _release(move: Move, item: ObservedDeployment, pod: ObservedPod, *, may_drain: bool) -> int:
    """Begin to drain a pod, or count it (1) as free to be stopped."""
    if item.stage > 0:
        return 0  # requests reach first stages only; the others go with theirs
    if not is_draining(pod) and pod.ready:
        if may_drain:
            move.actions.append(Apply(intent=unroutable_pod(pod, move.now), why="drain", live_uid=pod.uid))
        return 0
    if item.replica >= 0:
        return 0  # the whole replica is judged at once
    return int(not pod.ready or move.drained(pod))


def _replica_may_go(move: Move, item: ObservedDeployment, *, may_drain: bool) -> bool:
    """All stages of a replica go together, once its first stage is drained or does not serve."""
    heads = [
        pod
        for key, other in move.live.items()
        if (other.demand, other.replica, other.stage) == (item.demand, item.replica, 0)
        for pod in move.pods.get(key, ())
    ]
    return all(not pod.ready or (may_drain and move.drained(pod)) for pod in heads)


def _victims(move: Move, key: DeploymentId, count: int) -> list[ObservedPod]:
    """The pods to remove: first those that serve nothing, then those on lost nodes, already draining, youngest."""
    order = sorted(
        move.pods.get(key, ()),
        key=lambda pod: (
            pod.ready,
            not is_lost(pod, move.snapshot),
            not is_draining(pod),
            -pod.created.timestamp(),
            pod.name,
        ),
    )
    return order[:count]


def _remove(move: Move, key: DeploymentId, item: ObservedDeployment, removable: int) -> None:
    target = Reference(kind=DEPLOYMENT.name, namespace=item.namespace, name=item.name)
    left = item.replicas - removable
    if left <= 0 and key not in move.desired.deployments:
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
