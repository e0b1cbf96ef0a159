"""Whose an object is: by its labels, and by the Fleet that it names."""

from collections.abc import Mapping

from atoll.domain.demand import DemandKey
from atoll.domain.objects import ObjectLike
from atoll.render import names


def is_ours(labels: Mapping[str, str]) -> bool:
    """Whether Atoll manages the object: only such objects are ever changed or deleted."""
    return labels.get(names.MANAGED_BY) == names.FIELD_MANAGER


def is_engine(labels: Mapping[str, str]) -> bool:
    """Whether the object is part of a demand's engines (and not of the router)."""
    return is_ours(labels) and names.DEMAND in labels and names.STRATEGY in labels


def demand_of(namespace: str, labels: Mapping[str, str]) -> DemandKey | None:
    """The demand that an object belongs to; None for objects of no demand."""
    name = labels.get(names.DEMAND)
    return DemandKey(namespace=namespace, name=name) if name and is_ours(labels) else None


def fleet_of(raw: ObjectLike) -> str:
    """Name of the Fleet that a ModelDemand or GPUNodePool belongs to, valid or not."""
    spec = raw.get("spec")
    return str(spec.get("fleet", "default")) if isinstance(spec, Mapping) else "default"
