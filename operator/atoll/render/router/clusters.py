"""``cds.json``: one Envoy cluster per served model, with one weighted endpoint per Service behind it."""

from typing import Any

from atoll.domain.fleet import Balancing, RouterPolicy
from atoll.render.router.routing import LARGEST_WEIGHT, RoutedModel, RouterEndpoint

_UNLIMITED = ("max_connections", "max_pending_requests", "max_retries")
_MOST = 1_000_000

_BIAS: dict[Balancing, float] = {Balancing.LEAST_REQUEST: 0.5, Balancing.CAPACITY: 0.0}
"""Envoy sends by weight / (requests in flight + 1) ^ this: with 0 the split is that of the weights."""

_NOBODY_PERCENT = 1
"""With fewer healthy replicas than this, requests go to all of them. Where none seems well, the checks were late, in a
router or in engines short of CPU, more likely than that all died at one time; who is dead is found by connecting."""

_LOST_AFTER = {"keepalive_time": 5, "keepalive_interval": 5, "keepalive_probes": 3}
"""Seconds: a stream to a node that went without a word ends after 20, where the client would wait for an hour."""

_CLUSTER_TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
_DNS_TYPE = "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster"


def clusters(models: tuple[RoutedModel, ...], policy: RouterPolicy) -> list[dict[str, Any]]:
    """Clusters of all models that have an endpoint, draining ones too: their open streams still run."""
    return [_cluster(model, policy) for model in models if model.endpoints]


def cluster_name(model: RoutedModel) -> str:
    """Name of the model's cluster; it cannot meet the name of one in the bootstrap, which has no slash."""
    return str(model.key)


def _cluster(model: RoutedModel, policy: RouterPolicy) -> dict[str, Any]:
    name = cluster_name(model)
    interval = _duration(policy.health_interval_seconds)
    most = policy.most_concurrent_requests
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
        "least_request_lb_config": {
            "active_request_bias": {"default_value": _BIAS[policy.balancing], "runtime_key": "-"}
        },
        # By default the workers hear of a second replica's health up to a second after that of a first.
        "common_lb_config": {"healthy_panic_threshold": {"value": _NOBODY_PERCENT}, "update_merge_window": "0s"},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": list(map(_endpoint, model.endpoints, _weights(model, policy.balancing)))}],
        },
        "health_checks": [
            {
                # The host would be the cluster's name, whose slash some servers refuse.
                "http_health_check": {"path": "/health", "host": "router"},
                "interval": interval,
                "no_traffic_interval": interval,
                "timeout": _duration(policy.health_timeout_seconds),
                "unhealthy_threshold": policy.health_failures,
                "healthy_threshold": 1,
            }
        ],
        "outlier_detection": {"max_ejection_percent": 50},
        # Requests alone are limited: engines queue, the router does not. Envoy's defaults are 1024, and 3 retries at
        # one time: a lost node with hundreds of requests in flight needs more.
        "circuit_breakers": {"thresholds": [{**dict.fromkeys(_UNLIMITED, _MOST), "max_requests": most}]},
        "upstream_connection_options": {"tcp_keepalive": _LOST_AFTER},
    }


def _duration(seconds: float) -> str:
    """As protobuf writes durations."""
    return f"{seconds:g}s"


def _weights(model: RoutedModel, balancing: Balancing) -> list[int]:
    """What Envoy is given for each endpoint, so that shares follow capacity.

    A replica of twice the rate has twice as many requests in flight where both are used alike, so that plain weights
    would be divided by more: each is raised by what it is divided by then (decision 39).
    """
    raised = [float(endpoint.weight) ** (1.0 + _BIAS[balancing]) for endpoint in model.endpoints]
    scale = 1.0 if balancing is Balancing.CAPACITY else LARGEST_WEIGHT / max(raised)
    return [max(1, round(scale * each)) for each in raised]


def _endpoint(endpoint: RouterEndpoint, weight: int) -> dict[str, Any]:
    address = {"socket_address": {"address": endpoint.service_host, "port_value": endpoint.port}}
    result: dict[str, Any] = {"endpoint": {"address": address}, "load_balancing_weight": weight}
    return {**result, "health_status": "DRAINING"} if endpoint.draining else result
