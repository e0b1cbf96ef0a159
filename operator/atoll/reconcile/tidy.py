"""What is left behind: pods that cannot end by themselves, and companions that nothing uses."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from atoll.domain.demand import DemandKey
from atoll.domain.fleet import Acknowledgement
from atoll.domain.objects import (
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    HTTP_ROUTE,
    MODEL_DEMAND,
    NODE,
    POD,
    RESOURCE_CLAIM_TEMPLATE,
    SERVICE,
    Delete,
    ObjectLike,
    Reference,
    reference,
)
from atoll.domain.snapshot import ObservedPod
from atoll.reconcile.move import Move
from atoll.reconcile.ownership import demand_of, fleet_of, is_engine
from atoll.reconcile.running import node_is_gone, replica_id
from atoll.render import names
from atoll.render.router.configuration import router_labels

_COMPANIONS = {SERVICE.name, DISRUPTION_BUDGET.name, RESOURCE_CLAIM_TEMPLATE.name}
_STAGES_START_TOGETHER_SECONDS = 60.0


def delete_lost_pods(move: Move) -> None:
    """Delete pods bound to a node that is gone, and all pods of a replica that lost a stage.

    A node of which the watch has not told for long looks the same, so each delete names the node that must be absent.
    What was deleted before is not deleted again: somebody's finalizer may keep a pod for long.
    """
    gone = {pod.uid: pod for pod in move.snapshot.pods if is_engine(pod.labels) and node_is_gone(pod, move.snapshot)}
    doomed = {uid: (pod, "its node is gone", True, pod.node) for uid, pod in gone.items()}
    by_replica: dict[tuple[str, ...], list[ObservedPod]] = defaultdict(list)
    for key, item in move.live.items():
        if item.replica >= 0:
            by_replica[replica_id(item)].extend(move.pods.get(key, ()))
    for pods in by_replica.values():
        node = next((pod.node for pod in pods if pod.uid in gone), "")
        for pod in broken_replica_pods(pods, gone.keys()):
            doomed.setdefault(pod.uid, (pod, "another stage of its replica failed", False, node))
    for pod, why, force, node in doomed.values():
        if pod.ending or (pod.deleting and not force):
            continue
        target = Reference(kind=POD.name, namespace=pod.namespace, name=pod.name)
        absent = Reference(kind=NODE.name, name=node) if node else None
        move.actions.append(
            Delete(target=target, uid=pod.uid, resource_version="", why=why, force=force, absent=absent)
        )


def broken_replica_pods(pods: Iterable[ObservedPod], gone: Iterable[str]) -> tuple[ObservedPod, ...]:
    """Stage pods of one replica that must go because a sibling restarted or vanished.

    Stages form one process group: a stage that starts anew cannot join one that is running. A sibling vanished if
    another stage's pod is younger by more than a minute.
    """
    pods = tuple(pods)
    if not pods:
        return ()
    lost = set(gone)
    if any(pod.uid in lost or pod.restarts > 0 for pod in pods):
        return pods
    newest = max(pod.created for pod in pods)
    return tuple(pod for pod in pods if (newest - pod.created).total_seconds() > _STAGES_START_TOGETHER_SECONDS)


def delete_unused(move: Move) -> None:
    """Delete Services, budgets and claim templates of what neither runs nor is wanted; pods being stopped still run."""
    wanted = {reference(intent) for intent in move.desired.companions}
    running, claimed = _running_labels(move), _claim_templates(move)
    for ref, obj in sorted(move.snapshot.objects.items(), key=lambda item: item[0]):
        if ref in wanted or ref.kind not in _COMPANIONS:
            continue
        metadata = obj["metadata"]
        demand = demand_of(ref.namespace, metadata.get("labels") or {})
        if demand not in move.snapshot.demands or metadata.get("deletionTimestamp"):
            continue
        if ref.kind == RESOURCE_CLAIM_TEMPLATE.name:
            is_used = ref in claimed
        else:
            is_used = any(_selects(obj, labels) for labels in running[ref.namespace])
        if not is_used:
            why = "nothing uses it any more"
            move.actions.append(
                Delete(target=ref, uid=metadata["uid"], resource_version=metadata["resourceVersion"], why=why)
            )


def delete_idle_router(move: Move) -> None:
    """Delete Atoll's own router where Gateways alone carry requests, once they know every route."""
    if not move.router_synced:
        return
    for ref in sorted(move.desired.idle):
        metadata = move.snapshot.objects.get(ref, {}).get("metadata", {})
        ours = router_labels().items() <= (metadata.get("labels") or {}).items()
        if ours and not metadata.get("deletionTimestamp"):
            why = "Gateways carry all requests"
            move.actions.append(
                Delete(target=ref, uid=metadata["uid"], resource_version=metadata["resourceVersion"], why=why)
            )


def delete_idle_routes(move: Move) -> None:
    """Delete HTTPRoutes where Atoll's own router alone carries requests, once it knows every route.

    Those of demands that became invalid too: the router goes on serving these as well. Where nobody is asked what he
    knows, a router that is Ready must be there at least.
    """
    policy = move.snapshot.fleet.router
    if not move.router_synced or policy.target.uses_gateways:
        return
    if policy.acknowledgement is Acknowledgement.NONE and not any(map(_is_ready_router, move.snapshot.pods)):
        return
    for ref, route in sorted(move.snapshot.objects.items(), key=lambda item: item[0]):
        metadata = route["metadata"]
        if ref.kind != HTTP_ROUTE.name or metadata.get("deletionTimestamp"):
            continue
        demand = demand_of(ref.namespace, metadata.get("labels") or {})
        if demand is not None and _is_of_this_fleet(move, demand):
            why = "Atoll's own router carries all requests"
            move.actions.append(
                Delete(target=ref, uid=metadata["uid"], resource_version=metadata["resourceVersion"], why=why)
            )


def _is_ready_router(pod: ObservedPod) -> bool:
    return pod.ready and not pod.deleting and router_labels().items() <= pod.labels.items()


def _is_of_this_fleet(move: Move, demand: DemandKey) -> bool:
    """Whether a demand is there, valid or not, and names our Fleet; what belongs to none goes with its owner."""
    ref = Reference(kind=MODEL_DEMAND.name, namespace=demand.namespace, name=demand.name)
    raw = move.snapshot.objects.get(ref)
    return raw is not None and fleet_of(raw) == move.snapshot.fleet.name


def _running_labels(move: Move) -> dict[str, list[Mapping[str, str]]]:
    """Labels of pods that are there and of those that live Deployments make, by namespace."""
    found: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for pod in move.snapshot.pods:
        if is_engine(pod.labels) and not pod.finished:
            found[pod.namespace].append(pod.labels)
    for namespace, name in move.live:
        raw = move.snapshot.objects[Reference(kind=DEPLOYMENT.name, namespace=namespace, name=name)]
        found[namespace].append(raw["spec"]["template"]["metadata"].get("labels") or {})
    return found


def _claim_templates(move: Move) -> set[Reference]:
    """Claim templates of which pods may yet be made; a pod that is there has its claim."""
    found = set()
    for namespace, name in move.live:
        raw = move.snapshot.objects[Reference(kind=DEPLOYMENT.name, namespace=namespace, name=name)]
        for claim in raw["spec"]["template"]["spec"].get("resourceClaims") or ():
            template = str(claim.get("resourceClaimTemplateName", ""))
            found.add(Reference(kind=RESOURCE_CLAIM_TEMPLATE.name, namespace=namespace, name=template))
    return found


def _selects(obj: ObjectLike, labels: Mapping[str, str]) -> bool:
    """Whether a Service or budget is for pods with these labels, whether they are routable or not."""
    selector = obj["spec"].get("selector") or {}
    asked = {key: value for key, value in selector.get("matchLabels", selector).items() if key != names.ROUTABLE}
    return asked.items() <= labels.items()
