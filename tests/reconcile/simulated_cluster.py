"""A tiny cluster in memory: an API server that knows preconditions, and the controllers that a move meets.

Time goes in ticks. Nothing in here knows what the operator intends: it does what the API server, the Deployment
controller, kube-scheduler, Karpenter, kubelet, garbage collector, router and Gateway do, in a simple and fixed order.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from atoll.domain.objects import (
    HTTP_ROUTE,
    KINDS,
    Action,
    Apply,
    ApplyStatus,
    Delete,
    Emit,
    Reference,
    Scale,
    reference,
)
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.moments import format_moment
from atoll.reconcile.observe import observe
from atoll.render import names
from reconcile.worlds import GPUS_OF_POOL, NOW, Raw, node_object

TICK_SECONDS = 5
START_TICKS = 2
STOP_TICKS = 2
NODE_TICKS = 2
EMPTY_NODE_TICKS = 2
ROUTER_TICKS = 1
POD_COLLECTION_TICKS = 8
"""kube-controller-manager deletes pods of nodes that are gone after 40 s."""

MERGE_KEYS = {
    "containers": "name",
    "env": "name",
    "ports": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "ownerReferences": "uid",
}


def server_side_apply(live: Any, intent: Any, before: Any = None, *, path: str = "") -> Any:
    """What the API server makes of an apply by a manager whose last apply was ``before``."""
    if isinstance(intent, dict) and isinstance(live, dict):
        former = before if isinstance(before, dict) else {}
        kept = {}
        for name, value in live.items():
            if name in intent:
                kept[name] = server_side_apply(value, intent[name], former.get(name), path=name)
            elif name not in former:
                kept[name] = value
            elif isinstance(value, dict) and isinstance(former[name], dict):
                kept[name] = server_side_apply(value, {}, former[name], path=name)
        return kept | {name: value for name, value in intent.items() if name not in live}
    by = MERGE_KEYS.get(path)
    keyed = isinstance(live, list) and all(isinstance(item, dict) and by in item for item in live)
    if by and keyed and isinstance(intent, list):
        mine = {item[by]: item for item in intent}
        merged = [server_side_apply(item, mine.pop(item[by])) if item[by] in mine else item for item in live]
        return merged + list(mine.values())
    return intent


class ConflictError(Exception):
    """The object is not what the writer saw."""


@dataclass
class Cluster:
    """Objects by reference, and how long things have been going on."""

    objects: dict[Reference, Raw] = field(default_factory=dict)
    tick: int = 0
    writes: int = 0
    capacity_gone: set[str] = field(default_factory=set)
    never_ready: set[str] = field(default_factory=set)
    _serial: int = 100
    _applied: dict[str, Raw] = field(default_factory=dict)
    _ages: Counter[tuple[str, str]] = field(default_factory=Counter)
    _router_version: str | None = None
    _carried: dict[Reference, set[str]] = field(default_factory=dict)
    _seen: tuple[tuple[int, str | None], Snapshot] | None = None

    @property
    def now(self) -> datetime:
        return NOW + timedelta(seconds=TICK_SECONDS * self.tick)

    # -- API server ----------------------------------------------------------------------------------------------

    def put(self, *objects: Raw) -> None:
        """Somebody else writes objects."""
        for obj in objects:
            ref = reference(obj)
            metadata = dict(obj["metadata"])
            new = {**obj, "metadata": metadata}
            old = self.objects.get(ref)
            self._serial += 1
            metadata.setdefault("uid", old["metadata"]["uid"] if old else f"u{self._serial}")
            metadata.setdefault("creationTimestamp", format_moment(self.now))
            metadata["resourceVersion"] = str(self._serial)
            if obj["kind"] == HTTP_ROUTE.name:
                before = old["metadata"]["generation"] if old else 0
                metadata["generation"] = before + (old is None or old["spec"] != obj["spec"])
            self.objects[ref] = new

    def of(self, kind: str) -> list[Raw]:
        return [obj for ref, obj in sorted(self.objects.items(), key=lambda item: item[0]) if ref.kind == kind]

    def remove(self, obj: Raw) -> None:
        self._serial += 1
        self.objects.pop(reference(obj), None)

    def snapshot(self) -> Snapshot:
        moment = (self._serial, self._router_version)
        if self._seen is None or self._seen[0] != moment:
            by_kind: dict[Any, list[Raw]] = {}
            for ref, obj in sorted(self.objects.items(), key=lambda item: item[0]):
                by_kind.setdefault(KINDS[ref.kind], []).append(obj)
            self._seen = (moment, observe(by_kind, router_versions={"router": self._router_version}))
        return self._seen[1]

    def write(self, action: Action) -> bool:
        """Carry one action out; False where the API server refuses it."""
        try:
            self._write(action)
        except ConflictError:
            return False
        return True

    def _write(self, action: Action) -> None:
        match action:
            case Emit():
                return
            case Apply() if not action.live_uid:
                if reference(action.intent) in self.objects:
                    raise ConflictError
                self.put(action.intent)
                found = self.objects[reference(action.intent)]
                self._applied[found["metadata"]["uid"]] = action.intent
            case Apply():
                live = self._precondition(reference(action.intent), action.live_uid, action.live_resource_version)
                uid = live["metadata"]["uid"]
                merged = server_side_apply(live, action.intent, self._applied.get(uid))
                self._applied[uid] = action.intent
                merged["metadata"]["uid"] = uid
                self.put(merged)
            case ApplyStatus():
                live = self._precondition(reference(action.intent), action.live_uid, "")
                self.put({**live, "status": action.intent["status"]})
            case Scale():
                live = self._precondition(action.target, action.uid, action.resource_version)
                self.put({**live, "spec": {**live["spec"], "replicas": action.replicas}})
            case Delete():
                live = self._precondition(action.target, action.uid, action.resource_version)
                self.delete(live, force=action.force)
        self.writes += 1

    def _precondition(self, ref: Reference, uid: str, version: str) -> Raw:
        live = self.objects.get(ref)
        if live is None or (uid and live["metadata"]["uid"] != uid):
            raise ConflictError
        if version and live["metadata"]["resourceVersion"] != version:
            raise ConflictError
        return live

    def delete(self, obj: Raw, *, force: bool = False) -> None:
        if obj["kind"] == "Pod" and not force:
            if not obj["metadata"].get("deletionTimestamp"):
                self.put({**obj, "metadata": {**obj["metadata"], "deletionTimestamp": format_moment(self.now)}})
            return
        self.remove(obj)

    # -- controllers ---------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """One tick of everything that is not the operator."""
        self._collect_garbage()
        self._control_deployments()
        self._schedule()
        self._provision()
        self._run_pods()
        self._sync_router()
        self._sync_gateway()
        self.tick += 1

    def pods(self, *, deleting: bool | None = None) -> list[Raw]:
        return [
            pod
            for pod in self.of("Pod")
            if deleting is None or bool(pod["metadata"].get("deletionTimestamp")) == deleting
        ]

    def _collect_garbage(self) -> None:
        uids = {obj["metadata"]["uid"] for obj in self.objects.values()}
        for obj in list(self.objects.values()):
            owners = obj["metadata"].get("ownerReferences") or []
            if owners and not any(owner["uid"] in uids for owner in owners):
                self.delete(obj)
        nodes = {node["metadata"]["name"] for node in self.of("Node")}
        for pod in self.pods():
            node = pod["spec"].get("nodeName")
            if node and node not in nodes and self._aged("orphan", pod, POD_COLLECTION_TICKS):
                self.remove(pod)

    def _aged(self, what: str, obj: Raw, ticks: int) -> bool:
        self._ages[what, obj["metadata"]["uid"]] += 1
        return self._ages[what, obj["metadata"]["uid"]] >= ticks

    def _control_deployments(self) -> None:
        for deployment in self.of("Deployment"):
            if deployment["metadata"]["labels"].get(names.COMPONENT):
                continue  # the router runs outside
            uid = deployment["metadata"]["uid"]
            mine = [
                pod
                for pod in self.pods(deleting=False)
                if any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences") or ())
            ]
            missing = deployment["spec"]["replicas"] - len(mine)
            for pod in sorted(mine, key=_removal_rank)[: max(0, -missing)]:
                self.delete(pod)
            for _ in range(max(0, missing)):
                self._serial += 1
                template = deployment["spec"]["template"]
                self.put(
                    {
                        "apiVersion": "v1",
                        "kind": "Pod",
                        "metadata": {
                            **template["metadata"],
                            "name": f"{deployment['metadata']['name']}-{self._serial}",
                            "namespace": deployment["metadata"]["namespace"],
                            "ownerReferences": [{"kind": "Deployment", "uid": uid}],
                        },
                        "spec": template["spec"],
                        "status": {"phase": "Pending"},
                    }
                )

    def free(self) -> dict[str, int]:
        """Free GPUs of each node that pods may be bound to."""
        free = {
            node["metadata"]["name"]: int(node["status"]["allocatable"]["nvidia.com/gpu"])
            for node in self.of("Node")
            if not node["spec"].get("taints")
            and not node["spec"].get("unschedulable")
            and node["status"]["conditions"][0]["status"] == "True"
        }
        for pod in self.pods():
            if pod["spec"].get("nodeName") in free:
                free[pod["spec"]["nodeName"]] -= gpus_of(pod)
        return free

    def _schedule(self) -> None:
        free = self.free()
        labels = {node["metadata"]["name"]: node["metadata"]["labels"] for node in self.of("Node")}
        for pod in sorted(self.pods(deleting=False), key=lambda pod: -gpus_of(pod)):
            if pod["spec"].get("nodeName"):
                continue
            selector = pod["spec"]["nodeSelector"].items()
            fitting = [n for n, left in free.items() if left >= gpus_of(pod) and selector <= labels[n].items()]
            if fitting:
                node = min(fitting, key=lambda name: (free[name], name))
                free[node] -= gpus_of(pod)
                self.put({**pod, "spec": {**pod["spec"], "nodeName": node}})

    def _provision(self) -> None:
        """Nodes come for pods that no node takes, up to the pool's limit, and go when empty."""
        for pool in self.of("GPUNodePool"):
            if pool["spec"]["provisioning"] != "Autoscaler":
                continue
            name = pool["metadata"]["name"]
            nodes = [node for node in self.of("Node") if node["metadata"]["labels"]["pool"] == name]
            asked = sum(
                gpus_of(pod)
                for pod in self.pods(deleting=False)
                if not pod["spec"].get("nodeName") and pod["spec"]["nodeSelector"].get("pool") == name
            )
            room = pool["spec"]["offerings"][0]["maxNodes"] - len(nodes)
            if asked and name not in self.capacity_gone and self._aged("provision", pool, NODE_TICKS):
                self._ages["provision", pool["metadata"]["uid"]] = 0
                for _ in range(min(room, math.ceil(asked / GPUS_OF_POOL[name]))):
                    self._serial += 1
                    node = node_object(f"{name}-{self._serial}", name)
                    node["metadata"]["uid"] = f"u{self._serial}"
                    self.put(node)
            used = {pod["spec"].get("nodeName") for pod in self.pods()}
            for node in nodes:
                if node["metadata"]["name"] in used:
                    self._ages["empty", node["metadata"]["uid"]] = 0
                elif self._aged("empty", node, EMPTY_NODE_TICKS):
                    self.remove(node)

    def _run_pods(self) -> None:
        ready_nodes = {
            node["metadata"]["name"] for node in self.of("Node") if node["status"]["conditions"][0]["status"] == "True"
        }
        for pod in self.pods():
            if pod["metadata"].get("deletionTimestamp"):
                gone = not pod["spec"].get("nodeName") or self._aged("stop", pod, STOP_TICKS)
                if gone and (not pod["spec"].get("nodeName") or pod["spec"]["nodeName"] in ready_nodes):
                    self.remove(pod)
                continue
            if pod["spec"].get("nodeName") not in ready_nodes:
                continue  # nobody reports
            started = self._aged("start", pod, START_TICKS) and self._stages_run(pod)
            ready = started and pod["spec"]["containers"][0]["image"] not in self.never_ready
            status = {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]}
            if pod["status"] != status:
                self.put({**pod, "status": status})

    def _stages_run(self, pod: Raw) -> bool:
        """A leader becomes Ready once all stages of its replica run."""
        labels = pod["metadata"]["labels"]
        if labels.get(names.STAGE) != "0" or names.REPLICA not in labels:
            return True
        ask = {key: labels[key] for key in (names.DEMAND, names.TEMPLATE, names.REPLICA)}.items()
        stages = {
            other["metadata"]["labels"][names.STAGE]
            for other in self.pods(deleting=False)
            if ask <= other["metadata"]["labels"].items() and other["status"]["phase"] == "Running"
        } | {"0"}
        wanted = len(names.read_offerings(pod["metadata"]["annotations"][names.OFFERINGS]))
        return len(stages) == wanted

    def _sync_router(self) -> None:
        for item in self.of("ConfigMap"):
            version = item["metadata"]["annotations"][names.ROUTER_VERSION]
            if version != self._router_version and self._aged(f"router {version}", item, ROUTER_TICKS):
                self._router_version = version

    def _sync_gateway(self) -> None:
        """A route is carried out, and then acknowledged, a tick after it was written."""
        for route in self.of(HTTP_ROUTE.name):
            generation = route["metadata"]["generation"]
            if not self._aged(f"gateway {generation}", route, ROUTER_TICKS):
                continue
            self._carried[reference(route)] = {
                backend["name"] for backend in route["spec"]["rules"][0]["backendRefs"] if backend["weight"]
            }
            conditions = [
                {"type": kind, "status": "True", "observedGeneration": generation}
                for kind in ("Accepted", "ResolvedRefs")
            ]
            parents = [{"parentRef": ref, "conditions": conditions} for ref in route["spec"]["parentRefs"]]
            if route.get("status") != {"parents": parents}:
                self.put({**route, "status": {"parents": parents}})

    def _carries(self, labels: dict[str, str]) -> bool:
        """Whether requests reach the strategy of a pod; Atoll's own router knows all Services from the start."""
        routes = [route for route in self.of(HTTP_ROUTE.name) if route["metadata"]["name"] == labels[names.DEMAND]]
        service = f"{labels[names.DEMAND]}-{labels[names.STRATEGY]}"
        return all(service in self._carried.get(reference(route), ()) for route in routes)

    # -- what an observer sees -----------------------------------------------------------------------------------

    def served(self, rates: dict[tuple[str, str], float]) -> dict[str, float]:
        """Requests/s that reach Ready, routable leaders on nodes that are there, by name of the demand."""
        nodes = {node["metadata"]["name"] for node in self.of("Node")}
        total: dict[str, float] = {}
        for pod in self.pods(deleting=False):
            labels = pod["metadata"]["labels"]
            conditions = pod["status"].get("conditions") or [{"status": "False"}]
            if (
                labels.get(names.ROUTABLE) == "true"
                and conditions[0]["status"] == "True"
                and pod["spec"].get("nodeName") in nodes
                and self._carries(labels)
            ):
                name = labels[names.DEMAND]
                total[name] = total.get(name, 0.0) + rates[name, labels[names.STRATEGY]]
        return total


def gpus_of(pod: Raw) -> int:
    """GPUs that a pod asks for."""
    resources = [container["resources"] for container in pod["spec"]["containers"]]
    return sum(
        int((item.get("requests") or item["limits"]).get("nvidia.com/gpu") or item["limits"]["nvidia.com/gpu"])
        for item in resources
    )


def _removal_rank(pod: Raw) -> tuple[Any, ...]:
    """Whom a ReplicaSet removes first (kubernetes/pkg/controller/controller_utils.go, ActivePodsWithRanks)."""
    conditions = pod["status"].get("conditions") or [{"status": "False"}]
    cost = int((pod["metadata"].get("annotations") or {}).get(names.POD_DELETION_COST, 0))
    return (
        bool(pod["spec"].get("nodeName")),
        pod["status"]["phase"] == "Running",
        conditions[0]["status"] == "True",
        cost,
        -int(pod["metadata"]["name"].rsplit("-", 1)[1]),
    )


def canonical(objects: Iterable[Raw]) -> Counter[str]:
    """Objects without what differs between two runs that end alike: names of pods, indices of replicas, times."""
    found: Counter[str] = Counter()
    for obj in objects:
        labels = obj["metadata"].get("labels") or {}
        replica = labels.get(names.REPLICA)
        name = obj["metadata"]["name"]
        if replica is not None:
            name = name.replace(f"-{replica}-s", "-*-s") if "-s" in name else name.removesuffix(f"-{replica}") + "-*"
        match obj["kind"]:
            case "Pod":
                routable = labels.get(names.ROUTABLE)
                found[f"Pod {labels.get(names.DEMAND)} {labels.get(names.TEMPLATE)} {routable}"] += 1
            case "Deployment":
                found[f"Deployment {name} x{obj['spec']['replicas']}"] += 1
            case "Service" | "PodDisruptionBudget":
                found[f"{obj['kind']} {name} {obj['spec'].get('maxUnavailable')}"] += 1
            case "HTTPRoute":
                found[f"HTTPRoute {name} {obj['spec']}"] += 1
            case "ConfigMap":
                found[f"ConfigMap {obj['metadata']['annotations'][names.ROUTER_VERSION]}"] += 1
            case "ModelDemand":
                conditions = {c["type"]: (c["status"], c["reason"]) for c in obj["status"]["conditions"]}
                found[f"ModelDemand {name} {conditions}"] += 1
    return found
