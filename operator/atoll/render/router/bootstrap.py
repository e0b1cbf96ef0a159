"""``bootstrap.yaml``: listeners and where the moving part is read from; the same for every allocation."""

from typing import Any

from atoll.render import names
from atoll.render.router.replies import local_replies
from atoll.render.router.routes import METADATA_KEY, METADATA_NAMESPACE, NO_MODEL, ROUTE_CONFIGURATION
from atoll.render.router.routing import RouterSettings

CLUSTERS_FILE = "cds.yaml"
ROUTES_FILE = "rds.yaml"
BOOTSTRAP_FILE = "bootstrap.yaml"

PROMPT_LIMIT_BYTES = 32 * 1024 * 1024
"""Largest request body; Envoy's default answers 413 to a prompt of 3 MB (router.md)."""

LONGEST_SILENCE_SECONDS = 3600
"""A request without a byte for so long is cut; answers that do not stream are silent for the whole generation."""

_LOOPBACK = "127.0.0.1"
_ADMIN = "admin"
_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_RESOLVER = "network.dns_resolver.cares.v3.CaresDnsResolverConfig"
_MANAGER = "filters.network.http_connection_manager.v3.HttpConnectionManager"


def bootstrap_text(settings: RouterSettings) -> str:
    """The content of ``bootstrap.yaml``."""
    return names.compact_json(bootstrap(settings))


def bootstrap(settings: RouterSettings) -> dict[str, Any]:
    """The static part of the router's configuration."""
    return {
        "node": {"id": settings.name, "cluster": settings.name},
        "admin": {"address": _socket(_LOOPBACK, settings.admin_port)},
        "typed_dns_resolver_config": _resolver(),
        "dynamic_resources": {"cds_config": _file(settings, CLUSTERS_FILE)},
        "static_resources": {
            "listeners": [_requests(settings), _status(settings)],
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
            "@type": f"{_EXTENSIONS}.{_RESOLVER}",
            "udp_max_queries": 1,
            # Names are complete; with the pod's search list each would be asked four times.
            "dns_resolver_options": {"no_default_search_domain": True},
        },
    }


def _requests(settings: RouterSettings) -> dict[str, Any]:
    return _listener(
        "requests",
        _socket(settings.address, settings.port),
        {
            "stat_prefix": "requests",
            "rds": {"route_config_name": ROUTE_CONFIGURATION, "config_source": _file(settings, ROUTES_FILE)},
            "stream_idle_timeout": f"{LONGEST_SILENCE_SECONDS}s",
            "use_remote_address": True,
            "normalize_path": True,
            "merge_slashes": True,
            "path_with_escaped_slashes_action": "REJECT_REQUEST",
            "request_headers_timeout": "10s",
            "local_reply_config": local_replies(),
            "http_filters": [_read_model(), _router_filter()],
        },
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
            "http_filters": [_router_filter()],
        },
    )


def _listener(name: str, address: dict[str, Any], manager: dict[str, Any]) -> dict[str, Any]:
    typed = {"@type": f"{_EXTENSIONS}.{_MANAGER}", **manager}
    return {
        "name": name,
        "address": address,
        "per_connection_buffer_limit_bytes": PROMPT_LIMIT_BYTES,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": typed}]}
        ],
    }


def _read_model() -> dict[str, Any]:
    target = {"metadata_namespace": METADATA_NAMESPACE, "key": METADATA_KEY}
    missing = {**target, "value": NO_MODEL}
    return {
        "name": "envoy.filters.http.json_to_metadata",
        "typed_config": {
            "@type": f"{_EXTENSIONS}.filters.http.json_to_metadata.v3.JsonToMetadata",
            "request_rules": {
                # A list of exact content types would miss "application/json; charset=utf-8".
                "allow_content_types_regex": {"regex": "(?i)application/json.*"},
                "rules": [
                    {
                        "selectors": [{"key": "model"}],
                        "on_present": target,
                        "on_missing": missing,
                        "on_error": missing,
                    }
                ],
            },
        },
    }


def _router_filter() -> dict[str, Any]:
    return {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": f"{_EXTENSIONS}.filters.http.router.v3.Router"},
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
