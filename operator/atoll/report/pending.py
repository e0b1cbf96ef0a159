"""Why a demand is not served: the chain from its ModelDemand to a pod that waits, and what to do about it.

Each link says one thing that was seen. The first that is wrong is the cause; what comes after it follows from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from atoll.domain.demand import DemandKey
from atoll.domain.fleet import Mode
from atoll.domain.objects import FLEET, MODEL_DEMAND, ObjectLike, Reference
from atoll.domain.plan import Plan, PlannedDemand, PlanPhase
from atoll.domain.reason import Reason
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.moments import format_moment
from atoll.reconcile.plans import current_plan
from atoll.reconcile.policy import policy_fault
from atoll.reconcile.running import is_lost, pods_by_deployment
from atoll.report.ages import age
from atoll.report.numbers import amount, counted
from atoll.report.podwaits import PodWait, pod_wait

SCHEMA_VERSION = 1

_PODS = 3
"""Pods that are told of; the rest is counted."""

_UNSEEN_SECONDS = 20.0
"""An operator that leads answers a change within so long."""


class State(StrEnum):
    """How one link stands."""

    OK = "Ok"
    WAITS = "Waits"
    WRONG = "Wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One thing that was seen.

    Attributes:
        object: of what, such as ``Pod team-a/chat-0``.
        state: how it stands.
        says: what was seen, a sentence.
        mend: what to do; empty where there is nothing to do but wait.
    """

    object: str
    state: State
    says: str
    mend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Why one demand is as it is.

    Attributes:
        key: of the ModelDemand.
        links: from the demand to the last thing that waits.
    """

    key: DemandKey
    links: tuple[Link, ...]

    @property
    def cause(self) -> Link | None:
        """What is wrong first, else what is waited for last; None where nothing is."""
        wrong = next((link for link in self.links if link.state is State.WRONG), None)
        waits = [link for link in self.links if link.state is State.WAITS]
        return wrong or (waits[-1] if waits else None)

    def as_json(self) -> dict[str, Any]:
        """The documented JSON form."""
        cause = self.cause
        return {
            "namespace": self.key.namespace,
            "name": self.key.name,
            "served": cause is None,
            "cause": None if cause is None else _link(cause),
            "links": [_link(link) for link in self.links],
        }


def _link(link: Link) -> dict[str, Any]:
    return {"object": link.object, "state": link.state.value, "says": link.says, "mend": link.mend}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is looked at beside the snapshot.

    Attributes:
        pods: raw, by namespace and name.
        events: raw, by the uid of the object that they are of.
        node_claims: Karpenter's, raw; none where there is no Karpenter.
        now: the moment.
    """

    pods: Mapping[tuple[str, str], ObjectLike]
    events: Mapping[str, Sequence[ObjectLike]]
    node_claims: Sequence[ObjectLike]
    now: datetime


def pending_chain(snapshot: Snapshot, key: DemandKey, evidence: Evidence) -> Chain:
    """The chain of one demand.

    Args:
        snapshot: what was seen.
        key: of a ModelDemand that is there.
        evidence: raw pods, events and node claims.
    """
    return Chain(key=key, links=tuple(_links(snapshot, key, evidence)))


def waiting_pods(snapshot: Snapshot, key: DemandKey) -> tuple[tuple[str, str], ...]:
    """Namespace and name of a demand's pods that do not serve, those whose events are worth reading; some of them."""
    pods = pods_by_deployment(snapshot)
    mine = (pod for item in snapshot.deployments if item.demand == key for pod in pods[item.namespace, item.name])
    return tuple((pod.namespace, pod.name) for pod in mine if not pod.ready)[:_PODS]


def _links(snapshot: Snapshot, key: DemandKey, evidence: Evidence) -> Iterator[Link]:
    ref = Reference(kind=MODEL_DEMAND.name, namespace=key.namespace, name=key.name)
    live = snapshot.objects[ref]
    yield _demand(snapshot, ref, live, evidence.now)
    if snapshot.faults.get(ref):
        return
    yield _fleet(snapshot)
    plan = current_plan(snapshot.plans)
    planned = next((item for item in plan.demands if item.key == key), None) if plan else None
    demand = snapshot.demands[key]
    yield _planned(snapshot, plan, planned, demand.uid, demand.rate)
    if plan is None or planned is None or planned.uid != demand.uid:
        return
    if not planned.replicas:
        return
    yield from _replicas(snapshot, planned, evidence)
    routed = _condition(live, "Routed")
    if routed.get("status") == "False" and routed.get("reason") == Reason.ROUTER_NOT_SYNCED:
        mend = "kubectl get pods -A -l app.kubernetes.io/component=router tells whether all router pods are Ready"
        yield Link(object="Router", state=State.WAITS, says=str(routed.get("message")), mend=mend)


def _demand(snapshot: Snapshot, ref: Reference, live: ObjectLike, now: datetime) -> Link:
    name = str(ref)
    faults = snapshot.faults.get(ref)
    if faults:
        fault = faults[0]
        return Link(object=name, state=State.WRONG, says=f"{fault.reason}: {fault}", mend=_mend_of_fault(fault.reason))
    ready = _condition(live, "Ready")
    generation = live["metadata"].get("generation", 0)
    if ready.get("observedGeneration") != generation:
        seen = f"the operator has not looked at generation {generation} yet"
        mend = "if it stays so for a minute, no operator leads: kubectl atoll doctor"
        return Link(object=name, state=State.WAITS, says=seen, mend=mend)
    if ready.get("status") == "True":
        return Link(object=name, state=State.OK, says=f"{ready.get('reason')}: {ready.get('message')}")
    since = str(ready.get("lastTransitionTime") or format_moment(now))
    reason, message = ready.get("reason"), ready.get("message")
    own = {
        Reason.IMPOSSIBLE_OBJECTIVES,
        Reason.NO_POOL_FITS,
        Reason.REQUESTS_EXCEED_SHARE,
        Reason.CONTRADICTORY_PLACEMENT,
    }
    state = State.WRONG if reason in own else State.WAITS
    return Link(object=name, state=state, says=f"{reason} since {since}: {message}", mend=_mend_of_fault(reason))


def _fleet(snapshot: Snapshot) -> Link:
    fleet = snapshot.fleet
    ref = Reference(kind=FLEET.name, name=fleet.name)
    live = snapshot.objects.get(ref)
    invalid = policy_fault(snapshot)
    if invalid is not None:
        mend = f"kubectl edit fleet {fleet.name}"
        return Link(object=str(ref), state=State.WRONG, says=f"{invalid.reason}: {invalid}", mend=mend)
    if fleet.mode is Mode.PAUSED:
        mend = f'kubectl patch fleet {fleet.name} --type=merge -p \'{{"spec":{{"mode":"Automatic"}}}}\''
        return Link(object=str(ref), state=State.WRONG, says="is Paused: nothing is planned or moved", mend=mend)
    planned = _condition(live or {}, "Planned")
    if planned.get("status") == "False":
        says = f"{planned.get('reason')}: {planned.get('message')}"
        mend = "kubectl atoll doctor, and the operator's log, tell more"
        return Link(object=str(ref), state=State.WRONG, says=says, mend=mend)
    said = f"mode {fleet.mode}" if live is not None else "not declared: built-in defaults"
    return Link(object=str(ref), state=State.OK, says=said)


def _planned(snapshot: Snapshot, plan: Plan | None, planned: PlannedDemand | None, uid: str, rate: float) -> Link:
    waiting = next(
        (item for item in reversed(snapshot.plans) if not item.approved and item.phase is PlanPhase.PROPOSED), None
    )
    stale = plan is None or planned is None or planned.uid != uid or abs(planned.rate - rate) > 1e-6 * max(1.0, rate)
    name = f"FleetPlan {plan.name}" if plan else "FleetPlan"
    if stale and waiting is not None:
        pinned = (
            f" ({plan.name} is a rollback, which stays until another plan is approved)"
            if plan and plan.rollback_of
            else ""
        )
        return Link(
            object=f"FleetPlan {waiting.name}",
            state=State.WRONG,
            says=f"waits for approval{pinned}",
            mend=f"kubectl atoll approve {waiting.name}",
        )
    if plan is None:
        return Link(object=name, state=State.WAITS, says="none is in force yet: the operator is solving")
    if planned is None or planned.uid != uid:
        return Link(object=name, state=State.WAITS, says="was made before this demand: the next one takes it up")
    if planned.shortfall > 1e-6:
        limits = f"; {', '.join(planned.unmet)}" if planned.unmet else ""
        says = f"serves {amount(planned.rate - planned.shortfall)} of {amount(planned.rate)} requests/s{limits}"
        mend = (
            "raise the namespace's quota in the Fleet's spec.quotas"
            if Reason.QUOTA_REACHED in planned.unmet
            else "raise maxNodes of a pool, or allow more GPU kinds, regions or capacity types"
        )
        return Link(object=name, state=State.WRONG, says=says, mend=f"{mend} (kubectl atoll explain {planned.key})")
    if stale:
        return Link(object=name, state=State.WAITS, says=f"was made for {amount(planned.rate)} requests/s")
    wanted = sum(item.group.count for item in planned.replicas)
    return Link(object=name, state=State.OK, says=f"{plan.phase}: {counted(wanted, 'replica')} for it")


def _replicas(snapshot: Snapshot, planned: PlannedDemand, evidence: Evidence) -> Iterator[Link]:
    """What is there of the replicas that a plan wants, by Deployment."""
    by_deployment = pods_by_deployment(snapshot)
    wanted = {(item.group.strategy.id, item.group.site.offerings): item.group.count for item in planned.replicas}
    there = [item for item in snapshot.deployments if item.demand == planned.key]
    known = {(item.strategy.id, item.offerings) for item in there}
    for (_, offerings), count in ((place, n) for place, n in wanted.items() if place not in known):
        where = ", ".join(map(str, dict.fromkeys(offerings)))
        says = f"{counted(count, 'replica')} on {where} not started yet: limited by pace, or waits for room"
        yield Link(object=f"Deployments of {planned.key}", state=State.WAITS, says=says)
    told = 0
    for item in there:
        if (item.strategy.id, item.offerings) not in wanted:
            continue
        name = f"Deployment {item.namespace}/{item.name}"
        raw = snapshot.objects.get(Reference(kind="Deployment", namespace=item.namespace, name=item.name), {})
        failure = _condition(raw, "ReplicaFailure")
        pods = by_deployment[item.namespace, item.name]
        if failure.get("status") == "True":
            says = f"pods are refused: {failure.get('reason')}: {failure.get('message')}"
            mend = "quota, LimitRange, Pod Security or an admission webhook of the namespace refuses them: mend that"
            yield Link(object=name, state=State.WRONG, says=says, mend=mend)
        ready = sum(pod.ready and not is_lost(pod, snapshot) for pod in pods)
        says = f"{ready} of {counted(item.replicas, 'pod')} Ready on {item.offering}"
        yield Link(object=name, state=State.OK if ready >= item.replicas else State.WAITS, says=says)
        for pod in (pod for pod in pods if not pod.ready or is_lost(pod, snapshot)):
            told += 1
            if told > _PODS:
                continue
            wait = PodWait(
                snapshot=snapshot,
                deployment=item,
                pod=pod,
                raw=evidence.pods.get((pod.namespace, pod.name), {}),
                events=evidence.events.get(pod.uid, ()),
                node_claims=evidence.node_claims,
                now=evidence.now,
            )
            is_wrong, says, mend = pod_wait(wait)
            since = age(evidence.now - pod.created)
            state = State.WRONG if is_wrong else State.WAITS
            yield Link(object=f"Pod {pod.namespace}/{pod.name}", state=state, says=f"{says} (for {since})", mend=mend)
    if told > _PODS:
        yield Link(object=f"Pods of {planned.key}", state=State.WAITS, says=f"{told - _PODS} more are not Ready either")


def _mend_of_fault(reason: object) -> str:
    mends = {
        Reason.SERVED_NAME_TAKEN: "give it another spec.model.servedName, or delete the demand that holds this one",
        Reason.IMPOSSIBLE_OBJECTIVES: "relax spec.objectives, or allow faster GPU kinds (atoll strategies --all)",
        Reason.NO_POOL_FITS: "declare a GPUNodePool that fits, or relax spec.placement",
        Reason.REQUESTS_EXCEED_SHARE: "ask for less cpu or memory in spec.engine.podTemplate",
        Reason.INVALID_SIGNAL: "see that the query gives one number in the Prometheus of the Fleet",
    }
    return next((mend for known, mend in mends.items() if known == reason), "")


def _condition(obj: ObjectLike, kind: str) -> Mapping[str, Any]:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    found: Mapping[str, Any] = next((item for item in conditions if item.get("type") == kind), {})
    return found
