"""The kinds of the API in one table."""

from dataclasses import dataclass

from atoll.api.v1alpha1.base import Schema
from atoll.api.v1alpha1.fleet import Fleet
from atoll.api.v1alpha1.fleetplan import FleetPlan
from atoll.api.v1alpha1.gpunodepool import GPUNodePool
from atoll.api.v1alpha1.modeldemand import ModelDemand
from atoll.api.v1alpha1.performanceprofile import PerformanceProfile
from atoll.domain import objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind: its REST name, its short name for kubectl and its struct."""

    kind: objects.Kind
    short_name: str
    struct: type[Schema]


RESOURCES = (
    Resource(kind=objects.MODEL_DEMAND, short_name="md", struct=ModelDemand),
    Resource(kind=objects.GPU_NODE_POOL, short_name="gnp", struct=GPUNodePool),
    Resource(kind=objects.PERFORMANCE_PROFILE, short_name="perf", struct=PerformanceProfile),
    # `fleet` is the singular, which kubectl takes already.
    Resource(kind=objects.FLEET, short_name="fleet", struct=Fleet),
    Resource(kind=objects.FLEET_PLAN, short_name="plan", struct=FleetPlan),
)
