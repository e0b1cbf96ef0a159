"""Every object that a plan means: engine Deployments, their Services and budgets, and the router."""

import itertools
from collections.abc import Iterable, Iterator, Mapping

from atoll.domain.demand import Demand, DemandKey
from atoll.domain.fleet import RouterPolicy
from atoll.domain.objects import DEPLOYMENT, ObjectLike, Reference, reference
from atoll.domain.plan import Plan, PlannedReplicas
from atoll.domain.reason import Fault, InvalidObjectError
from atoll.domain.snapshot import Snapshot
from atoll.domain.strategy import Phase
from atoll.reconcile.drain import is_draining
from atoll.reconcile.gateway import wanted_routes
from atoll.reconcile.routing import routed_demands
from atoll.reconcile.running import DeploymentId, is_lost, pods_by_deployment
from atoll.reconcile.sides import side_of
from atoll.reconcile.standing import as_it_runs
from atoll.reconcile.starting import expected_start_seconds, start_alone_seconds
from atoll.reconcile.wanted import Desired, WantedDeployment
from atoll.render import names
from atoll.render.claims import claim_template
from atoll.render.deployment import replica_deployments, single_stage_deployment
from atoll.render.disruptionbudget import disruption_budgets
from atoll.render.router.configuration import RouterConfiguration, router_config_map, router_configuration
from atoll.render.router.routing import RouterSettings
from atoll.render.router.workload import router_objects, router_references
from atoll.render.service import prefill_service, rendezvous_service, router_service
from atoll.render.standing import Standing


def desired_objects(
    snapshot: Snapshot, plan: Plan | None, router: RouterSettings
) -> tuple[Desired, Mapping[DemandKey, Fault]]:
    """The objects of a plan, and the demands that cannot be rendered.

    Demands that are gone or have another uid are left out; so are those with a fault, whose objects stay as they are.
    """
    deployments: dict[DeploymentId, WantedDeployment] = {}
    companions: dict[Reference, ObjectLike] = {}
    faults: dict[DemandKey, Fault] = {}
    decided: set[DemandKey] = set()
    for planned in plan.demands if plan else ():
        demand = snapshot.demands.get(planned.key)
        if demand is None or demand.uid != planned.uid:
            continue
        try:
            wanted, services = _of_demand(snapshot, demand, planned.replicas)
        except InvalidObjectError as invalid:
            faults[demand.key] = invalid.fault
            continue
        decided.add(demand.key)
        deployments.update(wanted)
        companions.update(services)
    models, policy = routed_demands(snapshot, plan), snapshot.fleet.router
    configuration = router_configuration(models, router, policy)
    routes = wanted_routes(snapshot, models)
    envoy, router_fault = _envoy(configuration, router, policy, _running_routers(snapshot, router))
    for intent in (*routes, *envoy):
        companions[reference(intent)] = intent
    return (
        Desired(
            deployments=deployments,
            companions=tuple(companions.values()),
            router_version=configuration.version,
            planned=frozenset(decided),
            routes=routes,
            router_fault=router_fault,
            idle=frozenset() if policy.target.uses_envoy else router_references(router),
        ),
        faults,
    )


def _running_routers(snapshot: Snapshot, router: RouterSettings) -> int | None:
    """Replicas that the router's live Deployment has; None where there is none."""
    ref = Reference(kind=DEPLOYMENT.name, namespace=router.namespace, name=router.name)
    live = snapshot.objects.get(ref)
    return int(live["spec"].get("replicas", 1)) if live is not None else None


def _envoy(
    configuration: RouterConfiguration, router: RouterSettings, policy: RouterPolicy, running: int | None
) -> tuple[tuple[ObjectLike, ...], Fault | None]:
    """The router's objects; without the ConfigMap where it would be too large, so that the last good one stays."""
    if not policy.target.uses_envoy:
        return (), None
    objects = router_objects(configuration, router, policy, running=running)
    try:
        return (*objects, router_config_map(configuration, router)), None
    except InvalidObjectError as invalid:
        return objects, invalid.fault


def _of_demand(
    snapshot: Snapshot, demand: Demand, replicas: Iterable[PlannedReplicas]
) -> tuple[dict[DeploymentId, WantedDeployment], dict[Reference, ObjectLike]]:
    wanted: dict[DeploymentId, WantedDeployment] = {}
    companions: dict[Reference, ObjectLike] = {}
    single = multi = 0
    for item in replicas:
        strategy = item.group.strategy
        service = (
            prefill_service(demand, strategy, item.group.site.zone)
            if strategy.phase is Phase.PREFILL
            else router_service(demand, strategy)
        )
        companions[reference(service)] = service
        if len(item.group.strategy.stages) == 1:
            single += item.group.count
            found = [_single(snapshot, demand, item)]
        else:
            multi += item.group.count
            found = list(_stages(snapshot, demand, item))
        for one in found:
            wanted[demand.key.namespace, one.intent["metadata"]["name"]] = one
            if device_class := snapshot.pools[one.offering.pool].device_class:
                claim = claim_template(demand, device_class, one.gpus)
                companions[reference(claim)] = claim
            if one.replica >= 0 and one.stage == 0:
                rendezvous = rendezvous_service(demand, one.intent)
                companions[reference(rendezvous)] = rendezvous
    for budget in disruption_budgets(demand, single_stage=single, multi_stage=multi):
        companions[reference(budget)] = budget
    return wanted, companions


def _single(snapshot: Snapshot, demand: Demand, item: PlannedReplicas) -> WantedDeployment:
    """The Deployment of all replicas of a one-stage strategy."""
    group = item.group

    def render(standing: Standing | None) -> ObjectLike:
        return single_stage_deployment(
            demand=demand,
            strategy=group.strategy,
            offering=group.site.offerings[0],
            pools=snapshot.pools,
            count=group.count,
            startup_seconds=expected_start_seconds(item, demand, snapshot.pools, snapshot.fleet),
            fleet=snapshot.fleet,
            standing=standing,
        )

    alone = start_alone_seconds(item, demand, snapshot.pools, snapshot.fleet)
    return WantedDeployment(
        intent=render(as_it_runs(snapshot, demand.key, group, render, start_seconds=alone)),
        demand=demand.key,
        offering=group.site.offerings[0],
        gpus=group.strategy.tp,
        count=group.count,
        rate=item.rate,
        side=side_of(group.strategy, group.site.zone),
    )


def _stages(snapshot: Snapshot, demand: Demand, item: PlannedReplicas) -> Iterator[WantedDeployment]:
    """The Deployments of all stages of all replicas of a multi-stage strategy."""
    group = item.group

    def render(standing: Standing | None, replica: int = 0) -> tuple[ObjectLike, ...]:
        return replica_deployments(
            demand=demand,
            strategy=group.strategy,
            site=group.site,
            replica=replica,
            pools=snapshot.pools,
            startup_seconds=expected_start_seconds(item, demand, snapshot.pools, snapshot.fleet),
            fleet=snapshot.fleet,
            standing=standing,
        )

    alone = start_alone_seconds(item, demand, snapshot.pools, snapshot.fleet)
    slowest_node = max(snapshot.pools[at.pool].startup_seconds for at in group.site.offerings)
    standing = as_it_runs(snapshot, demand.key, group, lambda how: render(how)[0], start_seconds=alone + slowest_node)
    template = render(standing)[0]["spec"]["selector"]["matchLabels"][names.TEMPLATE]
    for replica in _indices(snapshot, demand.key, template, group.count):
        for stage, intent in enumerate(render(standing, replica)):
            yield WantedDeployment(
                intent=intent,
                demand=demand.key,
                offering=group.site.offerings[stage],
                gpus=group.strategy.tp,
                count=1,
                rate=item.rate,
                replica=replica,
                stage=stage,
            )


def _indices(snapshot: Snapshot, demand: DemandKey, template: str, count: int) -> list[int]:
    """Indices for the replicas of a template: first those that serve, then those that start, then the lowest free.

    A replica with a stage on a node that is gone or going is never taken: another index is its replacement.
    """
    pods = pods_by_deployment(snapshot)
    healthy: dict[int, bool] = {}
    serving: set[int] = set()
    for item in snapshot.deployments:
        if item.demand != demand or item.replica < 0 or item.selector.get(names.TEMPLATE) != template:
            continue
        mine = pods.get((item.namespace, item.name), ())
        whole = not item.deleting and not any(is_lost(pod, snapshot) for pod in mine)
        healthy[item.replica] = healthy.get(item.replica, True) and whole
        if item.stage == 0 and any(pod.ready and not is_draining(pod) for pod in mine):
            serving.add(item.replica)
    running = [index for index, whole in healthy.items() if whole]
    taken = sorted(running, key=lambda index: (index not in serving, index))[:count]
    free = (index for index in itertools.count() if index not in healthy)
    return [*taken, *itertools.islice(free, count - len(taken))]
