"""``bootstrap.json``: listeners and where the moving part is read from; the same for every allocation."""

from typing import Any

from atoll.domain.fleet import RouterPolicy
from atoll.render import names
from atoll.render.router.filters import EXTENSIONS, MEBIBYTE, http_filters, router_filter
from atoll.render.router.logs import access_log
from atoll.render.router.replies import local_replies
from atoll.render.router.routes import ROUTE_CONFIGURATION
from atoll.render.router.routing import RouterSettings

CLUSTERS_FILE = "cds.json"
ROUTES_FILE = "rds.json"
BOOTSTRAP_FILE = "bootstrap.json"

_MOST_CONNECTIONS = 50_000
"""Of clients, per router pod."""

_HEADER_SECONDS = 10
_SLOW_READER_SECONDS = 60
"""An answer that is complete but that its client does not take is dropped after so long, seconds."""

_HEADERS_KIBIBYTES = 60
_MOST_STREAMS = 1000
"""HTTP/2 requests in flight on one client's connection."""

_HEAP_SHARE = 0.8
"""Of the pod's memory that may be heap: stacks, code and what the allocator keeps are beside it."""

_TURN_AWAY_AT = 0.95
"""Of that heap: new requests get 503 rather than the whole pod be killed."""

_LOOPBACK = "127.0.0.1"
_ADMIN = "admin"
_RESOLVER = "network.dns_resolver.cares.v3.CaresDnsResolverConfig"
_MANAGER = "filters.network.http_connection_manager.v3.HttpConnectionManager"


def bootstrap_text(settings: RouterSettings, policy: RouterPolicy) -> str:
    """The content of ``bootstrap.json``."""
    return names.compact_json(bootstrap(settings, policy))


def bootstrap(settings: RouterSettings, policy: RouterPolicy) -> dict[str, Any]:
    """The static part of the router's configuration."""
    return {
        "node": {"id": settings.name, "cluster": settings.name},
        "admin": {"address": _socket(_LOOPBACK, settings.admin_port)},
        "typed_dns_resolver_config": _resolver(),
        "overload_manager": _overload(policy),
        "dynamic_resources": {"cds_config": _file(settings, CLUSTERS_FILE)},
        "static_resources": {
            "listeners": [_requests(settings, policy), _status(settings)],
            "clusters": [
                {
                    "name": _ADMIN,
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "load_assignment": {
                        "cluster_name": _ADMIN,
                        "endpoints": [
                            {"lb_endpoints": [{"endpoint": {"address": _socket(_LOOPBACK, settings.admin_port)}}]}
                        ],
                    },
                }
            ],
        },
    }


def _resolver() -> dict[str, Any]:
    """How names of Services are asked: of the pod's own name servers, each question from a socket of its own.

    Where questions share a socket, an error on it (the name server restarts, or has no endpoint) ends all of them from
    within the sending of one, and Envoy crashes (decision 0010).
    """
    return {
        "name": "envoy.network.dns_resolver.cares",
        "typed_config": {
            "@type": f"{EXTENSIONS}.{_RESOLVER}",
            "udp_max_queries": 1,
            # Names are complete; with the pod's search list each would be asked four times.
            "dns_resolver_options": {"no_default_search_domain": True},
        },
    }


def _overload(policy: RouterPolicy) -> dict[str, Any]:
    """Turn new requests and connections away before memory is gone: what is in flight ends well."""
    heap = int(policy.memory_mebibytes * MEBIBYTE * _HEAP_SHARE)
    monitors = {
        "fixed_heap": ("fixed_heap.v3.FixedHeapConfig", {"max_heap_size_bytes": heap}),
        "global_downstream_max_connections": (
            "downstream_connections.v3.DownstreamConnectionsConfig",
            {"max_active_downstream_connections": _MOST_CONNECTIONS},
        ),
    }
    trigger = {"name": "envoy.resource_monitors.fixed_heap", "threshold": {"value": _TURN_AWAY_AT}}
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {
                "name": f"envoy.resource_monitors.{name}",
                "typed_config": {"@type": f"{EXTENSIONS}.resource_monitors.{kind}", **content},
            }
            for name, (kind, content) in monitors.items()
        ],
        "actions": [
            {"name": f"envoy.overload_actions.{action}", "triggers": [trigger]}
            for action in ("shrink_heap", "stop_accepting_requests")
        ],
    }


def _requests(settings: RouterSettings, policy: RouterPolicy) -> dict[str, Any]:
    return _listener(
        "requests",
        _socket(settings.address, settings.port),
        {
            "stat_prefix": "requests",
            "rds": {"route_config_name": ROUTE_CONFIGURATION, "config_source": _file(settings, ROUTES_FILE)},
            "server_name": settings.name,
            "use_remote_address": True,
            "xff_num_trusted_hops": policy.trusted_hops,
            # Nobody is internal, so that Envoy's own request headers, which set time-outs and retries, are dropped. An
            # empty list would mean all private addresses.
            "internal_address_config": {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
            "preserve_external_request_id": True,
            "always_set_request_id_in_response": True,
            "normalize_path": True,
            "merge_slashes": True,
            # Clients' libraries write the slash in a served model's name as %2F in /v1/models/<name>.
            "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
            "max_request_headers_kb": _HEADERS_KIBIBYTES,
            "common_http_protocol_options": {"headers_with_underscores_action": "DROP_HEADER"},
            "http2_protocol_options": {"max_concurrent_streams": _MOST_STREAMS},
            "request_headers_timeout": f"{_HEADER_SECONDS}s",
            "request_timeout": f"{policy.upload_seconds:g}s",
            "stream_idle_timeout": f"{policy.silence_seconds:g}s",
            "stream_flush_timeout": f"{_SLOW_READER_SECONDS}s",
            "local_reply_config": local_replies(),
            "access_log": access_log(policy),
            "http_filters": http_filters(policy),
        },
        # One byte beyond the largest body, which the limit of its own answers.
        buffer_bytes=policy.largest_request_mebibytes * MEBIBYTE + 1,
    )


def _status(settings: RouterSettings) -> dict[str, Any]:
    get = [{"name": ":method", "string_match": {"exact": "GET"}}]
    action = {"cluster": _ADMIN}
    return _listener(
        "status",
        _socket(settings.status_address, settings.status_port),
        {
            "stat_prefix": "status",
            "route_config": {
                "name": "status",
                "virtual_hosts": [
                    {
                        "name": "status",
                        "domains": ["*"],
                        "routes": [
                            {"match": {"path": path, "headers": get}, "route": action}
                            for path in ("/ready", "/stats", "/stats/prometheus")
                        ],
                    }
                ],
            },
            "http_filters": [router_filter()],
        },
        # Probes and the operator are answered whatever clients do.
        bypass_overload_manager=True,
        ignore_global_conn_limit=True,
    )


def _listener(
    name: str, address: dict[str, Any], manager: dict[str, Any], *, buffer_bytes: int = MEBIBYTE, **other: bool
) -> dict[str, Any]:
    typed = {"@type": f"{EXTENSIONS}.{_MANAGER}", **manager}
    return {
        "name": name,
        "address": address,
        "per_connection_buffer_limit_bytes": buffer_bytes,
        **other,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": typed}]}
        ],
    }


def _file(settings: RouterSettings, name: str) -> dict[str, Any]:
    directory = settings.config_directory
    return {
        "resource_api_version": "V3",
        # The kubelet swaps a symlink in the folder; the files themselves never change.
        "path_config_source": {"path": f"{directory}/{name}", "watched_directory": {"path": directory}},
    }


def _socket(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}
