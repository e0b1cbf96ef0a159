"""What is left to be decided where something stays: less demand, fewer nodes, and free GPUs on nodes that are paid for.

After a loss, the cheapest way to serve again that moves nothing which can stay is the best plan of this residual
problem, beside what stays. A greedy completion was up to 2 % dearer on ladder instance 12,5,0,3, and so worth less than
a plan that moves everything.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from atoll.domain.demand import DemandKey
from atoll.domain.pool import OfferingKey, Supply
from atoll.domain.problem import Allocation, DemandRow, NodeUse, Problem, ReplicaGroup
from atoll.optimize.placement import Placed
from atoll.optimize.tally import served_by

SHARE = 0.25
HASTY_SHARE = 0.7
HASTY_SECONDS = 1.0
"""Of the deadline, for the residual problem; of a short one more, up to so many seconds: a search of the whole fleet
comes to nothing in what is left of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """The problem beside what stays.

    Attributes:
        problem: of what is left.
        stays: replicas and nodes that stay.
        supply_of: the whole problem's supply, by the residual problem's; free GPUs of nodes that stay have none.
        free: of a supply, how many are free GPUs of nodes that stay: they are used first.
    """

    problem: Problem
    stays: Placed
    supply_of: Mapping[Supply, Supply]
    free: Mapping[Supply, int]

    def joined(self, rest: Allocation) -> Allocation:
        """An answer to the whole problem: what stays, and an answer to this one."""
        counts: Counter[ReplicaGroup] = Counter()
        for group in (*self.stays.replicas, *rest.replicas):
            counts[replace(group, count=0)] += group.count
        nodes: Counter[Supply] = Counter()
        for use in self.stays.nodes:
            nodes[use.supply] += use.nodes
        for use in rest.nodes:
            further = use.nodes - self.free.get(use.supply, 0)
            if use.supply in self.supply_of and further > 0:
                nodes[self.supply_of[use.supply]] += further
        return Allocation(
            replicas=tuple(replace(group, count=count) for group, count in counts.items()),
            nodes=tuple(NodeUse(supply=supply, nodes=count) for supply, count in nodes.items()),
            shortfall=rest.shortfall,
            cost_per_hour=sum(supply.price_per_hour * count for supply, count in nodes.items()),
            bound_per_hour=0.0,
        )


def residual(problem: Problem, stays: Placed) -> Residual:
    """What is left to be decided.

    Args:
        problem: the whole one.
        stays: replicas that keep their places, and their nodes.
    """
    used: Counter[Supply] = Counter()
    for use in stays.nodes:
        used[use.supply] += use.nodes
    parts = free_parts(stays.replicas, stays.nodes)
    supply_of, free = dict[Supply, Supply](), dict[Supply, int]()
    for each in problem.supplies:
        own_parts = parts.pop(replace(each, obtainable=0), 0)
        left = replace(each, obtainable=each.obtainable - used[each] + own_parts)
        supply_of[left], free[left] = each, own_parts
    regions = {supply.offering: supply.region for supply in problem.supplies}
    own: dict[DemandKey, list[ReplicaGroup]] = defaultdict(list)
    gpus: Counter[str] = Counter()
    for group in stays.replicas:
        own[group.demand].append(group)
        gpus[group.demand.namespace] += group.count * group.strategy.gpus
    price = sum(use.nodes * use.supply.price_per_hour for use in stays.nodes)
    policy = replace(
        problem.policy,
        deadline_seconds=_seconds(problem.policy.deadline_seconds),
        budget_per_hour=max(0.0, problem.policy.budget_per_hour - price),
        quotas=tuple(replace(each, gpus=max(0, each.gpus - gpus[each.namespace])) for each in problem.policy.quotas),
    )
    return Residual(
        problem=replace(
            problem,
            demands=tuple(_lacking(row, own[row.key], regions) for row in problem.demands),
            supplies=(*supply_of, *(replace(part, obtainable=count) for part, count in parts.items())),
            running=(),
            former=(),
            policy=policy,
        ),
        stays=stays,
        supply_of=supply_of,
        free=free,
    )


def _seconds(deadline: float) -> float:
    return max(SHARE * deadline, min(HASTY_SHARE * deadline, HASTY_SECONDS))


def free_parts(replicas: Iterable[ReplicaGroup], nodes: Iterable[NodeUse]) -> Counter[Supply]:
    """Free GPUs of nodes in use, as supplies that cost nothing, none obtainable; their number is the count."""
    free: dict[OfferingKey, list[tuple[int, Supply]]] = defaultdict(list)
    for use in nodes:
        free[use.supply.offering] += [(use.supply.gpus, use.supply)] * use.nodes
    widths: dict[OfferingKey, list[int]] = defaultdict(list)
    for group in replicas:
        for offering in group.site.offerings:
            widths[offering] += [group.strategy.tp] * group.count
    for offering, own in widths.items():
        for width in sorted(own, reverse=True):
            places = [place for place, (gpus, _) in enumerate(free[offering]) if gpus >= width]
            fullest = min(places, key=lambda place: free[offering][place][0])
            gpus, supply = free[offering][fullest]
            free[offering][fullest] = (gpus - width, supply)
    return Counter(
        replace(supply, gpus=gpus, price_per_hour=0.0, obtainable=0)
        for each in free.values()
        for gpus, supply in each
        if gpus
    )


def _lacking(row: DemandRow, own: Sequence[ReplicaGroup], regions: Mapping[OfferingKey, str]) -> DemandRow:
    """A demand less what its replicas serve, and its least number of replicas less what there are."""
    left = max(0.0, row.rate - served_by(row, own, regions))
    count = sum(group.count for group in own)
    placement = replace(row.placement, min_replicas=max(0, row.placement.min_replicas - count))
    return replace(row, rate=left, placement=placement)
