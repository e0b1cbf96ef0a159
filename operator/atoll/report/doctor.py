"""Whether a cluster can serve, and if not what to do: one check per thing that is commonly missing."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from atoll.domain.fleet import Mode
from atoll.domain.objects import FLEET, MODEL_DEMAND, ObjectLike, Reference
from atoll.domain.pool import NodePool, Provisioning
from atoll.domain.snapshot import ObservedNode, Snapshot
from atoll.reconcile.moments import parse_moment
from atoll.reconcile.observe import offering_of
from atoll.reconcile.ownership import fleet_of
from atoll.report.numbers import counted

SCHEMA_VERSION = 1

_NAMED = 3
_SKEW_SECONDS = 5.0
_GPU_LABELS = ("nvidia.com/gpu.product", "nvidia.com/gpu.present", "cloud.google.com/gke-accelerator")


class Result(StrEnum):
    """How a check went."""

    OK = "Ok"
    WARNING = "Warning"
    FAILED = "Failed"
    SKIPPED = "Skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        name: what was checked.
        result: how it went.
        says: what was seen.
        mend: what to do; empty where nothing is to be done.
    """

    name: str
    result: Result
    says: str
    mend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found out; None where it could not be asked.

    Attributes:
        snapshot: of the cluster.
        nodes: raw.
        leases: of operators, raw.
        missing_fields: of our CustomResourceDefinitions, by kind: fields that this version has and the cluster lacks.
        operator_user: that the operator is known as; empty where nobody knows.
        denied: what that user may not do and has to.
        karpenter_pools: Karpenter's NodePools; 0 too where there is no Karpenter.
        refusals: messages of late events that say a write was refused.
        answers: whether the operator's probes, and so its metrics, answer.
        now: the moment.
    """

    snapshot: Snapshot
    nodes: Sequence[ObjectLike]
    leases: Sequence[ObjectLike] | None
    missing_fields: Mapping[str, Sequence[str]] | None
    operator_user: str
    denied: Sequence[str] | None
    karpenter_pools: int
    refusals: Sequence[str]
    answers: bool | None
    now: datetime


def report_of(found: Sequence[Check]) -> dict[str, Any]:
    """The documented JSON form (docs/reference/json.md)."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "healthy": not any(item.result is Result.FAILED for item in found),
        "checks": [
            {"name": item.name, "result": item.result.value, "says": item.says, "mend": item.mend} for item in found
        ],
    }


def checks(facts: Facts) -> tuple[Check, ...]:
    """All checks that need a cluster with our resources, in the order in which to mend."""
    return tuple(
        check
        for family in (
            _definitions,
            _lease,
            _permissions,
            _fleet,
            _pools,
            _nodes,
            _router,
            _metrics,
            _demands,
            _refusals,
        )
        for check in family(facts)
    )


def _definitions(facts: Facts) -> Iterator[Check]:
    name = "custom resources"
    if facts.missing_fields is None:
        yield Check(name=name, result=Result.SKIPPED, says="we may not read CustomResourceDefinitions")
    elif lacking := {kind: fields for kind, fields in facts.missing_fields.items() if fields}:
        kind, fields = next(iter(lacking.items()))
        says = f"{', '.join(lacking)} are of another version: {kind} lacks {_some(fields)}"
        mend = "install those of this version: kubectl apply --server-side -f crds/ (helm upgrade does it too)"
        yield Check(name=name, result=Result.FAILED, says=says, mend=mend)
    else:
        yield Check(name=name, result=Result.OK, says="installed, of this version")


def _lease(facts: Facts) -> Iterator[Check]:
    name = "operator"
    if facts.leases is None:
        yield Check(name=name, result=Result.SKIPPED, says="we may not read Leases")
        return
    if not facts.leases:
        says = "no Lease atoll-operator: none has ever led here"
        mend = "start it (helm install), or see its log: kubectl get pods -A -l app.kubernetes.io/name=atoll"
        yield Check(name=name, result=Result.FAILED, says=says, mend=mend)
        return
    for lease in facts.leases:
        yield _lease_check(lease, facts.now)


def _lease_check(lease: ObjectLike, now: datetime) -> Check:
    name, spec = "operator", lease.get("spec") or {}
    where = f"Lease {lease['metadata'].get('namespace', '')}/{lease['metadata']['name']}"
    holder, renewed = spec.get("holderIdentity") or "", parse_moment(spec.get("renewTime"))
    if not holder or renewed is None:
        mend = "one starts within seconds if it runs: see its pod and log"
        return Check(name=name, result=Result.FAILED, says=f"{where} is held by nobody", mend=mend)
    age = (now - renewed).total_seconds()
    if age > 2.0 * float(spec.get("leaseDurationSeconds") or 15):
        mend = "the operator has ended or cannot write: see its pod and log"
        return Check(name=name, result=Result.FAILED, says=f"{where} of {holder} is {age:.0f} s old", mend=mend)
    if age < -_SKEW_SECONDS:
        says = f"{holder} leads, and its clock is {-age:.0f} s ahead of this machine's"
        mend = "set the clocks by NTP: schedules and drains go by them"
        return Check(name="clocks", result=Result.WARNING, says=says, mend=mend)
    return Check(name=name, result=Result.OK, says=f"{holder} leads, renewed {max(0.0, age):.0f} s ago ({where})")


def _permissions(facts: Facts) -> Iterator[Check]:
    name = "permissions"
    if facts.denied is None:
        says = (
            "the operator's user is not known: --operator-user names it"
            if not facts.operator_user
            else ("we may not ask what others may do (SubjectAccessReview)")
        )
        yield Check(name=name, result=Result.SKIPPED, says=says)
    elif facts.denied:
        says = f"{facts.operator_user} may not {_some(facts.denied)}"
        mend = "grant it in the ClusterRole of the operator (the chart does)"
        yield Check(name=name, result=Result.FAILED, says=says, mend=mend)
    else:
        yield Check(name=name, result=Result.OK, says=f"{facts.operator_user} may do all that it needs")


def _fleet(facts: Facts) -> Iterator[Check]:
    fleet = facts.snapshot.fleet
    name = f"fleet {fleet.name}"
    live = facts.snapshot.objects.get(Reference(kind=FLEET.name, name=fleet.name))
    fault = facts.snapshot.faults.get(Reference(kind=FLEET.name, name=fleet.name))
    if fault:
        yield Check(name=name, result=Result.FAILED, says=str(fault[0]), mend=f"kubectl edit fleet {fleet.name}")
    elif live is None:
        says = "not declared: built-in defaults hold, and no status is told"
        yield Check(name=name, result=Result.WARNING, says=says, mend="declare a Fleet of this name")
    elif fleet.mode is Mode.PAUSED:
        mend = "set spec.mode to Automatic or Recommend"
        yield Check(name=name, result=Result.WARNING, says="mode Paused: nothing is planned or moved", mend=mend)
    else:
        planned = _condition(live, "Planned")
        if planned.get("status") == "False":
            says = f"{planned.get('reason')}: {planned.get('message')}"
            yield Check(name=name, result=Result.FAILED, says=says, mend="kubectl atoll why-pending tells more")
        else:
            yield Check(name=name, result=Result.OK, says=f"mode {fleet.mode}")


def _pools(facts: Facts) -> Iterator[Check]:
    pools = facts.snapshot.pools
    name = "pools"
    for ref, found in facts.snapshot.faults.items():
        if ref.kind == "GPUNodePool":
            yield Check(
                name=name, result=Result.FAILED, says=f"{ref}: {found[0]}", mend="the others are used without it"
            )
    if not pools:
        mend = "declare GPUNodePools (docs/reference/gpunodepool.md)"
        yield Check(name=name, result=Result.FAILED, says="no valid GPUNodePool of the Fleet", mend=mend)
        return
    ready = Counter(n.offering.pool for n in facts.snapshot.nodes.values() if n.offering and n.ready)
    empty = [pool.name for pool in pools.values() if pool.provisioning is Provisioning.FIXED and not ready[pool.name]]
    if empty:
        mend = "label the nodes as spec.nodeSelector says, with topology.kubernetes.io/zone, or mend the selector"
        yield Check(
            name=name, result=Result.FAILED, says=f"Fixed pools without a Ready node: {_some(empty)}", mend=mend
        )
    scaled = [pool for pool in pools.values() if pool.provisioning is Provisioning.AUTOSCALER]
    if scaled and not facts.karpenter_pools and not any(ready[pool.name] for pool in scaled):
        yield _no_autoscaler(scaled)
    elif not empty:
        by = f", {facts.karpenter_pools} NodePools of Karpenter" if facts.karpenter_pools else ""
        says = f"{counted(len(pools), 'pool')}, {sum(ready.values())} Ready nodes{by}"
        yield Check(name=name, result=Result.OK, says=says)


def _no_autoscaler(pools: Sequence[NodePool]) -> Check:
    says = f"{counted(len(pools), 'pool')} of an autoscaler, no node of theirs yet, and no NodePool of Karpenter"
    mend = "see that an autoscaler makes nodes with the labels that the pools name, or set provisioning: Fixed"
    return Check(name="pools", result=Result.WARNING, says=says, mend=mend)


def _nodes(facts: Facts) -> Iterator[Check]:
    name, snapshot = "GPU nodes", facts.snapshot
    without: list[str] = []
    fewer: list[str] = []
    for node in snapshot.nodes.values():
        if node.offering is None:
            continue
        wanted = snapshot.pools[node.offering.pool].config.count
        if node.gpus == 0:
            without.append(node.name)
        elif node.gpus < wanted:
            fewer.append(f"{node.name} ({node.gpus} of {wanted})")
    if without:
        mend = (
            "run the GPU operator or device plugin there (kubectl describe node shows it under Allocatable), or for a "
            "pool with spec.gpu.deviceClass NVIDIA's DRA driver (kubectl get resourceslices)"
        )
        yield Check(name=name, result=Result.FAILED, says=f"no allocatable nvidia.com/gpu: {_some(without)}", mend=mend)
    if fewer:
        mend = "see the device plugin's log, or mend spec.gpu.count of the pool"
        yield Check(name=name, result=Result.WARNING, says=f"fewer GPUs than their pool: {_some(fewer)}", mend=mend)
    strangers = [raw["metadata"]["name"] for raw in facts.nodes if _is_stranger(raw, snapshot.nodes, snapshot.pools)]
    if strangers:
        mend = "declare a GPUNodePool whose nodeSelector, instanceType, region and zones fit, if they are to be used"
        yield Check(name=name, result=Result.WARNING, says=f"of no pool: {_some(strangers)}", mend=mend)
    tainted = sorted({taint for raw in facts.nodes for taint in _strange_taints(raw, snapshot)})
    if tainted:
        mend = "add them to spec.tolerations of the GPUNodePool"
        yield Check(name=name, result=Result.FAILED, says=f"taints that no pool tolerates: {_some(tainted)}", mend=mend)
    if not (without or fewer or strangers or tainted):
        gpus = sum(node.gpus for node in snapshot.nodes.values() if node.offering)
        count = sum(node.offering is not None for node in snapshot.nodes.values())
        yield Check(name=name, result=Result.OK, says=f"{counted(count, 'node')} of pools, {counted(gpus, 'GPU')}")


def _is_stranger(raw: ObjectLike, nodes: Mapping[str, ObservedNode], pools: Mapping[str, NodePool]) -> bool:
    """Whether a node has GPUs and is of no pool."""
    node = nodes.get(raw["metadata"]["name"])
    labels = raw["metadata"].get("labels") or {}
    has_gpus = (node is not None and node.gpus > 0) or any(label in labels for label in _GPU_LABELS)
    return has_gpus and offering_of(labels, pools) is None


_KNOWN_TAINTS = (
    "nvidia.com/gpu",
    "cloud.google.com/gke-spot",
    "kubernetes.azure.com/scalesetpriority",
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "karpenter.sh/",
    "kwok.x-k8s.io/",
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
    "aws-node-termination-handler/",
    "cloud.google.com/impending-node-termination",
)
"""Tolerated by every engine pod, or a passing sign, or meant to keep pods away."""


def _strange_taints(raw: ObjectLike, snapshot: Snapshot) -> Iterator[str]:
    """Taints of a pool's node that keep its pool's pods away."""
    offering = offering_of(raw["metadata"].get("labels") or {}, snapshot.pools)
    if offering is None:
        return
    tolerated = {str(item.get("key", "")) for item in snapshot.pools[offering.pool].tolerations}
    for taint in (raw.get("spec") or {}).get("taints") or ():
        key = str(taint.get("key", ""))
        if taint.get("effect") != "PreferNoSchedule" and key not in tolerated and not key.startswith(_KNOWN_TAINTS):
            yield key


def _router(facts: Facts) -> Iterator[Check]:
    live = facts.snapshot.objects.get(Reference(kind=FLEET.name, name=facts.snapshot.fleet.name), {})
    routed = _condition(live, "Routed")
    if routed.get("status") == "False":
        mend = "kubectl get pods -A -l app.kubernetes.io/component=router; the operator must reach their status port"
        says = f"{routed.get('reason')}: not every router pod has taken the present configuration"
        yield Check(name="router", result=Result.FAILED, says=says, mend=mend)
    elif routed:
        yield Check(name="router", result=Result.OK, says="every router has the present configuration")
    else:
        yield Check(name="router", result=Result.SKIPPED, says="the operator has not told of it yet")


def _metrics(facts: Facts) -> Iterator[Check]:
    name = "probes and metrics"
    if facts.answers is None:
        yield Check(name=name, result=Result.SKIPPED, says="the holder of the Lease is no pod that we may see")
    elif not facts.answers:
        mend = "kubectl describe its pod: its probes say what is wrong"
        yield Check(name=name, result=Result.FAILED, says="the operator's pod is not Ready", mend=mend)
    else:
        yield Check(name=name, result=Result.OK, says="the operator's pod is Ready: probes and metrics answer")


def _demands(facts: Facts) -> Iterator[Check]:
    name = facts.snapshot.fleet.name
    waiting, count = [], 0
    for ref, live in sorted(facts.snapshot.objects.items(), key=lambda item: item[0]):
        if ref.kind != MODEL_DEMAND.name or fleet_of(live) != name:
            continue
        count += 1
        ready = _condition(live, "Ready")
        current = ready.get("observedGeneration") == live["metadata"].get("generation", 0)
        if ready.get("status") != "True" or not current:
            waiting.append(f"{ref.namespace}/{ref.name} ({ready.get('reason') or 'not looked at yet'})")
    if waiting:
        says = f"{len(waiting)} of {counted(count, 'ModelDemand')} not Ready: {_some(waiting)}"
        yield Check(name="demands", result=Result.WARNING, says=says, mend="kubectl atoll why-pending")
    else:
        yield Check(name="demands", result=Result.OK, says=f"{counted(count, 'ModelDemand')}, all Ready")


def _refusals(facts: Facts) -> Iterator[Check]:
    if facts.refusals:
        mend = "see the webhook, policy or quota that the message names"
        yield Check(name="admission", result=Result.WARNING, says=_some(facts.refusals), mend=mend)
    else:
        yield Check(name="admission", result=Result.OK, says="no write was refused lately")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _condition(obj: ObjectLike, kind: str) -> Mapping[str, Any]:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    found: Mapping[str, Any] = next((item for item in conditions if item.get("type") == kind), {})
    return found
