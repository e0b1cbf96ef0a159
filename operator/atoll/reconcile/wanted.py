"""The objects that a plan means, as values."""

from collections.abc import Mapping
from dataclasses import dataclass

from atoll.domain.demand import DemandKey
from atoll.domain.objects import ObjectLike, Reference
from atoll.domain.pool import OfferingKey
from atoll.domain.reason import Fault
from atoll.reconcile.running import DeploymentId
from atoll.reconcile.sides import Side
from atoll.render import names


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedDeployment:
    """One engine Deployment that the plan wants.

    Attributes:
        intent: the whole object, with the wanted number of replicas.
        demand: whose it is.
        offering: where its pods go.
        gpus: of one pod.
        count: replicas wanted.
        rate: requests/s of one replica.
        side: which side of which pair it is on.
        replica: replica index of a multi-stage replica; -1 for a single-stage Deployment.
        stage: stage index.
    """

    intent: ObjectLike
    demand: DemandKey
    offering: OfferingKey
    gpus: int
    count: int
    rate: float
    side: Side = (None, "", "")
    replica: int = -1
    stage: int = 0

    @property
    def unit(self) -> tuple[str, ...]:
        """What must be created together: the stages of one replica, or a single-stage Deployment alone."""
        template = self.intent["spec"]["selector"]["matchLabels"][names.TEMPLATE]
        return (self.demand.namespace, self.demand.name, template, str(self.replica))


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """Every object that a plan means.

    Attributes:
        deployments: engine Deployments by namespace and name.
        companions: Services, disruption budgets and router objects: they cost nothing and are there from the start.
        router_version: configuration version that every router should have taken.
        routes: HTTPRoutes, which are companions too: Gateways acknowledge each.
        router_fault: why the router cannot be told of the present routes; None where it can.
        idle: objects of Atoll's own router that go, since Gateways carry all requests; empty where it carries some.
        planned: demands that the plan decided about, be it for no replicas.
    """

    deployments: Mapping[DeploymentId, WantedDeployment]
    companions: tuple[ObjectLike, ...]
    router_version: str
    planned: frozenset[DemandKey]
    routes: tuple[ObjectLike, ...] = ()
    router_fault: Fault | None = None
    idle: frozenset[Reference] = frozenset()
