"""Our HTTPRoutes as they are now, where any can be.

They are listed, not watched: a watch of a kind whose definition is not there, or goes, would end all others.
"""

from dataclasses import dataclass, replace

from atoll.cluster.client import Client
from atoll.cluster.errors import ForbiddenError, NotFoundError
from atoll.domain.objects import HTTP_ROUTE, MODEL_DEMAND, ObjectLike, Reference, reference
from atoll.domain.reason import Fault, Reason
from atoll.domain.snapshot import Snapshot
from atoll.handlers.kopfthread import MANAGED_BY_US
from atoll.handlers.slim import slim
from atoll.reconcile.ownership import demand_of, fleet_of

_MISSING = Fault(
    reason=Reason.GATEWAY_API_MISSING,
    message=f"{HTTP_ROUTE.plural} {HTTP_ROUTE.api_version} is not installed: install the Gateway API's "
    "custom resource definitions, or set spec.router.target of the Fleet to Envoy",
)


@dataclass(slots=True)
class Routes:
    """Lists them while Gateways carry requests, and afterwards until the last of our fleet's demands is gone.

    Attributes:
        client: to list with.
        left: some may be there; so after every start, since a former operator may have left them.
    """

    client: Client
    left: bool = True

    async def with_routes(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with our HTTPRoutes; where Gateways should carry requests, with why none can be read."""
        wanted = snapshot.fleet.router.target.uses_gateways
        if not wanted and not self.left:
            return snapshot
        try:
            listing = await self.client.list(HTTP_ROUTE, labels=MANAGED_BY_US, each=slim)
        except NotFoundError:
            return self._without(snapshot, _MISSING, wanted=wanted)
        except ForbiddenError as error:
            return self._without(snapshot, Fault(reason=Reason.FORBIDDEN, message=str(error)), wanted=wanted)
        self.left = wanted or any(_is_of_a_demand(route, snapshot) for route in listing.items)
        objects = {ref: obj for ref, obj in snapshot.objects.items() if ref.kind != HTTP_ROUTE.name}
        return replace(snapshot, objects={**objects, **{reference(route): route for route in listing.items}})

    def _without(self, snapshot: Snapshot, fault: Fault, *, wanted: bool) -> Snapshot:
        """Nothing can be listed, which is a fault only where routes are wanted."""
        self.left = wanted
        return replace(snapshot, gateway_fault=fault) if wanted else snapshot


def _is_of_a_demand(route: ObjectLike, snapshot: Snapshot) -> bool:
    """Whether a route is of a demand of our fleet that is there; those of others are not ours to take away."""
    metadata = route["metadata"]
    demand = demand_of(metadata.get("namespace", ""), metadata.get("labels") or {})
    if demand is None:
        return False
    raw = snapshot.objects.get(Reference(kind=MODEL_DEMAND.name, namespace=demand.namespace, name=demand.name))
    return raw is not None and fleet_of(raw) == snapshot.fleet.name
