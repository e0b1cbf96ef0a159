"""Worlds in one expression: small raw objects, and the domain values that plans are made of."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from atoll.api.fleetplan_io import plan_objects
from atoll.domain.architecture import Quantisation
from atoll.domain.demand import DemandKey
from atoll.domain.gpu import CapacityType
from atoll.domain.objects import ATOLL, KINDS, ObjectLike
from atoll.domain.plan import Plan, PlannedDemand, PlannedReplicas, PlanPhase
from atoll.domain.pool import OfferingKey
from atoll.domain.problem import ReplicaGroup, ReplicaSite
from atoll.domain.snapshot import Snapshot
from atoll.domain.strategy import EngineName, Stage, Strategy
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.moments import format_moment
from atoll.reconcile.observe import observe
from atoll.reconcile.wanted import Desired
from atoll.render import names
from atoll.render.router.routing import RouterSettings

NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
ZONE = "us-east-2a"
NAMESPACE = "team-a"
ROUTER = RouterSettings()

KIND_OF_POOL = {"small": "L4-24GB", "big": "H100-80GB"}
GPUS_OF_POOL = {"small": 2, "big": 4}
LAYERS = 64

Raw = dict[str, Any]


def ago(seconds: float) -> str:
    """A moment so many seconds before NOW, as Kubernetes writes it."""
    return format_moment(NOW - timedelta(seconds=seconds))


def key(name: str = "chat") -> DemandKey:
    return DemandKey(namespace=NAMESPACE, name=name)


def offering(pool: str = "small", zone: str = ZONE, terms: CapacityType = CapacityType.ON_DEMAND) -> OfferingKey:
    return OfferingKey(pool=pool, zone=zone, capacity_type=terms)


def strategy(*pools: str, tp: int = 2, sequences: int = 64) -> Strategy:
    """One stage on each of these pools' GPU kinds."""
    share, rest = divmod(LAYERS, len(pools))
    return Strategy(
        engine=EngineName.VLLM,
        tp=tp,
        stages=tuple(
            Stage(gpu_kind=KIND_OF_POOL[pool], layers=share + (rest if not index else 0))
            for index, pool in enumerate(pools)
        ),
        quantisation=Quantisation.BF16,
        max_sequences=sequences,
        max_context=8192,
    )


def replicas(
    *pools: str, demand: str = "chat", count: int = 1, rate: float = 10.0, tp: int = 2, sequences: int = 64
) -> PlannedReplicas:
    """Replicas with one stage on each of these pools."""
    return PlannedReplicas(
        group=ReplicaGroup(
            demand=key(demand),
            strategy=strategy(*pools, tp=tp, sequences=sequences),
            site=ReplicaSite(offerings=tuple(offering(pool) for pool in pools)),
            count=count,
        ),
        rate=rate,
        ttft_seconds=0.5,
        tpot_seconds=0.02,
        source="Roofline",
        expected_error=0.2,
        startup_seconds=100.0,
    )


def planned(*groups: PlannedReplicas, demand: str = "chat", rate: float = 10.0, **other: Any) -> PlannedDemand:
    fields = {"shortfall": 0.0, "cost_per_hour": 1.0, "reason": "cheapest", **other}
    return PlannedDemand(key=key(demand), uid=f"uid-{demand}", rate=rate, replicas=groups, **fields)


def plan(*demands: PlannedDemand, **other: Any) -> Plan:
    fields = {
        "fleet": "default",
        "basis": "0123456789",
        "nodes": (),
        "cost_per_hour": 10.0,
        "previous_cost_per_hour": 12.0,
        "bound_per_hour": 9.0,
        "approved": True,
        **other,
    }
    return Plan(demands=demands, **fields)


def fleet_object(**spec: Any) -> Raw:
    return {
        "apiVersion": ATOLL,
        "kind": "Fleet",
        "metadata": {"name": "default", "uid": "uid-fleet", "generation": 1},
        "spec": spec,
    }


def demand_object(name: str = "chat", rate: float = 10.0, priority: int = 0, image: str = "vllm/vllm:1") -> Raw:
    return {
        "apiVersion": ATOLL,
        "kind": "ModelDemand",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-{name}",
            "generation": 1,
            "creationTimestamp": ago(3600),
        },
        "spec": {
            "model": {"servedName": name, "architecture": {"name": "Qwen/Qwen3-32B"}},
            "demand": {
                "requestsPerSecond": rate,
                "workload": {"input": {"mean": 1000.0}, "output": {"mean": 200.0}},
            },
            "objectives": {"ttft": "2s", "tpot": "100ms"},
            "priority": priority,
            "engine": {"image": image},
        },
    }


def profile_object(milliseconds: float = 50.0, architecture: str = "Qwen/Qwen3-32B") -> Raw:
    return {
        "apiVersion": ATOLL,
        "kind": "PerformanceProfile",
        "metadata": {"name": "measured", "uid": "uid-measured", "generation": 1},
        "spec": {
            "architecture": architecture,
            "gpuKind": KIND_OF_POOL["small"],
            "tp": 1,
            "points": [{"phase": "Decode", "sequences": 8, "tokens": 1024, "milliseconds": milliseconds}],
        },
    }


def pool_object(
    name: str = "small",
    max_nodes: int = 4,
    provisioning: str = "Autoscaler",
    price: float = 1.0,
    capacity_type: str = "on-demand",
    *,
    device_class: str = "",
) -> Raw:
    return {
        "apiVersion": ATOLL,
        "kind": "GPUNodePool",
        "metadata": {"name": name, "uid": f"uid-{name}", "generation": 1},
        "spec": {
            "gpu": {"kind": KIND_OF_POOL[name], "count": GPUS_OF_POOL[name], "deviceClass": device_class},
            "instanceType": f"{name}.node",
            "region": "us-east-2",
            "nodeSelector": {"pool": name},
            "offerings": [{"zone": ZONE, "capacityType": capacity_type, "price": price, "maxNodes": max_nodes}],
            "provisioning": provisioning,
            "startup": "60s",
            "allocatable": {"cpu": "32", "memory": "128Gi", "ephemeralStorage": "200Gi"},
        },
    }


def node_object(
    name: str,
    pool: str = "small",
    *,
    ready: bool = True,
    taints: tuple[str, ...] = (),
    cordoned: bool = False,
    gpus: int | None = None,
) -> Raw:
    spec: Raw = {"taints": [{"key": taint, "effect": "NoSchedule"} for taint in taints]} if taints else {}
    if cordoned:
        spec["unschedulable"] = True
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "labels": {
                "pool": pool,
                "topology.kubernetes.io/zone": ZONE,
                "topology.kubernetes.io/region": "us-east-2",
                "karpenter.sh/capacity-type": "on-demand",
                "node.kubernetes.io/instance-type": f"{pool}.node",
            },
        },
        "spec": spec,
        "status": {
            "allocatable": {"nvidia.com/gpu": str(GPUS_OF_POOL[pool] if gpus is None else gpus)},
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


def pod_object(
    name: str,
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    node: str = "",
    gpus: int = 2,
    ready: bool = True,
    ready_for: float = 300.0,
    age: float = 600.0,
    deleting: bool = False,
    grace: int = 30,
    phase: str = "",
    restarts: int = 0,
    waiting: str = "",
    gates: tuple[str, ...] = (),
    nominated: str = "",
) -> Raw:
    """A pod; without labels it is somebody else's."""
    metadata: Raw = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-{name}",
        "labels": dict(labels or {}),
        "annotations": dict(annotations or {}),
        "creationTimestamp": ago(age),
    }
    if deleting:
        metadata |= {"deletionTimestamp": ago(1), "deletionGracePeriodSeconds": grace}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            **({"nodeName": node} if node else {}),
            **({"schedulingGates": [{"name": gate} for gate in gates]} if gates else {}),
            "containers": [{"name": "engine", "resources": {"requests": {"nvidia.com/gpu": str(gpus)}}}],
        },
        "status": {
            "phase": phase or ("Running" if node else "Pending"),
            **({"nominatedNodeName": nominated} if nominated else {}),
            "conditions": [
                {"type": "Ready", "status": str(ready and bool(node)), "lastTransitionTime": ago(ready_for)}
            ],
            "containerStatuses": [
                {"restartCount": restarts, "state": {"waiting": {"reason": waiting}} if waiting else {}}
            ],
        },
    }


def pods_of(deployment: ObjectLike, *nodes: str, **how: Any) -> list[Raw]:
    """One pod of a Deployment on each of these nodes; an empty name is no node yet."""
    template = deployment["spec"]["template"]["metadata"]
    name = deployment["metadata"]["name"]
    drained = how.pop("drained", None)
    labels, annotations = dict(template["labels"]), dict(template["annotations"])
    if drained is not None:
        labels[names.ROUTABLE] = "false"
        annotations["atoll.dev/draining-since"] = ago(drained)
    start = how.pop("start", 0)
    return [
        pod_object(f"{name}-{start + index}", labels=labels, annotations=annotations, node=node, **how)
        for index, node in enumerate(nodes)
    ]


def stored(obj: ObjectLike, *, replicas: int | None = None) -> Raw:
    """An intent as the API server holds it."""
    found = {**obj, "metadata": {**obj["metadata"], "resourceVersion": "7"}}
    found["metadata"].setdefault("uid", f"uid-{found['metadata']['name']}")
    if replicas is not None:
        found["spec"] = {**found["spec"], "replicas": replicas}
    return found


def stored_plan(item: Plan, phase: PlanPhase | None = PlanPhase.MOVING, created: str = "") -> list[Raw]:
    """The objects of a plan as the API server holds them."""
    found = [stored(obj) for obj in plan_objects(item)]
    for obj in found:
        obj["metadata"]["creationTimestamp"] = created or ago(60)
        if phase is not None:
            obj["status"] = {"phase": phase.value}
    return found


def seen(
    *objects: ObjectLike | list[Raw], versions: Mapping[str, str | None] | None = None, fleet: str = "default"
) -> Snapshot:
    """The snapshot of a cluster that holds these objects, as a fleet's operator sees it."""
    by_kind: dict[Any, list[ObjectLike]] = {}
    for item in objects:
        for obj in item if isinstance(item, list) else [item]:
            by_kind.setdefault(KINDS[obj["kind"]], []).append(obj)
    return observe(by_kind, fleet=fleet, router_versions=versions or {})


def meant(item: Plan | None, *objects: ObjectLike | list[Raw]) -> Desired:
    """What a plan means in a cluster that holds these objects."""
    desired, faults = desired_objects(seen(*objects), item, ROUTER)
    assert not faults
    return desired


def deployments(item: Plan, *objects: ObjectLike | list[Raw]) -> list[ObjectLike]:
    """The engine Deployments that a plan means, in the order of the plan."""
    return [wanted.intent for wanted in meant(item, *objects).deployments.values()]
