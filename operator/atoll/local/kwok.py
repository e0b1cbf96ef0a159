"""Simulated nodes and pods: KWOK's life cycles, written for what an operator of GPU fleets must cope with.

A node comes up Ready with a lease. A pod is Running at once but Ready only after a start delay, as an engine that
loads weights. A deleted pod stays Terminating for its preStop sleep and a moment to stop, never longer than its grace
period. Nodes report their allocatable size as capacity, because Karpenter's KWOK provider creates nodes whose
capacity is what the first pod asked for, and counts a NodePool's `limits` from that.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from atoll.local.components import Ports
from atoll.local.ports import LOOPBACK
from atoll.local.processes import Command
from atoll.local.state import StateDirectory

START_DELAY_ANNOTATION = "local.atoll.dev/start-delay"
"""On a pod: how long it takes to become Ready, as a Go duration (`90s`), instead of the pace's."""

NOT_READY_ANNOTATION = "local.atoll.dev/not-ready"
"""On a node: its kubelet does not come back, so that whoever writes it NotReady is not corrected."""

MISSING_IMAGE = "example.com/missing:0"
"""Of an engine: no registry has it, so that its pods wait for ever."""

NODE_LEASE_SECONDS = 40
"""As the kubelet's: the node life-cycle controller sees a node whose KWOK is gone as NotReady after about 50 s."""

HEARTBEAT_SECONDS = 300
"""Pause between full status reports of a node; its lease says that it lives."""


PARALLELISM = 16
"""How many pods, and how many nodes, KWOK moves at the same time (default 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast the simulated world moves. Real values are minutes; tests and demonstrations want seconds."""

    pod_start_seconds: float = 3.0
    """From Running to Ready, where the pod's annotation says nothing."""
    pod_stop_seconds: int = 1
    """From the end of the preStop sleep to the end of the pod, within its grace period."""
    node_start_seconds: int = 2
    """From Karpenter's order to the node's registration."""


def command(binary: Path, state: StateDirectory, ports: Ports, *, pod_cidr: str) -> Command:
    """KWOK, in charge of every node."""
    return Command(
        name="kwok",
        arguments=(
            str(binary),
            f"--kubeconfig={state.component_kubeconfig('kwok')}",
            f"--config={stages_path(state)}",
            "--manage-all-nodes",
            f"--cidr={pod_cidr}",
            f"--server-address={LOOPBACK}:{ports.kwok}",
            f"--node-lease-duration-seconds={NODE_LEASE_SECONDS}",
        ),
        environment={},
    )


def stages_path(state: StateDirectory) -> Path:
    """KWOK's life cycles as a file."""
    return state.configuration / "stages.yaml"


def stages_text(pace: Pace) -> str:
    """KWOK's configuration file: its own options, then all life cycles."""
    return yaml.safe_dump_all((_OPTIONS, *stages(pace)), sort_keys=False)


def stages(pace: Pace) -> tuple[dict[str, Any], ...]:
    """The life cycles of nodes and pods."""
    return (
        _stage("node-initialize", "Node", [_NOT_READY, _COMES_BACK], {"statusTemplate": _NODE_INITIALIZE}),
        _stage(
            "node-heartbeat",
            "Node",
            [_expression(".status.phase", "In", "Running"), _READY],
            {"statusTemplate": _CONDITIONS_OF_NODE},
            delay={
                "durationMilliseconds": HEARTBEAT_SECONDS * 1000,
                "jitterDurationMilliseconds": HEARTBEAT_SECONDS * 1100,
            },
        ),
        _stage(
            "pod-run",
            "Pod",
            [_ALIVE, _expression(".status.phase", "In", "Pending"), _expression(_IMAGE, "NotIn", MISSING_IMAGE)],
            {"statusTemplate": _POD_RUN},
        ),
        _stage(
            "pod-image-missing",
            "Pod",
            [_ALIVE, _expression(_IMAGE, "In", MISSING_IMAGE), _expression(_WAITING, "NotIn", _PULL_FAILED)],
            {"statusTemplate": _POD_IMAGE_MISSING},
        ),
        _stage(
            "pod-ready",
            "Pod",
            [_ALIVE, _expression(".status.phase", "In", "Running"), _NOT_READY],
            {"statusTemplate": _POD_READY},
            delay={
                "durationMilliseconds": round(pace.pod_start_seconds * 1000),
                "durationFrom": {"expressionFrom": f'.metadata.annotations["{START_DELAY_ANNOTATION}"]'},
            },
        ),
        _stage(
            "pod-complete",
            "Pod",
            [_ALIVE, _READY, _expression(".metadata.ownerReferences.[].kind", "In", "Job")],
            {"statusTemplate": _POD_COMPLETE},
        ),
        _stage(
            "pod-delete",
            "Pod",
            [{"key": ".metadata.deletionTimestamp", "operator": "Exists"}],
            {"finalizers": {"empty": False}, "delete": True},
            delay={"durationMilliseconds": 0, "durationFrom": {"expressionFrom": stop_time(pace)}},
        ),
    )


def stop_time(pace: Pace) -> str:
    """The jq expression for the moment at which a deleted pod is gone.

    Asked to stop + longest preStop sleep + time to stop, but no later than the grace period allows.
    """
    return (
        "(.metadata.deletionTimestamp | fromdateiso8601) as $limit"
        " | ($limit - (.metadata.deletionGracePeriodSeconds // 0)) as $asked"
        " | ([.spec.containers[] | (.lifecycle.preStop.sleep.seconds // 0)] | max) as $sleep"
        f" | [$limit, $asked + $sleep + {pace.pod_stop_seconds}] | min | todateiso8601"
    )


_OPTIONS = {
    "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
    "kind": "KwokConfiguration",
    "options": {
        "podPlayStageParallelism": PARALLELISM,
        "nodePlayStageParallelism": PARALLELISM,
        # A configuration replaces KWOK's defaults as a whole, and zero is refused:
        "nodeLeaseParallelism": 4,
        "podsOnNodeSyncParallelism": 16,
        "enablePodsOnNodeSyncListPager": False,
        "enablePodsOnNodeSyncStreamWatch": True,
    },
}


def _stage(
    name: str,
    kind: str,
    expressions: list[dict[str, Any]],
    following: dict[str, Any],
    *,
    delay: dict[str, Any] | None = None,
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "resourceRef": {"apiGroup": "v1", "kind": kind},
        "selector": {"matchExpressions": expressions},
        "next": following,
    }
    if delay is not None:
        spec["delay"] = delay
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}


def _expression(key: str, operator: str, value: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": [value]}


_IMAGE = ".spec.containers.[0].image"
_WAITING = ".status.containerStatuses.[0].state.waiting.reason"
_PULL_FAILED = "ImagePullBackOff"
_COMES_BACK = {"key": f'.metadata.annotations["{NOT_READY_ANNOTATION}"]', "operator": "DoesNotExist"}
_ALIVE = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
_READY = _expression('.status.conditions.[] | select( .type == "Ready" ) | .status', "In", "True")
_NOT_READY = _expression('.status.conditions.[] | select( .type == "Ready" ) | .status', "NotIn", "True")

_CONDITIONS_OF_NODE = """\
{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
  message: {{ .message | Quote }}
  reason: {{ .reason | Quote }}
  status: {{ .status | Quote }}
  type: {{ .type | Quote }}
{{ end }}
"""

_NODE_INITIALIZE = (
    _CONDITIONS_OF_NODE
    + """\
addresses:
{{ with NodeIP }}
- address: {{ . | Quote }}
  type: InternalIP
{{ end }}
{{ with NodeName }}
- address: {{ . | Quote }}
  type: Hostname
{{ end }}
{{ with .status.allocatable }}
capacity:
{{ YAML . 1 }}
{{ end }}
nodeInfo:
  architecture: amd64
  bootID: ""
  containerRuntimeVersion: kwok
  kernelVersion: kwok
  kubeProxyVersion: kwok
  kubeletVersion: kwok
  machineID: ""
  operatingSystem: linux
  osImage: ""
  systemUUID: ""
phase: Running
"""
)

_POD_RUN = """\
{{ $now := Now }}
conditions:
- lastTransitionTime: {{ $now | Quote }}
  status: "True"
  type: Initialized
- lastTransitionTime: {{ $now | Quote }}
  status: "False"
  type: Ready
  reason: ContainersNotReady
- lastTransitionTime: {{ $now | Quote }}
  status: "False"
  type: ContainersReady
  reason: ContainersNotReady
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: false
  started: false
  restartCount: 0
  state:
    running:
      startedAt: {{ $now | Quote }}
{{ end }}
{{ with .spec.initContainers }}
initContainerStatuses:
{{ range . }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: true
  restartCount: 0
  {{ if eq .restartPolicy "Always" }}
  started: true
  state:
    running:
      startedAt: {{ $now | Quote }}
  {{ else }}
  state:
    terminated:
      exitCode: 0
      finishedAt: {{ $now | Quote }}
      reason: Completed
      startedAt: {{ $now | Quote }}
  {{ end }}
{{ end }}
{{ end }}
{{ with NodeIPsWith .spec.nodeName }}
hostIP: {{ index . 0 | Quote }}
hostIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
{{ with PodIPsWith .spec.nodeName ( or .spec.hostNetwork false ) ( or .metadata.uid "" ) ( or .metadata.name "" ) \
( or .metadata.namespace "" ) }}
podIP: {{ index . 0 | Quote }}
podIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
phase: Running
startTime: {{ $now | Quote }}
"""

_POD_IMAGE_MISSING = """\
{{ $now := Now }}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: false
  started: false
  restartCount: 0
  state:
    waiting:
      message: {{ printf "Back-off pulling image %s" .image | Quote }}
      reason: ImagePullBackOff
{{ end }}
phase: Pending
startTime: {{ $now | Quote }}
"""

_POD_READY = """\
{{ $now := Now }}
conditions:
- lastTransitionTime: {{ $now | Quote }}
  status: "True"
  type: Ready
  reason: null
- lastTransitionTime: {{ $now | Quote }}
  status: "True"
  type: ContainersReady
  reason: null
{{ range .spec.readinessGates }}
- lastTransitionTime: {{ $now | Quote }}
  status: "True"
  type: {{ .conditionType | Quote }}
{{ end }}
containerStatuses:
{{ range .status.containerStatuses }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: true
  started: true
  restartCount: {{ .restartCount }}
  state:
{{ YAML .state 2 }}
{{ end }}
"""

_POD_COMPLETE = """\
{{ $now := Now }}
containerStatuses:
{{ range .status.containerStatuses }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: false
  started: false
  restartCount: {{ .restartCount }}
  state:
    running: null
    terminated:
      exitCode: 0
      finishedAt: {{ $now | Quote }}
      reason: Completed
      startedAt: {{ $now | Quote }}
{{ end }}
phase: Succeeded
"""
