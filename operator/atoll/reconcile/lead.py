"""How long it takes from a decision to a replica that serves."""

from collections.abc import Mapping

from atoll.domain.demand import DemandKey
from atoll.domain.plan import Plan
from atoll.domain.pool import NodePool

DEFAULT_LEAD_SECONDS = 966.0
"""Node, image, weights and engine, as once measured (scenario R22), where no plan says how a demand runs."""


def lead_seconds(key: DemandKey, plan: Plan | None, pools: Mapping[str, NodePool]) -> float:
    """Seconds from a decision to a replica that serves, as slow as the plan in force has them for a demand."""
    times = [
        item.startup_seconds
        + max((pools[at.pool].startup_seconds for at in item.group.site.offerings if at.pool in pools), default=0.0)
        for demand in (plan.demands if plan else ())
        if demand.key == key
        for item in demand.replicas
    ]
    return max(times, default=DEFAULT_LEAD_SECONDS)
