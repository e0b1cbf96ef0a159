"""A demand as an HTTPRoute of the Gateway API, for clusters whose Gateway carries the requests.

HTTPRoutes match headers, not bodies: the header that names the served model comes from body-based routing of the
Gateway API Inference Extension, or from the client. Weights are of whole Services, not of endpoints.
"""

from collections.abc import Mapping
from typing import Any

from atoll.domain.demand import Demand
from atoll.domain.fleet import GatewayPolicy, GatewayReference
from atoll.domain.objects import HTTP_ROUTE
from atoll.render import names
from atoll.render.engines.stage import HTTP_PORT

MOST_BACKENDS = 16
"""In one rule (Gateway API v1); of more strategies those with the largest weights are named."""

_LARGEST_WEIGHT = 10_000
_GATEWAY_GROUP = HTTP_ROUTE.api_version.partition("/")[0]


def http_route(
    demand: Demand, served: tuple[str, ...], capacity: Mapping[str, float], policy: GatewayPolicy
) -> dict[str, Any]:
    """The HTTPRoute of one demand, in its namespace and owned by it.

    Args:
        demand: whose it is.
        served: names that reach it, at most 64.
        capacity: requests/s that routable replicas deliver now, by Service.
        policy: how routes are written.
    """
    header = policy.model_header
    rule: dict[str, Any] = {
        "matches": [
            {
                "path": {"type": "PathPrefix", "value": "/"},
                "headers": [{"type": "Exact", "name": header, "value": name}],
            }
            for name in served
        ],
        "backendRefs": [
            {"group": "", "kind": "Service", "name": service, "port": HTTP_PORT, "weight": weight}
            for service, weight in sorted(backend_weights(capacity).items())
        ],
    }
    if policy.request_timeout:
        rule["timeouts"] = {"request": policy.request_timeout}
    return {
        "apiVersion": HTTP_ROUTE.api_version,
        "kind": HTTP_ROUTE.name,
        "metadata": names.metadata(demand, demand.key.name),
        "spec": {
            "parentRefs": [parent_reference(parent) for parent in policy.parents],
            **({"hostnames": list(policy.hostnames)} if policy.hostnames else {}),
            "rules": [rule],
        },
    }


def parent_reference(parent: GatewayReference) -> dict[str, Any]:
    """A Gateway as routes name it."""
    section = {"sectionName": parent.section} if parent.section else {}
    return {
        "group": _GATEWAY_GROUP,
        "kind": "Gateway",
        "namespace": parent.namespace,
        "name": parent.name,
        **section,
    }


def backend_weights(capacity: Mapping[str, float]) -> dict[str, int]:
    """Weights of Services by what they deliver now; the largest is 10,000, so that one alone never changes.

    A Service that delivers nothing gets 0. Where none delivers anything each gets 1: a Gateway then says that there is
    no endpoint, and not that the route is wrong.
    """
    chosen = dict(sorted(capacity.items(), key=lambda item: (-item[1], item[0]))[:MOST_BACKENDS])
    largest = max(chosen.values(), default=0.0)
    if largest <= 0.0:
        return dict.fromkeys(chosen, 1)
    return {
        service: max(1, round(rate / largest * _LARGEST_WEIGHT)) if rate > 0.0 else 0
        for service, rate in chosen.items()
    }
