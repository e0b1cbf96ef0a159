"""How much is served now: replicas wanted and Ready, and the rate that they carry, by demand."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from atoll.domain.demand import QUEUE_LABEL, DemandKey
from atoll.domain.plan import Plan
from atoll.domain.snapshot import ObservedDeployment, ObservedPod, Snapshot
from atoll.reconcile.drain import is_draining
from atoll.reconcile.running import is_lost, pods_by_deployment, replica_id, whole_replicas
from atoll.reconcile.sides import Side, carried, side_of
from atoll.reconcile.wanted import Desired

KUEUE_GATE = "kueue.x-k8s.io/admission"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Replicas and rates by demand.

    Attributes:
        wanted_replicas: of the current plan.
        ready_replicas: that requests can reach, of any plan.
        ready_by_strategy: the same by demand and strategy id.
        served_rate: requests/s that those replicas carry within the objectives.
        waiting: why pods of a demand wait, such as ``Unschedulable`` or ``ImagePullBackOff``; empty for none.
        gated: the scheduling gate that holds pods of a demand back; empty for none.
        leaving_replicas: replicas that no plan wants any more.
    """

    wanted_replicas: Counter[DemandKey]
    ready_replicas: Counter[DemandKey]
    ready_by_strategy: Counter[tuple[DemandKey, str]]
    served_rate: Mapping[DemandKey, float]
    waiting: Mapping[DemandKey, str]
    gated: Mapping[DemandKey, str]
    leaving_replicas: int


def gate_text(pod: ObservedPod) -> str:
    """What holds a gated pod back, in a few words."""
    if KUEUE_GATE in pod.gates:
        return f"Kueue has not admitted a pod: it waits for quota in LocalQueue {pod.labels.get(QUEUE_LABEL, '')!r}"
    return f"scheduling gate {pod.gates[0]} holds a pod back"


def rates(snapshot: Snapshot) -> dict[tuple[DemandKey, str], float]:
    """Requests/s of one replica by demand and strategy id, from the newest plan that has it."""
    found: dict[tuple[DemandKey, str], float] = {}
    for plan in snapshot.plans:
        for demand in plan.demands:
            for item in demand.replicas:
                found[demand.key, item.group.strategy.id] = item.rate
    return found


def routable_replicas(snapshot: Snapshot) -> Counter[tuple[DemandKey, str]]:
    """Replicas that requests reach and will go on reaching, by demand and strategy id."""
    found: Counter[tuple[DemandKey, str]] = Counter()
    for item, count in _reachable(snapshot):
        found[item.demand, item.strategy.id] += count
    return found


def _reachable(snapshot: Snapshot) -> Iterator[tuple[ObservedDeployment, int]]:
    """Deployments of first stages, with the replicas of theirs that requests reach."""
    pods = pods_by_deployment(snapshot)
    whole = whole_replicas(snapshot, pods)
    for item in snapshot.deployments:
        if item.stage == 0 and (item.replica < 0 or replica_id(item) in whole):
            yield (
                item,
                sum(
                    pod.ready and not is_lost(pod, snapshot) and not is_draining(pod)
                    for pod in pods.get((item.namespace, item.name), ())
                ),
            )


def service_of(snapshot: Snapshot, plan: Plan | None, desired: Desired) -> Service:
    """What is served at the moment of a snapshot."""
    rate = rates(snapshot)
    pods = pods_by_deployment(snapshot)
    wanted: Counter[DemandKey] = Counter()
    for group in plan.groups if plan else ():
        wanted[group.demand] += group.count
    ready: Counter[DemandKey] = Counter()
    by_strategy: Counter[tuple[DemandKey, str]] = Counter()
    sides: dict[DemandKey, dict[Side, float]] = defaultdict(lambda: defaultdict(float))
    for item, count in _reachable(snapshot):
        ready[item.demand] += count
        by_strategy[item.demand, item.strategy.id] += count
        served = count * rate.get((item.demand, item.strategy.id), 0.0)
        sides[item.demand][side_of(item.strategy, item.offering.zone)] += served
    waiting: dict[DemandKey, str] = defaultdict(str)
    gated: dict[DemandKey, str] = defaultdict(str)
    leaving = 0
    for item in snapshot.deployments:
        mine = pods.get((item.namespace, item.name), ())
        for pod in mine:
            if pod.gates:
                gated[item.demand] = gate_text(pod)
            elif pod.waiting or not pod.node:
                waiting[item.demand] = waiting[item.demand] or pod.waiting or "a pod waits for a node"
        if item.stage or item.demand not in desired.planned:
            continue  # what serves a demand that the plan did not decide about stays
        keep = desired.deployments.get((item.namespace, item.name))
        leaving += max(0, item.replicas - (keep.count if keep else 0))
    return Service(
        wanted_replicas=wanted,
        ready_replicas=ready,
        ready_by_strategy=by_strategy,
        served_rate=defaultdict(float, {key: carried(rates_of) for key, rates_of in sides.items()}),
        waiting=waiting,
        gated=gated,
        leaving_replicas=leaving,
    )
