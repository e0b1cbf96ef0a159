"""``rds.yaml``: which value of the JSON body's ``model`` field goes to which cluster."""

from typing import Any

from atoll.render.router.clusters import cluster_name
from atoll.render.router.replies import MISSING, UNAVAILABLE, UNKNOWN, direct_response, model_list
from atoll.render.router.routing import RoutedModel, routed_names

ROUTE_CONFIGURATION = "served-models"
METADATA_NAMESPACE = "atoll"
METADATA_KEY = "model"
NO_MODEL = "\n"
"""Stands for a body without ``model``: no served name can hold a line feed."""

_ROUTE_CONFIGURATION_TYPE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
_ANY_PATH = {"prefix": "/"}
_LARGEST_LIST_BYTES = 1_048_576


def route_configuration(models: tuple[RoutedModel, ...]) -> dict[str, Any]:
    """All routes, in order: the list of models, each model, then the answers to what names none."""
    served = routed_names(models)
    get = [{"name": ":method", "string_match": {"exact": "GET"}}]
    return {
        "@type": _ROUTE_CONFIGURATION_TYPE,
        "name": ROUTE_CONFIGURATION,
        "max_direct_response_body_size_bytes": _LARGEST_LIST_BYTES,
        "virtual_hosts": [
            {
                "name": ROUTE_CONFIGURATION,
                "domains": ["*"],
                "retry_policy": {
                    "retry_on": "connect-failure,refused-stream,reset-before-request,retriable-status-codes",
                    "retriable_status_codes": [503],
                    "num_retries": 2,
                    "retry_host_predicate": [_PREVIOUS_HOSTS],
                    "host_selection_retry_max_attempts": 10,
                },
                "routes": [
                    direct_response(
                        {"path": "/v1/models", "headers": get},
                        200,
                        model_list(sorted(name for model in models for name in _listed(model, served[model.key]))),
                    ),
                    *(_route(model, served[model.key]) for model in models),
                    direct_response({**_ANY_PATH, "dynamic_metadata": [_names((NO_MODEL,))]}, 400, MISSING),
                    direct_response(_ANY_PATH, 404, UNKNOWN),
                ],
            }
        ],
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


def _route(model: RoutedModel, served: tuple[str, ...]) -> dict[str, Any]:
    match = {**_ANY_PATH, "dynamic_metadata": [_names(served)]}
    if not model.available:
        return direct_response(match, 503, UNAVAILABLE)
    return {"match": match, "route": {"cluster": cluster_name(model), "timeout": "0s"}}


def _names(accepted: tuple[str, ...]) -> dict[str, Any]:
    values = [{"string_match": {"exact": name}} for name in accepted]
    value = values[0] if len(values) == 1 else {"or_match": {"value_matchers": values}}
    return {"filter": METADATA_NAMESPACE, "path": [{"key": METADATA_KEY}], "value": value}
