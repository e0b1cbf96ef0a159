"""What one engine pod waits for: a node, a claim of the autoscaler, an image, a volume, or its own start."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from atoll.domain.objects import ObjectLike
from atoll.domain.snapshot import ObservedDeployment, ObservedPod, Snapshot
from atoll.reconcile.moments import format_moment, parse_moment
from atoll.reconcile.observe import offering_of
from atoll.reconcile.running import is_lost, node_is_gone, seconds_waiting
from atoll.reconcile.service import KUEUE_GATE, gate_text

Told = tuple[bool, str, str]
"""Whether something is wrong, what was seen, and the mend."""

_QUIET_SECONDS = 30.0
"""A scheduler that is there has looked at a pod by then."""

_LONGEST = 300
"""Characters of a message of others that are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodWait:
    """A pod that does not serve, and what was seen about it.

    Attributes:
        snapshot: what was seen.
        deployment: of the pod.
        pod: that waits.
        raw: the same as the API server gives it; empty where it has gone since.
        events: of the pod, raw.
        node_claims: Karpenter's, raw.
        now: the moment.
    """

    snapshot: Snapshot
    deployment: ObservedDeployment
    pod: ObservedPod
    raw: ObjectLike
    events: Sequence[ObjectLike]
    node_claims: Sequence[ObjectLike]
    now: datetime


def pod_wait(wait: PodWait) -> Told:
    """What a pod waits for."""
    if is_lost(wait.pod, wait.snapshot):
        return _lost(wait)
    if not wait.pod.node:
        return _gated(wait) if wait.pod.gates else _unscheduled(wait)
    return _container(wait) or _starting(wait)


def _lost(wait: PodWait) -> Told:
    if node_is_gone(wait.pod, wait.snapshot):
        return False, f"its node {wait.pod.node} is gone: it is deleted and another takes its place", ""
    node = wait.snapshot.nodes[wait.pod.node]
    sign = f"has notice {node.notice}" if node.notice else "is not Ready"
    return False, f"its node {node.name} {sign}: the operator replaces it elsewhere", ""


def _gated(wait: PodWait) -> Told:
    """A pod that no scheduler may look at yet."""
    if KUEUE_GATE not in wait.pod.gates:
        mend = f"whoever put the gate on it has to lift it: {', '.join(wait.pod.gates)}"
        return False, gate_text(wait.pod), mend
    mend = (
        f"kubectl -n {wait.pod.namespace} describe workloads.kueue.x-k8s.io tells what each waits for; raise the quota "
        "of the ClusterQueue, make the LocalQueue if it is not there, or take the label kueue.x-k8s.io/queue-name from "
        "the ModelDemand"
    )
    return False, gate_text(wait.pod), mend


def _unscheduled(wait: PodWait) -> Told:
    offering = wait.deployment.offering
    mask = wait.snapshot.masks.get(offering)
    if mask is not None and wait.now < mask.until:
        says = f"{offering} is masked until {format_moment(mask.until)}: {mask.reason}"
        mend = "the next plan goes without it; widen spec.placement or raise maxNodes elsewhere to serve it meanwhile"
        return True, says, mend
    for claim in wait.node_claims:
        told = _claim(wait, claim)
        if told is not None:
            return told
    autoscaler = _autoscaler(wait)
    if autoscaler is not None:
        return autoscaler
    condition = _condition(wait.raw, "PodScheduled")
    message = str(condition.get("message") or _last_event(wait.events, "FailedScheduling"))
    waited = seconds_waiting(wait.pod, wait.snapshot, wait.now)
    if not message and waited >= _QUIET_SECONDS:
        name = str((wait.raw.get("spec") or {}).get("schedulerName") or "default-scheduler")
        says = f"no scheduler has looked at it; it asks for {name!r}"
        return True, says, "run the scheduler that the chart ships, or let pods use the cluster's own"
    if not message:
        return False, "it has just been created", ""
    pool = wait.snapshot.pools.get(offering.pool)
    patience = wait.snapshot.fleet.pending_timeout_seconds + (pool.startup_seconds if pool else 0.0)
    left = max(0.0, patience - waited)
    says = f"waits for a node of {offering}: {message[:_LONGEST]}"
    return (
        bool(_mend_of_scheduling(message)),
        says,
        _mend_of_scheduling(message)
        or (f"if none comes, the offering is masked in {left:.0f} s and the fleet planned without it"),
    )


def _claim(wait: PodWait, claim: ObjectLike) -> Told | None:
    """What a node claim for the pod's offering says, where it is not a node yet."""
    labels = (claim["metadata"].get("labels") or {}) | _required(claim)
    if offering_of(labels, wait.snapshot.pools) != wait.deployment.offering:
        return None
    name = f"NodeClaim {claim['metadata']['name']}"
    launched, ready = _condition(claim, "Launched"), _condition(claim, "Ready")
    if ready.get("status") == "True":
        return None
    if launched.get("status") == "False":
        says = f"{name} does not launch: {launched.get('reason')}: {str(launched.get('message'))[:_LONGEST]}"
        return (
            True,
            says,
            "nothing is to be had there now: the offering is masked soon and the fleet planned without it",
        )
    stage = "launched, waits to register" if launched.get("status") == "True" else "waits to be launched"
    return False, f"{name} {stage}", ""


def _autoscaler(wait: PodWait) -> Told | None:
    """What the cluster autoscaler said last of a pod; None where it said nothing."""
    refused, grows = (_last(wait.events, reason) for reason in ("NotTriggerScaleUp", "TriggeredScaleUp"))
    if refused is not None and (grows is None or _moment(grows) < _moment(refused)):
        says = f"the cluster autoscaler makes no node for it: {str(refused.get('message'))[:_LONGEST]}"
        mend = (
            "let a node group have the labels that the pod selects, and room to grow (kubectl get pod -o yaml shows "
            "nodeSelector); offerings[].nodeSelector of the GPUNodePool says which label tells the capacity type"
        )
        return True, says, mend
    if grows is not None:
        return False, f"the cluster autoscaler makes a node for it: {str(grows.get('message'))[:_LONGEST]}", ""
    return None


def _required(claim: ObjectLike) -> dict[str, str]:
    """Labels that a node claim asks of its node, where each has one value."""
    items = (claim.get("spec") or {}).get("requirements") or ()
    return {item["key"]: item["values"][0] for item in items if len(item.get("values") or ()) == 1}


def _mend_of_scheduling(message: str) -> str:
    """What to do where waiting alone will not help."""
    if match := re.search(r"untolerated taint\(?s?\)? \{([^}]*)\}", message):
        return f"add the taint {match[1]!r} to spec.tolerations of the GPUNodePool"
    if "untolerated taint" in message:
        return "add the nodes' taints to spec.tolerations of the GPUNodePool (kubectl atoll doctor names them)"
    if "persistentvolumeclaim" in message and "not found" in message:
        return "create the claim that spec.engine.podTemplate.volumes or spec.model.weights names"
    if "device class" in message and "does not exist" in message:
        return "install NVIDIA's DRA driver, or mend spec.gpu.deviceClass of the GPUNodePool"
    if "exceeded quota" in message:
        return "raise the ResourceQuota of the namespace"
    return ""


def _container(wait: PodWait) -> Told | None:
    """What a container that does not run says."""
    status = wait.raw.get("status") or {}
    for item in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (item.get("state") or {}).get("waiting")
        if not waiting or waiting.get("reason") in {None, "PodInitializing"}:
            continue
        reason, message = str(waiting["reason"]), str(waiting.get("message") or "")
        if reason == "ContainerCreating":
            mount = _last_event(wait.events, "FailedMount") or _last_event(wait.events, "FailedAttachVolume")
            if mount:
                return True, f"a volume cannot be mounted: {mount[:_LONGEST]}", "see that what it names exists"
            return False, "its node makes the container: image and volumes", ""
        ended = (item.get("lastState") or {}).get("terminated") or {}
        code = f" (last exit code {ended['exitCode']}{_oom(ended)})" if "exitCode" in ended else ""
        mend = _MENDS.get(reason, "kubectl describe tells more")
        mend = mend.format(namespace=wait.pod.namespace, pod=wait.pod.name)
        return True, f"{reason}: {message[:_LONGEST]}{code}", mend
    return None


def _oom(ended: Mapping[str, Any]) -> str:
    return ", out of memory" if ended.get("reason") == "OOMKilled" else ""


_IMAGE = "see that spec.engine.image exists and that spec.engine.podTemplate.imagePullSecrets may pull it"
_LOGS = "kubectl logs -n {namespace} {pod} --previous tells why the engine ended"
_MENDS = {
    "ErrImagePull": _IMAGE,
    "ImagePullBackOff": _IMAGE,
    "InvalidImageName": _IMAGE,
    "CrashLoopBackOff": _LOGS,
    "RunContainerError": _LOGS,
    "CreateContainerConfigError": "a Secret or ConfigMap that spec.engine names does not exist: create it",
}


def _starting(wait: PodWait) -> Told:
    """An engine that runs and is not Ready: image is there, weights are loaded."""
    unhealthy = _last_event(wait.events, "Unhealthy")
    restarts = f", restarted {wait.pod.restarts} times" if wait.pod.restarts else ""
    probe = f": {unhealthy[:_LONGEST]}" if unhealthy else ""
    says = f"the engine starts on {wait.pod.node}: weights are loaded{restarts}{probe}"
    mend = f"kubectl logs -n {wait.pod.namespace} {wait.pod.name} tells how far it is"
    return wait.pod.restarts > 0, says, mend


def _last_event(events: Sequence[ObjectLike], reason: str) -> str:
    """The message of the newest event of a reason; empty for none."""
    newest = _last(events, reason)
    return str(newest.get("message") or "") if newest is not None else ""


def _last(events: Sequence[ObjectLike], reason: str) -> ObjectLike | None:
    """The newest event of a reason."""
    return max((item for item in events if item.get("reason") == reason), key=_moment, default=None)


def _moment(event: ObjectLike) -> str:
    moments = (event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    known = (parse_moment(item) for item in moments)
    return next((format_moment(item) for item in known if item is not None), "")


def _condition(obj: ObjectLike, kind: str) -> Mapping[str, Any]:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    found: Mapping[str, Any] = next((item for item in conditions if item.get("type") == kind), {})
    return found
