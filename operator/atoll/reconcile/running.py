"""Which replicas run now, with those already counted out whose node is gone or going."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from atoll.domain.pool import OfferingKey
from atoll.domain.problem import ReplicaGroup, ReplicaSite
from atoll.domain.snapshot import ObservedDeployment, ObservedPod, Snapshot
from atoll.reconcile.ownership import is_engine
from atoll.render import names

DeploymentId = tuple[str, str]
"""Namespace and name of a Deployment."""


def pods_by_deployment(snapshot: Snapshot) -> dict[DeploymentId, tuple[ObservedPod, ...]]:
    """Our live pods (not finished, not being deleted) by their Deployment."""
    by_demand: dict[tuple[str, str], list[ObservedPod]] = defaultdict(list)
    for pod in snapshot.pods:
        if is_engine(pod.labels) and not pod.deleting and not pod.finished:
            by_demand[pod.namespace, pod.labels[names.DEMAND]].append(pod)
    return {
        (item.namespace, item.name): tuple(
            sorted(
                (
                    pod
                    for pod in by_demand[item.namespace, item.demand.name]
                    if item.selector.items() <= pod.labels.items()
                ),
                key=lambda pod: pod.name,
            )
        )
        for item in snapshot.deployments
    }


def replica_id(deployment: ObservedDeployment) -> tuple[str, ...]:
    """What the stages of one replica have in common; another template may have a replica of the same index."""
    template = deployment.selector.get(names.TEMPLATE, "")
    return (deployment.namespace, deployment.demand.name, template, str(deployment.replica))


def whole_replicas(
    snapshot: Snapshot, pods: Mapping[DeploymentId, Sequence[ObservedPod]]
) -> frozenset[tuple[str, ...]]:
    """Multi-stage replicas of which every follower is Ready on a node that stays.

    A leader alone serves nobody, even if it has not noticed yet that it is alone.
    """
    followers: dict[tuple[str, ...], int] = defaultdict(int)
    stages: dict[tuple[str, ...], int] = {}
    for item in snapshot.deployments:
        if item.replica < 0 or item.deleting:
            continue
        stages[replica_id(item)] = len(item.strategy.stages)
        mine = pods.get((item.namespace, item.name), ())
        if item.stage and any(pod.ready and not is_lost(pod, snapshot) for pod in mine):
            followers[replica_id(item)] += 1
    return frozenset(key for key, count in stages.items() if followers[key] == count - 1)


def lost_pods(snapshot: Snapshot) -> tuple[ObservedPod, ...]:
    """Our pods bound to a node that is gone, or that has a notice or is not ready: they are not counted on."""
    return tuple(pod for pod in snapshot.pods if is_engine(pod.labels) and not pod.finished and is_lost(pod, snapshot))


def is_lost(pod: ObservedPod, snapshot: Snapshot) -> bool:
    """Whether a pod's node is gone, going or not ready."""
    node = snapshot.nodes.get(pod.node)
    return node_is_gone(pod, snapshot) or (node is not None and (bool(node.notice) or not node.ready))


def node_is_gone(pod: ObservedPod, snapshot: Snapshot) -> bool:
    """Whether the node that a pod is bound to is not there any more."""
    return bool(pod.node) and pod.node not in snapshot.nodes and pod.node not in snapshot.unheard


def seconds_waiting(pod: ObservedPod, snapshot: Snapshot, now: datetime) -> float:
    """For how long a scheduler could have placed a pod, seconds: 0 while a gate holds it back, as Kueue's does."""
    if pod.gates:
        return 0.0
    return (now - max(pod.created, snapshot.released.get(pod.uid, pod.created))).total_seconds()


def running(snapshot: Snapshot, now: datetime) -> tuple[ReplicaGroup, ...]:
    """Replica groups of demands that still exist, without lost replicas and without replicas on masked offerings.

    A replica that still starts counts: it has been decided. One that is Pending on a masked offering does not.
    """
    pods = pods_by_deployment(snapshot)
    masked = {offering for offering, mask in snapshot.masks.items() if now < mask.until}
    counts: Counter[tuple[str, ...]] = Counter()
    groups: dict[tuple[str, ...], ReplicaGroup] = {}

    def count(deployment: ObservedDeployment, replicas: int) -> None:
        key = (str(deployment.demand), deployment.strategy.id, *map(str, deployment.offerings))
        counts[key] += replicas
        groups.setdefault(
            key,
            ReplicaGroup(
                demand=deployment.demand,
                strategy=deployment.strategy,
                site=ReplicaSite(offerings=deployment.offerings),
                count=1,
            ),
        )

    for deployment, stages in _replicas(snapshot.deployments):
        if deployment.demand not in snapshot.demands:
            continue
        gone = max(
            _counted_out(stage, pods.get((stage.namespace, stage.name), ()), snapshot, masked) for stage in stages
        )
        count(deployment, max(0, deployment.replicas - gone) if len(stages) == 1 else int(gone == 0))
    return tuple(
        ReplicaGroup(demand=group.demand, strategy=group.strategy, site=group.site, count=counts[key])
        for key, group in sorted(groups.items())
        if counts[key] > 0
    )


def _replicas(
    deployments: Iterable[ObservedDeployment],
) -> Iterable[tuple[ObservedDeployment, tuple[ObservedDeployment, ...]]]:
    """Each single-stage Deployment alone, and each complete multi-stage replica as its first stage with all stages."""
    whole: dict[tuple[str, ...], list[ObservedDeployment]] = defaultdict(list)
    for deployment in deployments:
        if deployment.deleting:
            continue
        if deployment.replica < 0:
            yield deployment, (deployment,)
        else:
            whole[replica_id(deployment)].append(deployment)
    for stages in whole.values():
        stages.sort(key=lambda deployment: deployment.stage)
        first = stages[0]
        if len(stages) == len(first.strategy.stages) and all(stage.replicas for stage in stages):
            yield first, tuple(stages)


def _counted_out(
    deployment: ObservedDeployment, pods: tuple[ObservedPod, ...], snapshot: Snapshot, masked: set[OfferingKey]
) -> int:
    """Replicas of a Deployment that are lost, or wait where nothing is to be had."""
    lost = sum(is_lost(pod, snapshot) for pod in pods)
    if deployment.offering not in masked:
        return lost
    placed = sum(bool(pod.node) for pod in pods)
    return lost + max(0, deployment.replicas - placed)
