"""What the router tells of requests: one JSON line each, never a prompt, and metrics per demand."""

from typing import Any

from atoll.domain.fleet import AccessLog, RouterPolicy
from atoll.render.router.filters import EXTENSIONS, METADATA_NAMESPACE, MODEL

_FIELDS = {
    "time": "%START_TIME%",
    "request_id": "%REQ(X-REQUEST-ID):128%",
    "method": "%REQ(:METHOD)%",
    "path": "%PATH(NQ):256%",
    "status": "%RESPONSE_CODE%",
    "demand": "%ROUTE_NAME%",
    "asked_model": f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:{MODEL}):128%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "replica": "%UPSTREAM_HOST%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "user_agent": "%REQ(USER-AGENT):128%",
    "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%",
    "first_byte_ms": "%RESPONSE_DURATION%",
    "duration_ms": "%DURATION%",
}
"""The query string is left out: it may carry keys."""

_DEMAND = {"name": "demand", "value_format": "%ROUTE_NAME%"}
_ANSWERED = {
    "extension_filter": {
        "name": "envoy.access_loggers.extension_filters.cel",
        "typed_config": {
            "@type": f"{EXTENSIONS}.access_loggers.filters.cel.v3.ExpressionFilter",
            "expression": "response.code_details == 'via_upstream'",
        },
    }
}
"""An engine answered; without it there is no time to the first byte."""

_COUNTED = {
    "metadata_filter": {
        "matcher": {
            "filter": METADATA_NAMESPACE,
            "path": [{"key": "prompt_tokens"}],
            "value": {"present_match": True},
        },
        "match_if_key_not_found": False,
    }
}


def access_log(policy: RouterPolicy) -> list[dict[str, Any]]:
    """The loggers of the listener for requests."""
    tokens = [_token_metrics()] if policy.token_metrics else []
    return [*_lines(policy), _request_metrics(), _first_byte_metrics(), *tokens]


def _lines(policy: RouterPolicy) -> list[dict[str, Any]]:
    if policy.access_log is AccessLog.NONE:
        return []
    logger: dict[str, Any] = {
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": f"{EXTENSIONS}.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"json_format": _FIELDS},
        },
    }
    if policy.access_log is AccessLog.ERRORS:
        logger["filter"] = {"or_filter": {"filters": [_failed(), {"response_flag_filter": {}}]}}
    return [logger]


def _failed() -> dict[str, Any]:
    code = {"default_value": 400, "runtime_key": "atoll.access_log.least_status"}
    return {"status_code_filter": {"comparison": {"op": "GE", "value": code}}}


def _request_metrics() -> dict[str, Any]:
    """Requests by demand and status, also those that reached no engine."""
    status = {"name": "status", "value_format": "%RESPONSE_CODE%"}
    return _statistics(counters=[{"stat": {"name": "requests", "tags": [_DEMAND, status]}, "value_fixed": 1}])


def _first_byte_metrics() -> dict[str, Any]:
    """Time from the whole request to the first byte of an engine's answer; of a stream about the TTFT."""
    histogram = {
        "stat": {"name": "first_byte_ms", "tags": [_DEMAND]},
        "unit": "Milliseconds",
        "value_format": "%RESPONSE_DURATION%",
    }
    return {**_statistics(histograms=[histogram]), "filter": _ANSWERED}


def _token_metrics() -> dict[str, Any]:
    counters = [
        {
            "stat": {"name": field, "tags": [_DEMAND]},
            "value_format": f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:{field})%",
        }
        for field in ("prompt_tokens", "completion_tokens")
    ]
    return {**_statistics(counters=counters), "filter": _COUNTED}


def _statistics(**stats: Any) -> dict[str, Any]:
    return {
        "name": "envoy.access_loggers.stats",
        "typed_config": {
            "@type": f"{EXTENSIONS}.access_loggers.stats.v3.Config",
            "stats_scope": {"prefix": "atoll_router"},
            **stats,
        },
    }
