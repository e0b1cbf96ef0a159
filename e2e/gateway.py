"""A stand-in controller of Gateways: it says of every HTTPRoute what a real one would, as of the route's generation."""

from collections.abc import Iterator
from contextlib import contextmanager

import yaml
from e2e.world import Object, World

from atoll.local.tools import ensure_definitions

HTTP_ROUTES = "/apis/gateway.networking.k8s.io/v1/httproutes"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_FILE = "gateway.networking.k8s.io_httproutes.yaml"
_CONTROLLER = "example.com/stand-in"


@contextmanager
def gateway_api(world: World) -> Iterator[None]:
    """The Gateway API's own definition of HTTPRoute, on the cluster until the end."""
    definition = yaml.safe_load((ensure_definitions("gateway-api") / _FILE).read_text(encoding="utf-8"))
    path = f"{_DEFINITIONS}/{definition['metadata']['name']}"
    world.api.apply(path, definition)
    try:
        yield
    finally:
        world.api.delete(path)


def routes(world: World) -> list[Object]:
    """All HTTPRoutes; none where the API server does not know them (yet)."""
    found = world.api.get(HTTP_ROUTES)
    return list(found["items"]) if found else []


def route_path(route: Object) -> str:
    """REST path of an HTTPRoute."""
    metadata = route["metadata"]
    return f"/apis/gateway.networking.k8s.io/v1/namespaces/{metadata['namespace']}/httproutes/{metadata['name']}"


def answer(world: World, *, accepted: bool) -> None:
    """Say of every route, for every Gateway that it names, whether it is accepted."""
    for route in routes(world):
        conditions = [
            {
                "type": kind,
                "status": str(accepted or kind != "Accepted"),
                "reason": kind if accepted else "NotAllowedByListeners",
                "message": "" if accepted else "no listener allows this namespace",
                "observedGeneration": route["metadata"]["generation"],
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
            for kind in ("Accepted", "ResolvedRefs")
        ]
        parents = [
            {"parentRef": parent, "controllerName": _CONTROLLER, "conditions": conditions}
            for parent in route["spec"]["parentRefs"]
        ]
        world.api.merge(f"{route_path(route)}/status", {"status": {"parents": parents}})
