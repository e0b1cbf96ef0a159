"""Create what is new, highest priority first, within the room that there is and the pace that is allowed."""

from collections import Counter, defaultdict

from atoll.domain.demand import DemandKey
from atoll.domain.objects import DEPLOYMENT, ObjectLike, Reference, reference
from atoll.domain.pool import OfferingKey
from atoll.domain.snapshot import ObservedPod
from atoll.reconcile.move import Move
from atoll.reconcile.room import Room
from atoll.reconcile.running import DeploymentId

_STARTS = {"", "ContainerCreating", "PodInitializing"}
"""What a container waits for that is about to start."""


def grow(move: Move, room: Room) -> None:
    """Add the replicas that are missing; a unit (one Deployment, or all stages of a replica) is started whole."""
    units: dict[tuple[str, ...], list[DeploymentId]] = defaultdict(list)
    for key, wanted in move.desired.deployments.items():
        units[wanted.unit].append(key)
    starting, failing = _under_way(move)
    pace = max(0, move.snapshot.fleet.max_moves - starting)
    ordered = sorted(
        (sorted(keys) for keys in units.values()),
        key=lambda keys: (-move.priority(move.desired.deployments[keys[0]].demand), keys),
    )
    for keys in ordered:
        own = pace - failing[move.desired.deployments[keys[0]].demand]
        pace -= _grow_unit(move, keys, room, max(0, own))


def _under_way(move: Move) -> tuple[int, Counter[DemandKey]]:
    """Replicas that start or drain, and those that do not come up, by demand: these hold up no other demand.

    Nor does what somebody else holds back, as Kueue does, or what belongs to demands that are not planned.
    """
    starting, failing = 0, Counter[DemandKey]()
    for key, item in move.live.items():
        if item.demand not in move.snapshot.demands:
            continue
        pods = move.pods.get(key, ())
        left = max(0, item.replicas - move.serving(key) - sum(bool(pod.gates) for pod in pods))
        fail = left if _is_given_up(move, key) else min(left, sum(map(_fails, pods)))
        starting += left - fail
        failing[item.demand] += fail
    return starting, failing


def _fails(pod: ObservedPod) -> bool:
    """Whether the container of a pod that is not Ready ended, or cannot be started."""
    return not pod.ready and not pod.gates and (pod.restarts > 0 or pod.waiting not in _STARTS)


def _is_given_up(move: Move, key: DeploymentId) -> bool:
    """Whether Kubernetes says that pods of a Deployment cannot be made, or do not become Ready in time."""
    raw = move.snapshot.objects.get(Reference(kind=DEPLOYMENT.name, namespace=key[0], name=key[1])) or {}
    conditions = {item.get("type"): item.get("status") for item in (raw.get("status") or {}).get("conditions") or ()}
    return conditions.get("ReplicaFailure") == "True" or conditions.get("Progressing") == "False"


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
