"""What nodes can be had: pools and nodes, less what others hold and what is masked."""

from collections import Counter, defaultdict
from datetime import datetime

from atoll.domain.gpu import CapacityType
from atoll.domain.pool import NodePool, Offering, OfferingKey, Provisioning, Supply
from atoll.domain.snapshot import ObservedNode, Snapshot
from atoll.reconcile.ownership import demand_of, is_engine


def supplies(snapshot: Snapshot, now: datetime) -> tuple[Supply, ...]:
    """All supplies of the fleet's pools, in a stable order.

    GPUs that pods of others hold are not obtainable: a node they share is a supply of its own with fewer free GPUs.
    It costs nothing more to use, because its other pods keep it. Owned nodes and reserved capacity are paid for anyway,
    so using them costs nothing more either. A masked offering gives only the nodes that are there.
    """
    held = _held_by_others(snapshot)
    nodes: dict[OfferingKey, list[ObservedNode]] = defaultdict(list)
    for node in snapshot.nodes.values():
        if node.offering is not None and node.ready and not node.notice:
            nodes[node.offering].append(node)
    found: list[Supply] = []
    for name in sorted(snapshot.pools):
        pool = snapshot.pools[name]
        for offering in sorted(pool.offerings, key=lambda item: item.key):
            mask = snapshot.masks.get(offering.key)
            masked = mask is not None and now < mask.until
            found.extend(_of_offering(pool, offering, nodes.get(offering.key, []), held, masked=masked))
    return tuple(found)


def _of_offering(
    pool: NodePool, offering: Offering, nodes: list[ObservedNode], held: Counter[str], *, masked: bool
) -> list[Supply]:
    fixed = pool.provisioning is Provisioning.FIXED
    most = offering.max_nodes
    if offering.quoted_nodes is not None:  # what is there can be had, whatever a feed says
        most = min(most, max(offering.quoted_nodes, len(nodes)))
    shared = [node for node in nodes if held[node.name]]
    whole = min(len(nodes) - len(shared), most) if fixed or masked else max(0, most - len(shared))
    free: Counter[int] = Counter(max(0, node.gpus - held[node.name]) for node in shared)

    is_paid = fixed or offering.key.capacity_type is CapacityType.RESERVED
    paid = offering.price_per_hour if is_paid else 0.0

    def supply(gpus: int, price: float, obtainable: int) -> Supply:
        return Supply(
            offering=offering.key,
            gpu_kind=pool.config.kind,
            gpus=gpus,
            price_per_hour=price,
            obtainable=obtainable,
            region=pool.region,
            startup_seconds=pool.startup_seconds,
            paid_per_hour=paid * gpus / pool.config.count,
            bandwidth=pool.bandwidth,
        )

    rows = [supply(pool.config.count, 0.0 if is_paid else offering.price_per_hour, whole)]
    rows.extend(supply(gpus, 0.0, count) for gpus, count in sorted(free.items(), reverse=True) if gpus)
    return rows


def _held_by_others(snapshot: Snapshot) -> Counter[str]:
    """GPUs by node name that are not to be given away: those of others' pods, and of demands that are not planned.

    A demand whose object became invalid keeps what serves it, so its GPUs are held too.
    """
    held = Counter({node.name: node.claimed for node in snapshot.nodes.values() if node.claimed})
    for pod in snapshot.pods:
        demand = demand_of(pod.namespace, pod.labels) if is_engine(pod.labels) else None
        node = pod.node or (
            pod.nominated if demand is None else ""
        )  # others are preempted for it, so it is as good as there
        if node and pod.gpus and not pod.finished and (demand is None or demand not in snapshot.demands):
            held[node] += pod.gpus
    return held
