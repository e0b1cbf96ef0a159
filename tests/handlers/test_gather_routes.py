"""HTTPRoutes as the Gatherer sees them, where they can be seen at all."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from atoll.cluster.client import Listing
from atoll.cluster.errors import ForbiddenError, NotFoundError, UnavailableError
from atoll.domain.objects import HTTP_ROUTE, KINDS, Kind, ObjectLike, Reference
from atoll.domain.reason import Reason
from atoll.domain.snapshot import Snapshot
from atoll.handlers.cache import Cache
from atoll.handlers.gather import Gatherer
from reconcile.worlds import NAMESPACE, NOW, ROUTER, fleet_object

ROUTE = {"apiVersion": HTTP_ROUTE.api_version, "kind": "HTTPRoute", "metadata": {"name": "a", "namespace": NAMESPACE}}
GONE = {**ROUTE, "metadata": {"name": "gone", "namespace": NAMESPACE, "resourceVersion": "1"}}


class FakeClient:
    """Lists these routes, or raises."""

    def __init__(self, answer: Exception | tuple[ObjectLike, ...]) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    async def list(self, kind: Kind, *, labels: str = "", **_: Any) -> Listing:
        self.asked.append((kind.name, labels))
        if isinstance(self.answer, Exception):
            raise self.answer
        return Listing(items=self.answer, resource_version="9")


async def gathered(client: FakeClient, router: Mapping[str, Any]) -> Snapshot:
    cache = Cache()
    for obj in (fleet_object(router=router), GONE):  # what was written once stays in the cache
        cache.upsert(KINDS[obj["kind"]], obj)
    gatherer = Gatherer(
        cache=cache,
        fleet="default",
        router=ROUTER,
        http=httpx.AsyncClient(),
        client=client,  # type: ignore[arg-type]
    )
    return await gatherer.with_routers(gatherer.snapshot(NOW))


GATEWAYS = {"target": "GatewayAPI", "gateway": {"parents": [{"name": "public", "namespace": "gateways"}]}}


async def test_routes_are_those_of_the_cluster_now() -> None:
    client = FakeClient((ROUTE,))
    snapshot = await gathered(client, GATEWAYS)

    routes = [ref for ref in snapshot.objects if ref.kind == "HTTPRoute"]
    assert routes == [Reference(kind="HTTPRoute", namespace=NAMESPACE, name="a")]
    assert client.asked == [("HTTPRoute", "app.kubernetes.io/managed-by=atoll")]
    assert snapshot.gateway_fault is None


@pytest.mark.parametrize(
    ("error", "reason", "says"),
    [
        (NotFoundError("404"), Reason.GATEWAY_API_MISSING, "install the Gateway API"),
        (ForbiddenError("may not list httproutes"), Reason.FORBIDDEN, "may not list httproutes"),
    ],
)
async def test_where_routes_cannot_be_had_the_reason_is_told(error: Exception, reason: Reason, says: str) -> None:
    fault = (await gathered(FakeClient(error), GATEWAYS)).gateway_fault

    assert fault is not None
    assert fault.reason is reason
    assert says in fault.message


async def test_an_api_server_that_is_away_is_no_missing_definition() -> None:
    with pytest.raises(UnavailableError):
        await gathered(FakeClient(UnavailableError("down")), GATEWAYS)


async def test_routes_are_not_asked_for_where_envoy_alone_carries_requests() -> None:
    client = FakeClient(NotFoundError("404"))

    assert (await gathered(client, {})).gateway_fault is None
    assert client.asked == []
