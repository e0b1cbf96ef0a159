"""What Gateways of the cluster should do, and whether they have taken it."""

from collections.abc import Iterable, Mapping

from atoll.domain.demand import DemandKey
from atoll.domain.objects import ObjectLike, reference
from atoll.domain.reason import Fault, Reason
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.difference import differs
from atoll.reconcile.service import rates, routable_replicas
from atoll.render.httproute import http_route
from atoll.render.router.routing import RoutedModel, routed_names

_NEEDED = ("Accepted", "ResolvedRefs")
_LEAST_RATE = 1e-3
"""Requests/s of a replica whose rate no plan tells any more: it still serves."""


def wanted_routes(snapshot: Snapshot, models: tuple[RoutedModel, ...]) -> tuple[ObjectLike, ...]:
    """One HTTPRoute per valid demand; none where Gateways carry nothing or HTTPRoutes cannot be written.

    The route of a demand that became invalid stays as it is.
    """
    policy = snapshot.fleet.router
    if not policy.target.uses_gateways or snapshot.gateway_fault is not None:
        return ()
    served, rate, routable = routed_names(models), rates(snapshot), routable_replicas(snapshot)
    found = []
    for model in models:
        demand = snapshot.demands.get(model.key)
        if demand is None:
            continue
        prefix = f"{model.key.name}-"
        capacity = {}
        for endpoint in model.endpoints:
            service = endpoint.service_host.partition(".")[0]
            strategy = model.key, service.removeprefix(prefix)
            capacity[service] = routable[strategy] * max(rate.get(strategy, 0.0), _LEAST_RATE)
        found.append(http_route(demand, served[model.key], capacity, policy.gateway))
    return tuple(found)


def differs_exactly(intent: ObjectLike, live: ObjectLike) -> bool:
    """Whether a live route is another than intended: its lists are replaced whole, so one item more differs too."""
    return differs(intent, live) or differs(intent["spec"], live.get("spec") or {}, exact=True)


def unacknowledged(snapshot: Snapshot, routes: Iterable[ObjectLike]) -> Mapping[DemandKey, Fault]:
    """Routes that not every Gateway has taken as they are wanted now, with what the Gateway says."""
    found = {}
    for intent in routes:
        metadata = intent["metadata"]
        said = _missing(intent, snapshot.objects.get(reference(intent)))
        if said is not None:
            found[DemandKey(namespace=metadata["namespace"], name=metadata["name"])] = said
    return found


def _missing(intent: ObjectLike, live: ObjectLike | None) -> Fault | None:
    name = f"HTTPRoute {intent['metadata']['namespace']}/{intent['metadata']['name']}"
    if live is None or differs_exactly(intent, live):
        return Fault(reason=Reason.ROUTER_NOT_SYNCED, message=f"{name} is not written yet")
    generation = live["metadata"].get("generation", 0)
    entries = (live.get("status") or {}).get("parents") or ()
    for parent in intent["spec"]["parentRefs"]:
        gateway = f"Gateway {parent['namespace']}/{parent['name']}"
        told = [entry for entry in entries if _same_parent(entry.get("parentRef") or {}, parent, intent)]
        if not told:
            return Fault(
                reason=Reason.ROUTER_NOT_SYNCED,
                message=f"{gateway} has said nothing of {name}: is it there, and does its controller run?",
            )
        for entry in told:
            conditions = {item.get("type"): item for item in entry.get("conditions") or ()}
            for kind in _NEEDED:
                condition = conditions.get(kind) or {}
                if condition.get("observedGeneration", 0) < generation or condition.get("status") == "Unknown":
                    return Fault(
                        reason=Reason.ROUTER_NOT_SYNCED, message=f"{gateway} has not yet taken {name} as it is now"
                    )
                if condition.get("status") != "True":
                    why = f"{condition.get('reason', '')}: {condition.get('message', '')}"
                    return Fault(reason=Reason.ROUTE_NOT_ACCEPTED, message=f"{gateway}, {name}, {kind}: {why}")
    return None


def _same_parent(told: ObjectLike, wanted: ObjectLike, route: ObjectLike) -> bool:
    return bool(
        told.get("namespace", route["metadata"]["namespace"]) == wanted["namespace"]
        and told.get("name") == wanted["name"]
        and told.get("sectionName", "") == wanted.get("sectionName", "")
    )
