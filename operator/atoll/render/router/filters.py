"""The HTTP filters of the listener for requests, in order: what a request passes before it is routed."""

from typing import Any

from atoll.domain.fleet import RouterPolicy

EXTENSIONS = "type.googleapis.com/envoy.extensions"
METADATA_NAMESPACE = "atoll"
MODEL = "model"
LOOKED_UP = "looked-up"
"""Dynamic metadata: the served model that a request asks for, and the one that it asks about."""

MODEL_HEADER = "x-gateway-model-name"
"""Header that names the served model in place of the body, as gateways of the Inference Extension set it."""

HEALTH_PATH = "/health"
MODELS_PATH = "/v1/models"

DEMAND_PREFIX = "/models/"
"""``/models/<namespace>/<name>/v1/...`` reaches a demand whatever the body is."""

MEBIBYTE = 1024 * 1024

_INFERENCE = "v1/.*|v2/.*|generate|encode|tokenize|detokenize|pooling|classify|score|rerank"
_ALLOWED = f"({DEMAND_PREFIX}[^/]+/[^/]+)?/({_INFERENCE})"
_REFUSED = ".*/(un)?load_lora_adapter"
"""Engines answer other paths on the same port that load weights, put them to sleep or profile: not for clients."""


def http_filters(policy: RouterPolicy) -> list[dict[str, Any]]:
    """All filters; the last one sends the request on."""
    counting = [_count_streamed_tokens()] if policy.token_metrics else []
    return [
        _health(),
        _allow_paths(),
        _limit_body(policy),
        _read_headers(),
        _route_again(),
        _read_body(policy),
        *counting,
        router_filter(),
    ]


def router_filter() -> dict[str, Any]:
    """Sends requests on; tells neither clients nor engines how Envoy is doing."""
    return _filter("envoy.filters.http.router", "router.v3.Router", suppress_envoy_headers=True)


def _filter(name: str, kind: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": f"{EXTENSIONS}.filters.http.{kind}", **settings}}


def _health() -> dict[str, Any]:
    """Answers load balancers in front of the router: 503 as soon as it drains."""
    return _filter(
        "envoy.filters.http.health_check",
        "health_check.v3.HealthCheck",
        pass_through_mode=False,
        headers=[{"name": ":path", "string_match": {"exact": HEALTH_PATH}}],
    )


def _allow_paths() -> dict[str, Any]:
    def path(expression: str) -> dict[str, Any]:
        return {"url_path": {"path": {"safe_regex": {"regex": expression}}}}

    refused = {"permissions": [{"not_rule": path(_ALLOWED)}, path(_REFUSED)], "principals": [{"any": True}]}
    return _filter(
        "envoy.filters.http.rbac", "rbac.v3.RBAC", rules={"action": "DENY", "policies": {"not-inference": refused}}
    )


def _limit_body(policy: RouterPolicy) -> dict[str, Any]:
    """A body that is too large gets 413 whatever its type."""
    return _filter(
        "envoy.filters.http.body_size_limit",
        "body_size_limit.v3.BodySizeLimit",
        max_request_bytes=policy.largest_request_mebibytes * MEBIBYTE,
    )


def _read_headers() -> dict[str, Any]:
    """Which served model headers name: one of a request that has no JSON body, and one that is looked up by path."""
    return _filter(
        "envoy.filters.http.header_to_metadata",
        "header_to_metadata.v3.Config",
        request_rules=[
            {"header": MODEL_HEADER, "on_header_present": _target(MODEL)},
            {
                "header": ":path",
                "on_header_present": {
                    **_target(LOOKED_UP),
                    "regex_value_rewrite": {
                        "pattern": {"regex": f"^{MODELS_PATH}/([^?]*)(\\?.*)?$"},
                        "substitution": "\\1",
                    },
                },
            },
        ],
    )


def _route_again() -> dict[str, Any]:
    """The route that was chosen before the headers were read is forgotten; the body's filter does so by itself."""
    return _filter("envoy.filters.http.set_filter_state", "set_filter_state.v3.Config", clear_route_cache=True)


def _read_body(policy: RouterPolicy) -> dict[str, Any]:
    """The ``model`` field of JSON requests where no header names one and, where asked for, usage in JSON answers."""
    model = {"selectors": [{"key": MODEL}], "on_present": {**_target(MODEL), "preserve_existing_metadata_value": True}}
    usage = {"response_rules": _json(_usage_rules())} if policy.token_metrics else {}
    return _filter(
        "envoy.filters.http.json_to_metadata",
        "json_to_metadata.v3.JsonToMetadata",
        request_rules=_json([model]),
        **usage,
    )


def _json(rules: list[dict[str, Any]]) -> dict[str, Any]:
    # A list of exact content types would miss "application/json; charset=utf-8".
    return {"allow_content_types_regex": {"regex": "(?i)application/json.*"}, "rules": rules}


def _count_streamed_tokens() -> dict[str, Any]:
    """Usage in streamed answers, which engines tell where the client asks (``stream_options.include_usage``)."""
    parser = {
        "@type": f"{EXTENSIONS}.content_parsers.json.v3.JsonContentParser",
        "rules": [{"rule": rule} for rule in _usage_rules()],
    }
    return _filter(
        "envoy.filters.http.sse_to_metadata",
        "sse_to_metadata.v3.SseToMetadata",
        response_rules={"content_parser": {"name": "envoy.content_parsers.json", "typed_config": parser}},
    )


def _usage_rules() -> list[dict[str, Any]]:
    return [
        {"selectors": [{"key": "usage"}, {"key": field}], "on_present": {**_target(field), "type": "NUMBER"}}
        for field in ("prompt_tokens", "completion_tokens")
    ]


def _target(key: str) -> dict[str, Any]:
    return {"metadata_namespace": METADATA_NAMESPACE, "key": key}
