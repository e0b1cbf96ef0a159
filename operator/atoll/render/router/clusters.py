"""``cds.yaml``: one Envoy cluster per served model, with one weighted endpoint per Service behind it."""

from typing import Any

from atoll.render.router.routing import RoutedModel, RouterEndpoint

HEALTH_INTERVAL_SECONDS = 0.5
HEALTH_TIMEOUT_SECONDS = 0.4
"""With one failure enough, a lost node is out in under 2 s without any change of configuration (router.md)."""

_BROKEN_AT = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
_MOST = 100_000
"""Per served model: the engines queue, the router does not.

Envoy's defaults are 1024, and 3 retries at one time: a lost node with hundreds of requests in flight needs more."""

_CLUSTER_TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
_DNS_TYPE = "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster"


def clusters(models: tuple[RoutedModel, ...]) -> list[dict[str, Any]]:
    """Clusters of all models that have an endpoint, draining ones too: their open streams still run."""
    return [_cluster(model) for model in models if model.endpoints]


def cluster_name(model: RoutedModel) -> str:
    """Name of the model's cluster; it cannot meet the name of one in the bootstrap, which has no slash."""
    return str(model.key)


def _cluster(model: RoutedModel) -> dict[str, Any]:
    name = cluster_name(model)
    return {
        "@type": _CLUSTER_TYPE,
        "name": name,
        "cluster_type": {
            "name": "envoy.clusters.strict_dns",
            "typed_config": {
                "@type": _DNS_TYPE,
                "dns_refresh_rate": "1s",
                "dns_lookup_family": "V4_PREFERRED",
            },
        },
        # Else a replica that left DNS keeps its traffic until its health check fails: a drained one's never does.
        "ignore_health_on_host_removal": True,
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [_endpoint(endpoint) for endpoint in model.endpoints]}],
        },
        "health_checks": [
            {
                "http_health_check": {"path": "/health"},
                "interval": f"{HEALTH_INTERVAL_SECONDS}s",
                "no_traffic_interval": f"{HEALTH_INTERVAL_SECONDS}s",
                "timeout": f"{HEALTH_TIMEOUT_SECONDS}s",
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
            }
        ],
        "outlier_detection": {"max_ejection_percent": 50},
        "circuit_breakers": {"thresholds": [dict.fromkeys(_BROKEN_AT, _MOST)]},
    }


def _endpoint(endpoint: RouterEndpoint) -> dict[str, Any]:
    address = {"socket_address": {"address": endpoint.service_host, "port_value": endpoint.port}}
    result: dict[str, Any] = {"endpoint": {"address": address}, "load_balancing_weight": endpoint.weight}
    return {**result, "health_status": "DRAINING"} if endpoint.draining else result
