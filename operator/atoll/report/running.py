"""What runs now as one side of a comparison: replicas that serve or start, on the nodes that their pods are on."""

from collections import Counter, defaultdict
from datetime import datetime

from atoll.domain.demand import DemandKey
from atoll.domain.gpu import CapacityType
from atoll.domain.plan import PlannedDemand, PlannedNodes, PlannedReplicas
from atoll.domain.pool import OfferingKey, Provisioning
from atoll.domain.problem import ReplicaGroup
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.ownership import is_engine
from atoll.reconcile.running import running
from atoll.reconcile.service import rates
from atoll.reconcile.shares import shared
from atoll.report.comparison import Side


def running_side(snapshot: Snapshot, now: datetime) -> Side:
    """What runs, with the price of the nodes that engine pods are on.

    A replica carries what the newest plan that has its strategy says; one that starts counts too, as in every decision.
    """
    rate, nodes = rates(snapshot), _nodes(snapshot)
    groups: dict[DemandKey, list[ReplicaGroup]] = defaultdict(list)
    for group in running(snapshot, now):
        groups[group.demand].append(group)
    prices = {item.offering: item.nodes * item.price_per_hour for item in nodes}
    costs: dict[DemandKey, float] = defaultdict(float)
    for (holder, _), cost in shared([group for own in groups.values() for group in own], prices).items():
        costs[holder] += cost
    demands = []
    for key, demand in snapshot.demands.items():
        replicas = tuple(_replicas(group, rate.get((key, group.strategy.id), 0.0)) for group in groups[key])
        served = sum(item.group.count * item.rate for item in replicas)
        demands.append(
            PlannedDemand(
                key=key,
                uid=demand.uid,
                rate=demand.rate,
                shortfall=max(0.0, demand.rate - served),
                cost_per_hour=costs[key],
                replicas=replicas,
            )
        )
    return Side(
        title="that runs",
        demands=tuple(demands),
        nodes=nodes,
        cost_per_hour=sum(prices.values()),
        list_cost_per_hour=sum(item.nodes * (item.price_per_hour + item.paid_per_hour) for item in nodes),
    )


def _nodes(snapshot: Snapshot) -> tuple[PlannedNodes, ...]:
    """Nodes with engine pods on them, by offering."""
    names = {pod.node for pod in snapshot.pods if is_engine(pod.labels) and pod.node and not pod.finished}
    seen = (snapshot.nodes[name] for name in names if name in snapshot.nodes)
    used: Counter[OfferingKey] = Counter(node.offering for node in seen if node.offering is not None)
    found = []
    for key, count in sorted(used.items()):
        pool = snapshot.pools[key.pool]
        price = next(item.price_per_hour for item in pool.offerings if item.key == key)
        paid = pool.provisioning is Provisioning.FIXED or key.capacity_type is CapacityType.RESERVED
        found.append(
            PlannedNodes(
                offering=key,
                nodes=count,
                price_per_hour=0.0 if paid else price,
                paid_per_hour=price if paid else 0.0,
            )
        )
    return tuple(found)


def _replicas(group: ReplicaGroup, rate: float) -> PlannedReplicas:
    return PlannedReplicas(
        group=group,
        rate=rate,
        ttft_seconds=0.0,
        tpot_seconds=0.0,
        source="",
        expected_error=0.0,
        startup_seconds=0.0,
    )
