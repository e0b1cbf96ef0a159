"""Create what is new, highest priority first, within the room that there is and the pace that is allowed."""

from collections import Counter, defaultdict

from atoll.domain.objects import ObjectLike
from atoll.domain.pool import OfferingKey
from atoll.reconcile.move import Move
from atoll.reconcile.running import DeploymentId


def grow(move: Move) -> None:
    """Add the replicas that are missing; a unit (one Deployment, or all stages of a replica) is started whole."""
    room = move.room()
    units: dict[tuple[str, ...], list[DeploymentId]] = defaultdict(list)
    for key, wanted in move.desired.deployments.items():
        units[wanted.unit].append(key)
    starting = sum(max(0, item.replicas - move.serving(key)) for key, item in move.live.items())
    pace = max(0, move.snapshot.fleet.max_moves - starting)
    ordered = sorted(
        (sorted(keys) for keys in units.values()),
        key=lambda keys: (-move.priority(move.desired.deployments[keys[0]].demand), keys),
    )
    for keys in ordered:
        pace -= _grow_unit(move, keys, room, pace)


def _grow_unit(move: Move, keys: list[DeploymentId], room: Counter[OfferingKey], pace: int) -> int:
    """Grow one unit; the number of replicas started."""
    demand = move.desired.deployments[keys[0]].demand
    missing = {key: move.goal(key) - _replicas(move, key) for key in keys}
    grow_by = max(missing.values())
    for key in keys:
        if missing[key] <= 0:
            move.apply(_intent(move, key, _replicas(move, key)), why="differs from what is desired")
    if grow_by <= 0:
        return 0
    asked = _asked(move, [key for key in keys if missing[key] > 0])
    fitting = min(grow_by, pace, _fitting(move, asked, room, grow_by))
    if fitting < min(grow_by, pace):
        move.waiting[demand] = "for room"
    elif fitting < grow_by:
        move.waiting[demand] = "for earlier moves"
    for offering, gpus in asked.items():
        room[offering] -= fitting * gpus
    for key in keys:
        if fitting > 0 and missing[key] > 0:
            replicas = _replicas(move, key) + min(fitting, missing[key])
            move.apply(_intent(move, key, replicas), why="more replicas are wanted")
    return fitting


def _asked(move: Move, keys: list[DeploymentId]) -> Counter[OfferingKey]:
    """GPUs by offering that one more of each of these Deployments asks for."""
    asked: Counter[OfferingKey] = Counter()
    for key in keys:
        asked[move.desired.deployments[key].offering] += move.desired.deployments[key].gpus
    return asked


def _fitting(move: Move, asked: Counter[OfferingKey], room: Counter[OfferingKey], grow_by: int) -> int:
    """Replicas for which there is room in every offering; what is missing is noted."""
    fitting = grow_by
    for offering, gpus in asked.items():
        free = max(0, room[offering])
        move.missing_room[offering] += max(0, grow_by * gpus - free)
        fitting = min(fitting, free // gpus)
    return fitting


def _replicas(move: Move, key: DeploymentId) -> int:
    return move.live[key].replicas if key in move.live else 0


def _intent(move: Move, key: DeploymentId, replicas: int) -> ObjectLike:
    intent = move.desired.deployments[key].intent
    return {**intent, "spec": {**intent["spec"], "replicas": replicas}}
