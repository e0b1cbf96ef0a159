"""Why a demand is not served in full, as far as an allocation tells."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from atoll.domain.demand import DemandKey, Placement
from atoll.domain.pool import Supply
from atoll.domain.problem import Allocation, DemandRow, Problem
from atoll.domain.reason import Reason
from atoll.report.numbers import counted

_NAMED = 3


def shortfall_reasons(problem: Problem, allocation: Allocation) -> dict[DemandKey, str]:
    """A sentence for each demand that falls short.

    Args:
        problem: as it was solved.
        allocation: the answer to it.
    """
    used: Counter[Supply] = Counter()
    for use in allocation.nodes:
        used[use.supply] += use.nodes
    short = [row for row in problem.demands if allocation.shortfall.get(row.key, 0.0) > 0.0]
    return {row.key: _reason(row, problem.supplies, used, allocation) for row in short}


def _reason(row: DemandRow, supplies: Iterable[Supply], used: Mapping[Supply, int], allocation: Allocation) -> str:
    if Reason.QUOTA_REACHED in allocation.unmet.get(row.key, ()):
        return f"the GPU quota of namespace {row.key.namespace} is reached: raise it in the Fleet's spec.quotas"
    kinds = {kind for template in row.templates if template.rate > 0.0 for kind in template.strategy.need}
    fitting = [supply for supply in supplies if supply.gpu_kind in kinds and _allowed(row.placement, supply)]
    names = ", ".join(sorted({supply.gpu_kind for supply in fitting})) or "none"
    obtainable = sum(supply.obtainable for supply in fitting)
    if not obtainable:
        return f"no node can be had of any GPU kind that it may and can use ({names}): raise maxNodes, or add a pool"
    left = {supply: supply.obtainable - used.get(supply, 0) for supply in fitting}
    if not any(count > 0 for count in left.values()):
        return (
            f"{_all(obtainable)} that can be had of the GPU kinds that it may and can use ({names}) "
            f"{'is' if obtainable == 1 else 'are'} in use by {_users(fitting, allocation)}: "
            "raise maxNodes, or add a pool"
        )
    if _holds_one(row, left):
        return (
            "nodes are left that would serve more, and the search did not get there in time: give it a longer deadline"
        )
    kinds_left: Counter[str] = Counter()
    for supply, count in left.items():
        kinds_left[supply.gpu_kind] += count
    idle = ", ".join(f"{counted(count, 'node')} of {kind}" for kind, count in sorted(kinds_left.items()) if count)
    return f"what is left ({idle}) holds no further replica within one zone and capacity type: raise maxNodes there"


def _all(nodes: int) -> str:
    return "the one node" if nodes == 1 else f"all {nodes:,} nodes"


def _users(supplies: Iterable[Supply], allocation: Allocation) -> str:
    """The demands on these offerings, most GPUs first."""
    offerings = {supply.offering for supply in supplies}
    gpus: Counter[DemandKey] = Counter()
    for group in allocation.replicas:
        for offering in group.site.offerings:
            if offering in offerings:
                gpus[group.demand] += group.strategy.tp * group.count
    names = [str(key).removeprefix("default/") for key, _ in gpus.most_common()]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _holds_one(row: DemandRow, left: Mapping[Supply, int]) -> bool:
    """Whether the nodes left hold one replica of some template, all in one zone and of one capacity type."""
    places: dict[tuple[str, ...], list[tuple[Supply, int]]] = defaultdict(list)
    for supply, count in left.items():
        places[supply.region, supply.zone, supply.capacity_type].append((supply, count))
    return any(
        all(
            sum(count * (supply.gpus // template.strategy.tp) for supply, count in place if supply.gpu_kind == kind)
            >= pods
            for kind, pods in template.strategy.need.items()
        )
        for template in row.templates
        if template.rate > 0.0
        for place in places.values()
    )


def _allowed(placement: Placement, supply: Supply) -> bool:
    return (
        (not placement.regions or supply.region in placement.regions)
        and (not placement.gpu_kinds or supply.gpu_kind in placement.gpu_kinds)
        and (not placement.capacity_types or supply.capacity_type in placement.capacity_types)
    )
