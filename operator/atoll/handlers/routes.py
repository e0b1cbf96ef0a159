"""Our HTTPRoutes as they are now, where any can be.

They are listed, not watched: a watch of a kind whose definition is not there, or goes, would end all others.
"""

from dataclasses import dataclass, replace

from atoll.cluster.client import Client
from atoll.cluster.errors import ForbiddenError, NotFoundError
from atoll.domain.objects import HTTP_ROUTE, reference
from atoll.domain.reason import Fault, Reason
from atoll.domain.snapshot import Snapshot
from atoll.handlers.kopfthread import MANAGED_BY_US
from atoll.handlers.slim import slim

_MISSING = Fault(
    reason=Reason.GATEWAY_API_MISSING,
    message=f"{HTTP_ROUTE.plural} {HTTP_ROUTE.api_version} is not installed: install the Gateway API's "
    "custom resource definitions, or set spec.router.target of the Fleet to Envoy",
)


@dataclass(slots=True)
class Routes:
    """Lists them while Gateways carry requests, and afterwards until the last is gone.

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
        self.left = wanted or bool(listing.items)
        objects = {ref: obj for ref, obj in snapshot.objects.items() if ref.kind != HTTP_ROUTE.name}
        return replace(snapshot, objects={**objects, **{reference(route): route for route in listing.items}})

    def _without(self, snapshot: Snapshot, fault: Fault, *, wanted: bool) -> Snapshot:
        """Nothing can be listed, which is a fault only where routes are wanted."""
        self.left = wanted
        return replace(snapshot, gateway_fault=fault) if wanted else snapshot
