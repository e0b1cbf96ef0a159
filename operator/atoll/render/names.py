"""Every label, annotation and object name that Atoll writes, in one place."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from atoll.domain.architecture import Quantisation
from atoll.domain.demand import Demand, DemandKey
from atoll.domain.gpu import CapacityType
from atoll.domain.objects import MODEL_DEMAND
from atoll.domain.pool import OfferingKey
from atoll.domain.strategy import EngineName, Phase, Stage, Strategy

FIELD_MANAGER = "atoll"
MANAGED_BY = "app.kubernetes.io/managed-by"
COMPONENT = "app.kubernetes.io/component"

DEMAND = "atoll.dev/demand"
STRATEGY = "atoll.dev/strategy"
TEMPLATE = "atoll.dev/template"
OFFERING = "atoll.dev/offering"
REPLICA = "atoll.dev/replica"
STAGE = "atoll.dev/stage"
PIPELINE = "atoll.dev/pipeline"
PHASE = "atoll.dev/phase"
PAIR = "atoll.dev/pair"
ROUTABLE = "atoll.dev/routable"

STRATEGY_SPEC = "atoll.dev/strategy-spec"
OFFERINGS = "atoll.dev/offerings"
ROUTER_VERSION = "atoll.dev/router-version"

GPUS = "atoll.dev/gpus"
"""Annotation of pods that claim their GPUs: how many, for their spec does not tell."""

DISCOVERED = "atoll.dev/discovered"
DISCOVERED_FROM = "atoll.dev/discovered-from"
ASSUMED = "atoll.dev/assumed"

POD_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"

PROTECTION: Mapping[str, str] = MappingProxyType({DO_NOT_DISRUPT: "true", SAFE_TO_EVICT: "false"})
"""Annotations of engine pods that keep autoscalers from moving them; pods may get them while they run."""

NAME_LIMIT = 63
"""Longest DNS label, label value and Service name (RFC 1123)."""

DEMAND_NAME_LIMIT = 40
"""Longest ``metadata.name`` of a ModelDemand; leaves room for hash, replica and stage within :data:`NAME_LIMIT`."""

_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")


def content_hash(content: Any) -> str:
    """Ten hexadecimal digits of the SHA-256 of a JSON-like value."""
    return hashlib.sha256(compact_json(content).encode()).hexdigest()[:10]


def compact_json(content: Any) -> str:
    """JSON without white space and with sorted keys: the same value is the same text."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def offering_label(offering: OfferingKey) -> str:
    """``pool.zone.capacity-type`` where that is a valid label value, else a hash of it."""
    readable = f"{offering.pool}.{offering.zone}.{offering.capacity_type}"
    fits = len(readable) <= NAME_LIMIT and _LABEL_VALUE.fullmatch(readable)
    return readable if fits else content_hash(readable)


def demand_labels(demand: DemandKey) -> dict[str, str]:
    """Labels of every object that belongs to a demand."""
    return {MANAGED_BY: FIELD_MANAGER, DEMAND: demand.name}


def owner_reference(demand: Demand) -> list[dict[str, Any]]:
    """The controller reference to the ModelDemand; empty outside a cluster, where no uid is known."""
    if not demand.uid:
        return []
    return [
        {
            "apiVersion": MODEL_DEMAND.api_version,
            "kind": MODEL_DEMAND.name,
            "name": demand.key.name,
            "uid": demand.uid,
            "controller": True,
        }
    ]


def metadata(
    demand: Demand, name: str, labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Metadata of an object in the demand's namespace, owned by it."""
    result: dict[str, Any] = {
        "name": name,
        "namespace": demand.key.namespace,
        "labels": {**demand_labels(demand.key), **(labels or {})},
    }
    if annotations:
        result["annotations"] = dict(annotations)
    if owners := owner_reference(demand):
        result["ownerReferences"] = owners
    return result


def deployment_name(demand: DemandKey, template: str) -> str:
    """Name of a single-stage Deployment by the hash of its pod template."""
    return f"{demand.name}-{template}"


def replica_name(demand: DemandKey, template: str, replica: int) -> str:
    """Name of one multi-stage replica, and of its rendezvous Service."""
    return f"{demand.name}-{template}-{replica}"


def stage_name(demand: DemandKey, template: str, replica: int, stage: int) -> str:
    """Name of the Deployment of one stage of a multi-stage replica."""
    return f"{replica_name(demand, template, replica)}-s{stage}"


def service_name(demand: DemandKey, strategy: Strategy) -> str:
    """Name of the Service through which the router reaches the replicas of one strategy."""
    return f"{demand.name}-{strategy.id}"


def pair(strategy: Strategy, zone: str) -> str:
    """Value of the label :data:`PAIR`: replicas of one demand that have it hand over to each other."""
    return content_hash([strategy.variant, zone])


def prefill_service_name(demand: DemandKey, pair_label: str) -> str:
    """Name of the Service through which decode replicas reach those that prefill for them."""
    return f"{demand.name}-{pair_label}-prefill"


def service_host(service: str, namespace: str, cluster_domain: str = "cluster.local") -> str:
    """DNS name of a Service."""
    return f"{service}.{namespace}.svc.{cluster_domain}"


def qualified_served_name(demand: DemandKey) -> str:
    """The name that always routes to a demand, whoever holds its served name."""
    return f"{demand.namespace}/{demand.name}"


def write_strategy(strategy: Strategy) -> str:
    """A strategy as the text of the annotation :data:`STRATEGY_SPEC`."""
    return compact_json(strategy.content)


def read_strategy(annotation: str) -> Strategy:
    """The strategy that :func:`write_strategy` wrote.

    Raises:
        ValueError: it is another text; or KeyError, TypeError, OverflowError or RecursionError.
    """
    fields = json.loads(annotation)
    return Strategy(
        engine=EngineName(fields["engine"]),
        tp=int(fields["tp"]),
        stages=tuple(Stage(gpu_kind=str(s["gpu_kind"]), layers=int(s["layers"])) for s in fields["stages"]),
        quantisation=Quantisation(fields["quantisation"]),
        max_sequences=int(fields["max_sequences"]),
        max_context=int(fields["max_context"]),
        phase=Phase(fields["phase"]) if "phase" in fields else None,
        peer_tp=int(fields.get("peer_tp", 0)),
        kv_form=str(fields.get("kv_form", "")),
    )


def write_offerings(offerings: Iterable[OfferingKey]) -> str:
    """Offerings of a replica's stages, in order, as the text of the annotation :data:`OFFERINGS`."""
    return compact_json([[offering.pool, offering.zone, offering.capacity_type] for offering in offerings])


def read_offerings(annotation: str) -> tuple[OfferingKey, ...]:
    """The offerings that :func:`write_offerings` wrote.

    Raises:
        ValueError: it is another text; or TypeError or RecursionError.
    """
    return tuple(
        OfferingKey(pool=str(pool), zone=str(zone), capacity_type=CapacityType(capacity_type))
        for pool, zone, capacity_type in json.loads(annotation)
    )
