"""``rds.json``: which served model a request asks for, and so which cluster it goes to."""

from collections.abc import Iterable
from typing import Any

from atoll.domain.fleet import RouterPolicy
from atoll.render.router.clusters import cluster_name
from atoll.render.router.filters import DEMAND_PREFIX, LOOKED_UP, METADATA_NAMESPACE, MODEL, MODELS_PATH
from atoll.render.router.replies import (
    MISSING,
    UNAVAILABLE,
    direct_response,
    formatted_response,
    model_entry,
    model_list,
    unknown,
)
from atoll.render.router.routing import RoutedModel, routed_names

ROUTE_CONFIGURATION = "served-models"
MODEL_LIST, NO_MODEL, UNKNOWN_MODEL = "model-list", "none", "unknown"
"""Names of the routes that are of no demand, which log and metrics tell; those of demands have a slash."""

_ROUTE_CONFIGURATION_TYPE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
_ANY_PATH = {"prefix": "/"}
_LARGEST_LIST_BYTES = 1_048_576
_GET = {"name": ":method", "string_match": {"exact": "GET"}}


def route_configuration(models: tuple[RoutedModel, ...], policy: RouterPolicy) -> dict[str, Any]:
    """All routes, in order: lists of models, all by path, all by name, then the answers to what names none."""
    served = routed_names(models)
    listed = sorted(name for model in models for name in _listed(model, served[model.key]))
    return {
        "@type": _ROUTE_CONFIGURATION_TYPE,
        "name": ROUTE_CONFIGURATION,
        "max_direct_response_body_size_bytes": _LARGEST_LIST_BYTES,
        "virtual_hosts": [
            {
                "name": ROUTE_CONFIGURATION,
                "domains": ["*"],
                "request_headers_to_remove": ["x-envoy-external-address"],
                **_retries(policy),
                "routes": [
                    *_lists(served.values(), listed),
                    *(_by_path(model) for model in models),
                    formatted_response(
                        UNKNOWN_MODEL, {"prefix": DEMAND_PREFIX}, 404, unknown(listed, "%PATH(NQ):128%")
                    ),
                    *(_by_name(model, served[model.key]) for model in models),
                    formatted_response(
                        UNKNOWN_MODEL,
                        {**_ANY_PATH, "dynamic_metadata": [_metadata(MODEL, {"present_match": True})]},
                        404,
                        unknown(listed, _told(MODEL)),
                    ),
                    direct_response(NO_MODEL, _ANY_PATH, 400, MISSING),
                ],
            }
        ],
    }


def _retries(policy: RouterPolicy) -> dict[str, Any]:
    """Only what got no answer at all is sent again, and to another replica."""
    if policy.retries == 0:
        return {}
    return {
        "retry_policy": {
            "retry_on": "connect-failure,refused-stream,reset,retriable-status-codes",
            "retriable_status_codes": [503],
            "num_retries": policy.retries,
            "retry_host_predicate": [_PREVIOUS_HOSTS],
            "host_selection_retry_max_attempts": 10,
        }
    }


_PREVIOUS_HOSTS = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    },
}


def _listed(model: RoutedModel, served: tuple[str, ...]) -> tuple[str, ...]:
    """Served names; ``namespace/name`` only where there is no other, so that nobody sees a model twice."""
    return tuple(name for name in served if name in model.served_names) or served


def _lists(served: Iterable[tuple[str, ...]], listed: list[str]) -> list[dict[str, Any]]:
    """``GET /v1/models`` and ``GET /v1/models/<name>``."""
    every = tuple(sorted(name for group in served for name in group))
    one = {"path_separated_prefix": MODELS_PATH, "headers": [_GET]}
    entry = model_entry(f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:{LOOKED_UP})%")
    found = {**one, "dynamic_metadata": [_metadata(LOOKED_UP, _any_of(every))]}
    return [
        direct_response(MODEL_LIST, {"path": MODELS_PATH, "headers": [_GET]}, 200, model_list(listed)),
        *([formatted_response(MODEL_LIST, found, 200, entry)] if every else ()),
        formatted_response(MODEL_LIST, one, 404, unknown(listed, _told(LOOKED_UP))),
    ]


def _by_path(model: RoutedModel) -> dict[str, Any]:
    name = cluster_name(model)
    return _route(model, {"prefix": f"{DEMAND_PREFIX}{name}/"}, prefix_rewrite="/")


def _by_name(model: RoutedModel, served: tuple[str, ...]) -> dict[str, Any]:
    return _route(model, {**_ANY_PATH, "dynamic_metadata": [_metadata(MODEL, _any_of(served))]})


def _route(model: RoutedModel, match: dict[str, Any], **rewrite: str) -> dict[str, Any]:
    name = cluster_name(model)
    if not model.available:
        return direct_response(name, match, 503, UNAVAILABLE)
    return {"name": name, "match": match, "route": {"cluster": name, "timeout": "0s", **rewrite}}


def _told(key: str) -> str:
    """The command operator that tells what a request's metadata has under a key."""
    return f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:{key}):128%"


def _any_of(accepted: tuple[str, ...]) -> dict[str, Any]:
    values = [{"string_match": {"exact": name}} for name in accepted]
    return values[0] if len(values) == 1 else {"or_match": {"value_matchers": values}}


def _metadata(key: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"filter": METADATA_NAMESPACE, "path": [{"key": key}], "value": value}
