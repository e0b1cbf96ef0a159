"""Create what is new, highest priority first, within the room that there is and the pace that is allowed."""

from collections import Counter, defaultdict

from atoll.domain.objects import ObjectLike, reference
from atoll.domain.pool import OfferingKey
from atoll.reconcile.move import Move
from atoll.reconcile.room import Room
from atoll.reconcile.running import DeploymentId


def grow(move: Move, room: Room) -> None:
    """Add the replicas that are missing; a unit (one Deployment, or all stages of a replica) is started whole."""
    units: dict[tuple[str, ...], list[DeploymentId]] = defaultdict(list)
    for key, wanted in move.desired.deployments.items():
        units[wanted.unit].append(key)
    starting = sum(
        max(0, item.replicas - move.serving(key) - sum(bool(pod.gates) for pod in move.pods.get(key, ())))
        for key, item in move.live.items()  # what somebody else holds back, as Kueue does, holds nothing else up
    )
    pace = max(0, move.snapshot.fleet.max_moves - starting)
    ordered = sorted(
        (sorted(keys) for keys in units.values()),
        key=lambda keys: (-move.priority(move.desired.deployments[keys[0]].demand), keys),
    )
    for keys in ordered:
        pace -= _grow_unit(move, keys, room, pace)


def _grow_unit(move: Move, keys: list[DeploymentId], room: Room, pace: int) -> int:
    """Grow one unit; the number of replicas started."""
    demand = move.desired.deployments[keys[0]].demand
    missing = {key: max(0, move.goal(key) - _replicas(move, key)) for key in keys}
    grow_by = max(missing.values())
    allowed = min(grow_by, pace)
    asked = _asked(move, [key for key in keys if missing[key]])
    fitting = _fitting(asked, room, allowed)
    for offering, gpus in asked.items():
        room.ask(offering, move.priority(demand), allowed * gpus - max(0, room.free[offering]))
        room.free[offering] -= fitting * gpus
    if fitting < allowed:
        move.waiting[demand] = "for room"
    elif fitting < grow_by:
        move.waiting[demand] = "for earlier moves"
    if fitting:
        move.grown.add(demand)
    for key in keys:
        started = min(fitting, missing[key])
        replicas = _replicas(move, key) + started
        if move.desired.deployments[key].replica >= 0:
            replicas = min(replicas, move.count(key))  # scaled by hand: a second pod of a stage belongs to no replica
        if replicas:
            why = "more replicas are wanted" if started else "differs from what is desired"
            move.apply(_intent(move, key, replicas), why=why)
    return fitting


def _asked(move: Move, keys: list[DeploymentId]) -> Counter[OfferingKey]:
    """GPUs by offering that one more of each of these Deployments asks for."""
    asked: Counter[OfferingKey] = Counter()
    for key in keys:
        asked[move.desired.deployments[key].offering] += move.desired.deployments[key].gpus
    return asked


def _fitting(asked: Counter[OfferingKey], room: Room, allowed: int) -> int:
    """Replicas for which there is room in every offering."""
    return min([allowed, *(max(0, room.free[offering]) // gpus for offering, gpus in asked.items())])


def _replicas(move: Move, key: DeploymentId) -> int:
    """Replicas that a Deployment has, also where its annotations were edited so that it is not known as ours."""
    if key in move.live:
        return move.live[key].replicas
    found = move.snapshot.objects.get(reference(move.desired.deployments[key].intent))
    return int(found["spec"].get("replicas", 1)) if found else 0


def _intent(move: Move, key: DeploymentId, replicas: int) -> ObjectLike:
    intent = move.desired.deployments[key].intent
    return {**intent, "spec": {**intent["spec"], "replicas": replicas}}
