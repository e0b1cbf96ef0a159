"""Kubernetes objects as values: kinds, references, and what is to be done to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

ObjectLike = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Kind:
    """One kind of Kubernetes object as Atoll reads or writes it."""

    api_version: str
    name: str
    plural: str
    namespaced: bool

    @property
    def path(self) -> str:
        """Root of its REST path."""
        return f"/api/{self.api_version}" if "/" not in self.api_version else f"/apis/{self.api_version}"


ATOLL = "atoll.dev/v1alpha1"
MODEL_DEMAND = Kind(api_version=ATOLL, name="ModelDemand", plural="modeldemands", namespaced=True)
GPU_NODE_POOL = Kind(api_version=ATOLL, name="GPUNodePool", plural="gpunodepools", namespaced=False)
PERFORMANCE_PROFILE = Kind(api_version=ATOLL, name="PerformanceProfile", plural="performanceprofiles", namespaced=False)
FLEET = Kind(api_version=ATOLL, name="Fleet", plural="fleets", namespaced=False)
FLEET_PLAN = Kind(api_version=ATOLL, name="FleetPlan", plural="fleetplans", namespaced=False)
NODE = Kind(api_version="v1", name="Node", plural="nodes", namespaced=False)
POD = Kind(api_version="v1", name="Pod", plural="pods", namespaced=True)
SERVICE = Kind(api_version="v1", name="Service", plural="services", namespaced=True)
CONFIG_MAP = Kind(api_version="v1", name="ConfigMap", plural="configmaps", namespaced=True)
EVENT = Kind(api_version="v1", name="Event", plural="events", namespaced=True)
DEPLOYMENT = Kind(api_version="apps/v1", name="Deployment", plural="deployments", namespaced=True)
DISRUPTION_BUDGET = Kind(
    api_version="policy/v1", name="PodDisruptionBudget", plural="poddisruptionbudgets", namespaced=True
)
HTTP_ROUTE = Kind(api_version="gateway.networking.k8s.io/v1", name="HTTPRoute", plural="httproutes", namespaced=True)
NODE_POOL = Kind(api_version="karpenter.sh/v1", name="NodePool", plural="nodepools", namespaced=False)
RESOURCE_CLAIM_TEMPLATE = Kind(
    api_version="resource.k8s.io/v1", name="ResourceClaimTemplate", plural="resourceclaimtemplates", namespaced=True
)
RESOURCE_CLAIM = Kind(api_version="resource.k8s.io/v1", name="ResourceClaim", plural="resourceclaims", namespaced=True)
RESOURCE_SLICE = Kind(api_version="resource.k8s.io/v1", name="ResourceSlice", plural="resourceslices", namespaced=False)
LEASE = Kind(api_version="coordination.k8s.io/v1", name="Lease", plural="leases", namespaced=True)

OUR_KINDS = (MODEL_DEMAND, GPU_NODE_POOL, PERFORMANCE_PROFILE, FLEET, FLEET_PLAN)
CHILD_KINDS = (DEPLOYMENT, SERVICE, DISRUPTION_BUDGET, CONFIG_MAP)
DEVICE_KINDS = (RESOURCE_SLICE, RESOURCE_CLAIM, RESOURCE_CLAIM_TEMPLATE)
"""Of Dynamic Resource Allocation; Kubernetes serves them from 1.34 on."""
KINDS = {
    kind.name: kind
    for kind in (*OUR_KINDS, NODE, POD, EVENT, LEASE, HTTP_ROUTE, NODE_POOL, *DEVICE_KINDS, *CHILD_KINDS)
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Reference:
    """Names one object; ``namespace`` is empty for cluster-scoped kinds."""

    kind: str
    namespace: str = ""
    name: str

    def __str__(self) -> str:
        """Read as ``Kind namespace/name``."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def reference(obj: ObjectLike) -> Reference:
    """The reference of an object with kind and metadata."""
    metadata = obj["metadata"]
    return Reference(kind=obj["kind"], namespace=metadata.get("namespace", ""), name=metadata["name"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """Server-side apply of a whole intent.

    Attributes:
        intent: the whole object as wanted.
        why: in a few words, for the log.
        live_uid: of the live object that is to be changed; empty to create one, which fails where one exists.
        live_resource_version: it must still have; empty where any version may be changed.
    """

    intent: ObjectLike
    why: str
    live_uid: str = ""
    live_resource_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyStatus:
    """Server-side apply of a status subresource.

    Attributes:
        intent: name and the whole status as wanted.
        live_uid: the object must still have; empty where any object of that name may be changed.
    """

    intent: ObjectLike
    live_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Set the replicas of a Deployment whose template is no longer rendered.

    Attributes:
        target: the Deployment.
        uid: it must still have.
        resource_version: it must still have.
        replicas: wanted.
        why: in a few words, for the log.
    """

    target: Reference
    uid: str
    resource_version: str
    replicas: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete one object, only if it is still the one that was seen.

    Attributes:
        target: what to delete.
        uid: it must still have.
        resource_version: it must still have; empty where a later version may be deleted too (pods of lost nodes).
        why: in a few words, for the log.
        force: do not wait for a kubelet that is gone (grace period 0).
        absent: object whose absence is the reason; the API server is asked first whether it really is not there,
            because the watch of one kind may lag that of another. None where there is no such reason.
    """

    target: Reference
    uid: str
    resource_version: str
    why: str
    force: bool = False
    absent: Reference | None = None


class EventType(StrEnum):
    """Kubernetes event types."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Emit:
    """Tell people about a change, as an event on the object concerned."""

    target: Reference
    uid: str
    type: EventType
    reason: str
    message: str


Action = Apply | ApplyStatus | Scale | Delete | Emit
