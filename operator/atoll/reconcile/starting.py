"""How long the replicas of a plan take to start: where they are, and beside what else starts with them."""

from collections import Counter
from collections.abc import Iterable, Mapping

from atoll.domain.demand import Demand, DemandKey
from atoll.domain.fleet import Fleet
from atoll.domain.plan import PlannedReplicas
from atoll.domain.pool import NodePool, OfferingKey, Supply
from atoll.domain.problem import Problem, ReplicaGroup, ReplicaSite
from atoll.domain.startup import StartPhases, WeightsSource
from atoll.domain.strategy import Strategy, Template
from atoll.render.standing import START_FACTOR

_CROWD_FACTOR = 1.25
"""A start beside as many as there can be is that much slower at most: nearly all that could delay it is counted."""

_Identity = tuple[DemandKey, Strategy, ReplicaSite]


class Starting:
    """What starts while a plan is moved to, and so loads weights at one time.

    Args:
        replicas: of the plan.
        problem: what it is the answer to: what runs, and on what nodes.
        fleet: how replicas start, and how many at one time.
    """

    def __init__(self, replicas: Iterable[ReplicaGroup], problem: Problem, fleet: Fleet) -> None:
        self._policy = fleet.start
        self._nodes: dict[OfferingKey, Supply] = {}
        for supply in problem.supplies:  # of nodes that others share the whole ones count
            known = self._nodes.get(supply.offering)
            self._nodes[supply.offering] = supply if known is None or supply.gpus > known.gpus else known
        new: Counter[_Identity] = Counter()
        for group in replicas:
            new[_identity(group)] += group.count
        for group in problem.running:
            new[_identity(group)] -= group.count
        self._new = +new
        self._loads = max(1, _pods(self._new, fleet.max_moves))

    def phases(self, group: ReplicaGroup, template: Template, demand: Demand) -> StartPhases | None:
        """The start of a group where it is; None where the template knows no phases."""
        known = [self._nodes[at] for at in group.site.offerings if at in self._nodes]
        if template.phases is None or not known:
            return template.phases
        source = WeightsSource.of(demand.weights)
        rates = [
            self._policy.loading_rate(
                source, supply.bandwidth, loads=self._loads, beside=self._beside(group, supply.gpus)
            )
            for supply in known
        ]
        return self._policy.phases(template.phases.weights_bytes, min(rates))

    def _beside(self, group: ReplicaGroup, gpus: int) -> int:
        """Pods of a group that load on one node of so many GPUs, at least 1."""
        return max(1, min(gpus // group.strategy.tp, self._new[_identity(group)], self._loads))


def expected_start_seconds(item: PlannedReplicas, demand: Demand, pools: Mapping[str, NodePool], fleet: Fleet) -> float:
    """What a start is rendered for, seconds; without the node's.

    It follows from the replicas themselves and not from what else a plan starts: it is part of the pod template, which
    must not change once the others run. Beside as many starts as the fleet's pace allows the budget must be enough.
    """
    alone = start_alone_seconds(item, demand, pools, fleet)
    sites = _sites(item, pools)
    if item.phases is None or not sites:
        return alone
    source, strategy = WeightsSource.of(demand.weights), item.group.strategy
    crowded = min(_crowded(fleet, source, pool, strategy) for pool in sites)
    slowest = fleet.start.phases(item.phases.weights_bytes, crowded).seconds
    return max(alone, _CROWD_FACTOR * slowest / START_FACTOR)


def start_alone_seconds(item: PlannedReplicas, demand: Demand, pools: Mapping[str, NodePool], fleet: Fleet) -> float:
    """A start with nothing beside it, seconds; without the node's."""
    sites = _sites(item, pools)
    if item.phases is None or not sites:
        return item.startup_seconds
    source, stages = WeightsSource.of(demand.weights), len(item.group.strategy.stages)
    alone = min(fleet.start.loading_rate(source, pool.bandwidth, loads=stages) for pool in sites)
    return fleet.start.phases(item.phases.weights_bytes, alone).seconds


def _sites(item: PlannedReplicas, pools: Mapping[str, NodePool]) -> list[NodePool]:
    return [pools[at.pool] for at in item.group.site.offerings if at.pool in pools]


def _crowded(fleet: Fleet, source: WeightsSource, pool: NodePool, strategy: Strategy) -> float:
    beside = max(1, min(pool.config.count // strategy.tp, fleet.max_moves))
    loads = fleet.max_moves * len(strategy.stages)
    return fleet.start.loading_rate(source, pool.bandwidth, loads=loads, beside=beside)


def _pods(new: Counter[_Identity], most: int) -> int:
    """Pods of so many replicas that start at one time: each stage loads the weights, so those of most stages count."""
    pods, left = 0, most
    for stages, count in sorted(
        ((len(strategy.stages), count) for (_, strategy, _), count in new.items()), reverse=True
    ):
        pods += stages * min(count, left)
        left -= min(count, left)
    return pods


def _identity(group: ReplicaGroup) -> _Identity:
    return group.demand, group.strategy, group.site
