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
from atoll.handlers.routes import Routes
from reconcile.worlds import NAMESPACE, NOW, ROUTER, demand_object, fleet_object

LABELS = {"app.kubernetes.io/managed-by": "atoll", "atoll.dev/demand": "chat"}
ROUTE = {
    "apiVersion": HTTP_ROUTE.api_version,
    "kind": "HTTPRoute",
    "metadata": {"name": "a", "namespace": NAMESPACE, "labels": LABELS},
}
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


def gatherer_of(client: FakeClient, router: Mapping[str, Any], *, fleet: str = "default") -> Gatherer:
    cache, demand = Cache(), demand_object()
    demand["spec"]["fleet"] = fleet
    for obj in (fleet_object(router=router), demand, GONE):  # what was written once stays in the cache
        cache.upsert(KINDS[obj["kind"]], obj)
    return Gatherer(
        cache=cache,
        fleet="default",
        router=ROUTER,
        http=httpx.AsyncClient(),
        routes=Routes(client),  # type: ignore[arg-type]
    )


async def gathered(client: FakeClient, router: Mapping[str, Any]) -> Snapshot:
    gatherer = gatherer_of(client, router)
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


@pytest.mark.parametrize("answer", [(), NotFoundError("404"), ForbiddenError("may not list httproutes")])
async def test_where_envoy_alone_carries_requests_they_are_asked_for_once(answer: Any) -> None:
    """A former operator may have left some."""
    client = FakeClient(answer)
    gatherer = gatherer_of(client, {})

    for _ in range(3):
        assert (await gatherer.with_routers(gatherer.snapshot(NOW))).gateway_fault is None
    assert len(client.asked) == 1


async def test_routes_that_are_left_are_seen_until_the_last_is_gone() -> None:
    client = FakeClient((ROUTE,))
    gatherer = gatherer_of(client, {})

    for _ in range(2):
        seen = await gatherer.with_routers(gatherer.snapshot(NOW))
        assert [ref.name for ref in seen.objects if ref.kind == "HTTPRoute"] == ["a"]
    client.answer = ()
    for _ in range(3):
        await gatherer.with_routers(gatherer.snapshot(NOW))
    assert len(client.asked) == 3


async def test_routes_of_another_fleet_are_not_waited_for() -> None:
    client = FakeClient((ROUTE,))
    gatherer = gatherer_of(client, {}, fleet="another")

    for _ in range(3):
        await gatherer.with_routers(gatherer.snapshot(NOW))
    assert len(client.asked) == 1


async def test_an_api_server_that_is_away_does_not_mean_that_none_is_left() -> None:
    client = FakeClient(UnavailableError("down"))
    gatherer = gatherer_of(client, {})
    with pytest.raises(UnavailableError):
        await gatherer.with_routers(gatherer.snapshot(NOW))
    client.answer = (ROUTE,)
    assert (await gatherer.with_routers(gatherer.snapshot(NOW))).objects
