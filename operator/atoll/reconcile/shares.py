"""Who pays for a node that several demands share."""

from collections import Counter
from collections.abc import Iterable, Mapping

from atoll.domain.demand import DemandKey
from atoll.domain.pool import OfferingKey
from atoll.domain.problem import ReplicaGroup
from atoll.domain.workload import Workload

_HOUR = 3600.0
_MILLION = 1e6
_MOST = 1e9
"""US$ per million tokens: beyond it next to nothing is served, and a status with it would be refused as a whole."""


def shared(
    groups: Iterable[ReplicaGroup], prices: Mapping[OfferingKey, float]
) -> dict[tuple[DemandKey, OfferingKey], float]:
    """Each demand's part of what an offering's nodes cost, US$/h: by the GPUs that it holds of the offering.

    GPUs that nobody holds on these nodes are paid for by the same shares.

    Args:
        groups: replicas that hold GPUs.
        prices: of all nodes in use of an offering together, US$/h.
    """
    used: Counter[OfferingKey] = Counter()
    by_demand: Counter[tuple[DemandKey, OfferingKey]] = Counter()
    for group in groups:
        for offering in group.site.offerings:
            gpus = group.strategy.tp * group.count
            used[offering] += gpus
            by_demand[group.demand, offering] += gpus
    return {
        (demand, offering): prices.get(offering, 0.0) * gpus / used[offering]
        for (demand, offering), gpus in by_demand.items()
    }


def per_million_tokens(cost_per_hour: float, served: float, workload: Workload) -> float | None:
    """US$ per million tokens of prompts and answers; None where none are served.

    Args:
        cost_per_hour: US$/h.
        served: requests/s.
        workload: their lengths.
    """
    return per_million_tokens_of(cost_per_hour, ((served, workload),))


def per_million_tokens_of(cost_per_hour: float, served: Iterable[tuple[float, Workload]]) -> float | None:
    """The same of several workloads together, each with its requests/s."""
    tokens = sum(rate * (workload.input.mean + workload.output.mean) for rate, workload in served) * _HOUR
    price = _MILLION * cost_per_hour / tokens if tokens > 0.0 else _MOST
    return price if price < _MOST else None
