"""Which replicas the plan does not want any more, and what each of them still serves and holds."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from atoll.domain.demand import DemandKey
from atoll.domain.pool import OfferingKey
from atoll.domain.snapshot import ObservedPod
from atoll.reconcile.drain import is_draining
from atoll.reconcile.move import Move
from atoll.reconcile.running import DeploymentId, is_lost, replica_id
from atoll.reconcile.sides import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """One replica that is to go.

    Attributes:
        keys: its Deployments, by stage.
        demand: whose it is.
        priority: of the demand.
        head: the pod that requests reach; None where there is none, or none that is Ready.
        rate: requests/s that go with it, 0 where its node goes anyway.
        side: which side of which pair it is on.
        gpus: that come free, by offering.
        refilled: it is wanted, only not there: its ReplicaSet replaces it.
    """

    keys: tuple[DeploymentId, ...]
    demand: DemandKey
    priority: int
    head: ObservedPod | None
    rate: float
    side: Side
    gpus: Mapping[OfferingKey, int]
    refilled: bool = False

    @property
    def draining(self) -> bool:
        """It was taken out of the router."""
        return self.head is not None and is_draining(self.head)


def victims(move: Move) -> list[Victim]:
    """Surplus replicas of all demands, in the order in which they go.

    First those that answer nobody, then those of the lowest priority, of these first the ones that drain already.

    Of a demand that is gone the garbage collector takes everything. One that the plan did not decide about, because it
    has a fault or had one then, keeps what it has.
    """
    units: dict[tuple[str, ...], list[DeploymentId]] = defaultdict(list)
    for key, item in sorted(move.live.items(), key=lambda entry: (entry[1].stage, entry[0])):
        if item.demand in move.desired.planned:
            units[replica_id(item)].append(key)
    found = [victim for _, keys in sorted(units.items()) for victim in _of_unit(move, tuple(keys))]
    return sorted(found, key=lambda victim: (victim.head is not None, victim.priority, not victim.draining))


def _of_unit(move: Move, keys: tuple[DeploymentId, ...]) -> list[Victim]:
    """Surplus of one single-stage Deployment, or a whole multi-stage replica."""
    item = move.live[keys[0]]
    if item.replica >= 0:
        if any(move.count(key) for key in keys):
            return []
        heads = [pod for pod in move.pods.get(keys[0], ()) if item.stage == 0 and move.answers(pod)]
        return [_victim(move, keys, heads[0] if heads else None)]
    surplus = item.replicas - move.goal(keys[0])
    if surplus > 0:
        podless = [None] * min(surplus, max(0, item.replicas - len(move.pods.get(keys[0], ()))))
        staying = _ordered(move, keys[0])[len(removed(move, keys[0])) :]
        chosen = staying[: surplus - len(podless)]
        return [_victim(move, keys, pod if pod and move.answers(pod) else None) for pod in (*chosen, *podless)]
    return [_victim(move, keys, pod, refilled=True) for pod in move.leaving(keys[0])]


def _victim(move: Move, keys: tuple[DeploymentId, ...], head: ObservedPod | None, *, refilled: bool = False) -> Victim:
    demand = move.live[keys[0]].demand
    gpus: Counter[OfferingKey] = Counter()
    for key in keys:
        gpus[move.live[key].offering] += move.live[key].strategy.tp
    serves = head is not None and not is_lost(head, move.snapshot) and move.whole(keys[0])
    return Victim(
        keys=keys,
        demand=demand,
        priority=move.priority(demand),
        head=head,
        rate=move.rate(keys[0]) if serves else 0.0,
        side=move.side(keys[0]),
        gpus=gpus,
        refilled=refilled,
    )


def removed(move: Move, key: DeploymentId) -> list[ObservedPod]:
    """Pods that a ReplicaSet is about to remove, because its Deployment was scaled a moment ago."""
    ordered = _ordered(move, key)
    return ordered[: max(0, len(ordered) - move.live[key].replicas)]


def _ordered(move: Move, key: DeploymentId) -> list[ObservedPod]:
    """Pods of a Deployment: first those that serve nothing, as its ReplicaSet removes those first, then youngest."""
    return sorted(
        move.pods.get(key, ()),
        key=lambda pod: (
            move.answers(pod),
            not is_lost(pod, move.snapshot),
            not is_draining(pod),
            -pod.created.timestamp(),
            pod.name,
        ),
    )
