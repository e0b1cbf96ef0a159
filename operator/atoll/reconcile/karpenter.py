"""What a NodePool of Karpenter's may make: instance types of the catalogue, zones, terms, and its limit of GPUs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from atoll.catalogue.instances import InstanceType, instance_types
from atoll.domain.gpu import CapacityType
from atoll.domain.objects import ObjectLike
from atoll.reconcile.difference import quantity
from atoll.render.placement import CAPACITY_TYPE, INSTANCE_TYPE, REGION, ZONE
from atoll.render.requests import GPU_RESOURCE

ASSUMED_NODES = 10
"""Most nodes of an offering where a NodePool has no limit of GPUs: more than a test needs, less than a bill that
frightens."""

_FAMILY = "karpenter.k8s.aws/instance-family"
_GPU_NAME = "karpenter.k8s.aws/instance-gpu-name"
_GPU_COUNT = "karpenter.k8s.aws/instance-gpu-count"
_NARROWING = (INSTANCE_TYPE, _FAMILY, _GPU_NAME)
"""Requirements of which one is needed to tell which instance types are meant."""


class NotUnderstoodError(ValueError):
    """A NodePool of GPU nodes that does not tell what is needed; the message names the requirement to add."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePoolTerms:
    """What a NodePool may make.

    Attributes:
        name: of the NodePool.
        instance_types: of the catalogue, by name; none where it makes no GPU nodes.
        zones: in which.
        region: of the zones; empty where it is to be told from their names.
        capacity_types: on which terms.
        gpu_limit: most GPUs, all nodes together; None for no limit.
        taints: of its nodes.
    """

    name: str
    instance_types: tuple[InstanceType, ...]
    zones: tuple[str, ...] = ()
    region: str = ""
    capacity_types: tuple[CapacityType, ...] = ()
    gpu_limit: int | None = None
    taints: tuple[Mapping[str, Any], ...] = ()


def terms_of(raw: ObjectLike) -> NodePoolTerms:
    """Understand one NodePool (``karpenter.sh/v1``).

    Raises:
        NotUnderstoodError: it makes GPU nodes, but does not say which or where.
    """
    name, spec = raw["metadata"]["name"], raw.get("spec") or {}
    template = (spec.get("template") or {}).get("spec") or {}
    requirements = [item for item in template.get("requirements") or () if isinstance(item, Mapping)]
    limit = quantity((spec.get("limits") or {}).get(GPU_RESOURCE))
    taints = tuple(template.get("taints") or ())
    types = tuple(item for item in instance_types() if _admits(requirements, _labels_of(item)))
    if not any(item.get("key") in _NARROWING and item.get("operator") == "In" for item in requirements):
        if limit is None and not any(taint.get("key") == GPU_RESOURCE for taint in taints):
            return NodePoolTerms(name=name, instance_types=())
        raise NotUnderstoodError(
            f"NodePool {name}: tells no instance types; add a requirement {INSTANCE_TYPE} In […], or declare a "
            "GPUNodePool"
        )
    zones = _values(requirements, ZONE)
    if types and not zones:
        raise NotUnderstoodError(
            f"NodePool {name}: tells no zones; add a requirement {ZONE} In […], or declare a GPUNodePool"
        )
    regions = _values(requirements, REGION)
    terms = [CapacityType(each) for each in _values(requirements, CAPACITY_TYPE) if each in set(CapacityType)]
    return NodePoolTerms(
        name=name,
        instance_types=types,
        zones=zones,
        region=regions[0] if len(regions) == 1 else "",
        capacity_types=tuple(terms) or (CapacityType.ON_DEMAND,),  # Karpenter's own default
        gpu_limit=None if limit is None else int(limit),
        taints=taints,
    )


def _labels_of(item: InstanceType) -> dict[str, str]:
    """Labels by which NodePools choose among instance types, as Karpenter's providers put them on nodes."""
    family, _, size = item.name.partition(".")
    found = {INSTANCE_TYPE: item.name, _GPU_COUNT: str(item.config.count)}
    if size:
        found |= {_FAMILY: family, _GPU_NAME: item.config.kind.partition("-")[0].lower()}
    return found


def _admits(requirements: Iterable[Mapping[str, Any]], labels: Mapping[str, str]) -> bool:
    """Whether an instance type meets the requirements on what is known of it."""
    for item in requirements:
        key, values = item.get("key"), [str(value) for value in item.get("values") or ()]
        operator = item.get("operator")
        if key not in (*_NARROWING, _GPU_COUNT):
            continue
        if operator == "In" and labels.get(str(key)) not in values:
            return False
        if operator == "NotIn" and labels.get(str(key)) in values:
            return False
    return True


def _values(requirements: Iterable[Mapping[str, Any]], key: str) -> tuple[str, ...]:
    for item in requirements:
        if item.get("key") == key and item.get("operator") == "In":
            return tuple(sorted(str(value) for value in item.get("values") or ()))
    return ()
