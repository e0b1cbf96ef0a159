"""Answers that the router gives itself, in the format of OpenAI's errors, which clients' libraries understand."""

from collections.abc import Iterable
from typing import Any

from atoll.render import names

RETRY_AFTER_SECONDS = 10
"""Given with 503: long enough for a drained replica's successor, short enough for interactive clients, seconds."""

_JSON = {"header": {"key": "content-type", "value": "application/json"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
_RETRY = {"header": {"key": "retry-after", "value": str(RETRY_AFTER_SECONDS)}}


def error_body(message: str, *, kind: str, code: str, param: str | None = None) -> dict[str, Any]:
    """One error object as OpenAI's API gives it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


UNAVAILABLE = error_body(
    "No replica of this model can take requests now. Try again soon.", kind="server_error", code="model_unavailable"
)
UNKNOWN = error_body(
    "No model of this name is served here, or the path is unknown. GET /v1/models lists the served models.",
    kind="invalid_request_error",
    code="model_not_found",
    param="model",
)
MISSING = error_body(
    "Send a JSON body with the content type application/json and the served model's name in its field 'model'.",
    kind="invalid_request_error",
    code="model_required",
    param="model",
)


def direct_response(match: dict[str, Any], status: int, body: Any) -> dict[str, Any]:
    """A route that answers itself, in JSON."""
    return {
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": names.compact_json(body)}},
        "response_headers_to_add": [_JSON, _RETRY] if status == 503 else [_JSON],
    }


def model_list(served: Iterable[str]) -> dict[str, Any]:
    """The body of ``GET /v1/models``."""
    return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "atoll"} for name in served]}


def local_replies() -> dict[str, Any]:
    """Envoy's own 503 (no healthy upstream, overflow, no cluster yet) as JSON with Retry-After."""
    return {
        "mappers": [
            {
                "filter": {"response_flag_filter": {"flags": ["UH", "UO", "UF", "NC"]}},
                "status_code": 503,
                "headers_to_add": [_RETRY],
                "body_format_override": {
                    "text_format_source": {"inline_string": names.compact_json(UNAVAILABLE)},
                    "content_type": "application/json",
                },
            }
        ]
    }
