"""Front door: custom resources to domain values; each raises InvalidObjectError, and nothing else."""

from atoll.api.demands import parse_model_demand
from atoll.api.fleetplan_io import parse_fleet_plan
from atoll.api.fleets import parse_fleet
from atoll.api.pools import parse_gpu_node_pool
from atoll.api.profiles import parse_performance_profile

__all__ = [
    "parse_fleet",
    "parse_fleet_plan",
    "parse_gpu_node_pool",
    "parse_model_demand",
    "parse_performance_profile",
]
