"""Every object that a plan means: engine Deployments, their Services and budgets, and the router."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from atoll.domain.demand import Demand, DemandKey
from atoll.domain.objects import ObjectLike, Reference, reference
from atoll.domain.plan import Plan, PlannedReplicas
from atoll.domain.reason import Fault, InvalidObjectError
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.routing import routed_demands
from atoll.reconcile.running import DeploymentId, is_lost, pods_by_deployment
from atoll.reconcile.wanted import Desired, WantedDeployment
from atoll.render.deployment import replica_deployments, single_stage_deployment
from atoll.render.disruptionbudget import disruption_budgets
from atoll.render.router.configuration import RouterConfiguration, router_config_map, router_configuration
from atoll.render.router.routing import RouterSettings
from atoll.render.router.workload import router_objects
from atoll.render.service import rendezvous_service, router_service


def desired_objects(
    snapshot: Snapshot, plan: Plan | None, router: RouterSettings
) -> tuple[Desired, Mapping[DemandKey, Fault]]:
    """The objects of a plan, and the demands that cannot be rendered.

    Demands that are gone or have another uid are left out; so are those with a fault, whose objects stay as they are.
    """
    deployments: dict[DeploymentId, WantedDeployment] = {}
    companions: dict[Reference, ObjectLike] = {}
    faults: dict[DemandKey, Fault] = {}
    for planned in plan.demands if plan else ():
        demand = snapshot.demands.get(planned.key)
        if demand is None or demand.uid != planned.uid:
            continue
        try:
            wanted, services = _of_demand(snapshot, demand, planned.replicas)
        except InvalidObjectError as invalid:
            faults[demand.key] = invalid.fault
            continue
        deployments.update(wanted)
        companions.update(services)
    configuration = router_configuration(routed_demands(snapshot, plan), router)
    for intent in (*router_objects(configuration, router, snapshot.fleet.router), *_config_map(configuration, router)):
        companions[reference(intent)] = intent
    return (
        Desired(deployments=deployments, companions=tuple(companions.values()), router_version=configuration.version),
        faults,
    )


def _config_map(configuration: RouterConfiguration, router: RouterSettings) -> tuple[ObjectLike, ...]:
    """The router's ConfigMap; none where it would be too large, so that the last good one stays."""
    try:
        return (router_config_map(configuration, router),)
    except InvalidObjectError:
        return ()


def _of_demand(
    snapshot: Snapshot, demand: Demand, replicas: Iterable[PlannedReplicas]
) -> tuple[dict[DeploymentId, WantedDeployment], dict[Reference, ObjectLike]]:
    wanted: dict[DeploymentId, WantedDeployment] = {}
    companions: dict[Reference, ObjectLike] = {}
    indices = _Indices(snapshot, demand.key)
    single = multi = 0
    for item in replicas:
        group = item.group
        service = router_service(demand, group.strategy)
        companions[reference(service)] = service
        if len(group.strategy.stages) == 1:
            single += group.count
            intents = [
                (
                    -1,
                    0,
                    single_stage_deployment(
                        demand=demand,
                        strategy=group.strategy,
                        offering=group.site.offerings[0],
                        pools=snapshot.pools,
                        count=group.count,
                        startup_seconds=item.startup_seconds,
                        fleet=snapshot.fleet,
                    ),
                )
            ]
        else:
            multi += group.count
            intents = []
            for replica in indices.take(item):
                stages = replica_deployments(
                    demand=demand,
                    strategy=group.strategy,
                    site=group.site,
                    replica=replica,
                    pools=snapshot.pools,
                    startup_seconds=item.startup_seconds,
                    fleet=snapshot.fleet,
                )
                rendezvous = rendezvous_service(demand, stages[0])
                companions[reference(rendezvous)] = rendezvous
                intents.extend((replica, stage, intent) for stage, intent in enumerate(stages))
        for replica, stage, intent in intents:
            wanted[demand.key.namespace, intent["metadata"]["name"]] = WantedDeployment(
                intent=intent,
                demand=demand.key,
                offering=group.site.offerings[stage],
                gpus=group.strategy.tp,
                count=group.count if replica < 0 else 1,
                replica=replica,
            )
    for budget in disruption_budgets(demand, single_stage=single, multi_stage=multi):
        companions[reference(budget)] = budget
    return wanted, companions


class _Indices:
    """Which replica index each multi-stage replica of a demand has: running ones keep theirs."""

    def __init__(self, snapshot: Snapshot, demand: DemandKey) -> None:
        pods = pods_by_deployment(snapshot)
        self._by_kind: dict[tuple[object, ...], dict[int, bool]] = defaultdict(dict)
        self._used: set[int] = set()
        for item in snapshot.deployments:
            if item.demand != demand or item.replica < 0:
                continue
            self._used.add(item.replica)
            lost = any(is_lost(pod, snapshot) for pod in pods.get((item.namespace, item.name), ()))
            healthy = self._by_kind[item.strategy.id, item.offerings]
            healthy[item.replica] = healthy.get(item.replica, True) and not lost and not item.deleting

    def take(self, item: PlannedReplicas) -> list[int]:
        """Indices for a group's replicas: those that run there first, lost ones never, then the lowest free."""
        group = item.group
        running = self._by_kind.get((group.strategy.id, group.site.offerings), {})
        taken = sorted(index for index, healthy in running.items() if healthy)[: group.count]
        candidate = 0
        while len(taken) < group.count:
            if candidate not in self._used:
                self._used.add(candidate)
                taken.append(candidate)
            candidate += 1
        return taken
