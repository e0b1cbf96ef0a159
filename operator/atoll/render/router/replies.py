"""Answers that the router gives itself, in the format of OpenAI's errors, which clients' libraries understand."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from atoll.render import names
from atoll.render.router.filters import MODEL_HEADER, MODELS_PATH

RETRY_AFTER_SECONDS = 10
"""Given with 503: long enough for a drained replica's successor, short enough for interactive clients, seconds."""

_JSON = {"header": {"key": "content-type", "value": "application/json"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
_RETRY = {
    "header": {"key": "retry-after", "value": str(RETRY_AFTER_SECONDS)},
    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
}


def error_body(message: str, *, kind: str, code: str, param: str | None = None) -> dict[str, Any]:
    """One error object as OpenAI's API gives it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


UNAVAILABLE = error_body(
    "No replica of this model can take requests now. Try again soon.", kind="server_error", code="model_unavailable"
)
BUSY = error_body(
    "Too many requests for this model are in flight. Try again soon.",
    kind="rate_limit_error",
    code="model_overloaded",
)
MISSING = error_body(
    "Name the served model: in the field 'model' of a JSON body with content type application/json, or in the header "
    f"{MODEL_HEADER}.",
    kind="invalid_request_error",
    code="model_required",
    param="model",
)
NO_SUCH_PATH = error_body("This path is not served.", kind="invalid_request_error", code="path_not_found")
TOO_LARGE = error_body("The body is too large.", kind="invalid_request_error", code="request_too_large")
TOO_SLOW = error_body("The request did not arrive in time.", kind="invalid_request_error", code="request_timeout")
SILENT = error_body("The replica said nothing for too long.", kind="server_error", code="replica_silent")
BROKEN = error_body("The replica failed while it answered. Try again.", kind="server_error", code="replica_failed")

_LISTED = 50
"""Served models named in an answer to an unknown name; ``GET /v1/models`` lists all."""


def unknown(served: Sequence[str], named: str) -> dict[str, Any]:
    """The answer to a name that is not served, which a command operator of Envoy's tells, with the names that are."""
    shown = ", ".join(served[:_LISTED]).replace("%", "%%") or "none"
    more = f" and {len(served) - _LISTED} more, see GET {MODELS_PATH}" if len(served) > _LISTED else ""
    return error_body(
        f"The model '{named}' is not served here. Served models: {shown}{more}.",
        kind="invalid_request_error",
        code="model_not_found",
        param="model",
    )


def direct_response(name: str, match: dict[str, Any], status: int, body: Any) -> dict[str, Any]:
    """A route that answers itself, in JSON."""
    return _response(name, match, {"status": status, "body": {"inline_string": names.compact_json(body)}})


def formatted_response(name: str, match: dict[str, Any], status: int, body: Any) -> dict[str, Any]:
    """A route that answers itself, in JSON with Envoy's command operators in it."""
    return _response(name, match, {"status": status, "body_format": {"json_format": body}})


def _response(name: str, match: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    headers = [_JSON, _RETRY] if answer["status"] == HTTPStatus.SERVICE_UNAVAILABLE else [_JSON]
    return {"name": name, "match": match, "direct_response": answer, "response_headers_to_add": headers}


def model_list(served: Iterable[str]) -> dict[str, Any]:
    """The body of ``GET /v1/models``."""
    return {"object": "list", "data": [model_entry(name) for name in served]}


def model_entry(name: str) -> dict[str, Any]:
    """One served model as OpenAI's API describes it; when it was made is not known."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "atoll"}


def local_replies() -> dict[str, Any]:
    """Envoy's own answers as JSON in the format of OpenAI's errors, with Retry-After where that helps."""
    return {
        "mappers": [
            _mapper(_flags("UO"), 429, BUSY, retry=True),
            _mapper(_flags("UC", "UR", "LR", "UPE"), 502, BROKEN, retry=True),
            _mapper(_flags("NC", "NR"), 503, UNAVAILABLE, retry=True),
            _mapper(_status(503), 503, UNAVAILABLE, retry=True),
            _mapper(_status(403), 404, NO_SUCH_PATH),
            _mapper(_status(413), 413, TOO_LARGE),
            _mapper(_status(408), 408, TOO_SLOW),
            _mapper(_status(504), 504, SILENT),
        ]
    }


def _mapper(condition: dict[str, Any], status: int, body: Any, *, retry: bool = False) -> dict[str, Any]:
    return {
        "filter": condition,
        "status_code": status,
        "headers_to_add": [_RETRY] if retry else [],
        "body_format_override": {
            "text_format_source": {"inline_string": names.compact_json(body)},
            "content_type": "application/json",
        },
    }


def _flags(*flags: str) -> dict[str, Any]:
    """Envoy's own flags of an answer, as in its access log."""
    return {"response_flag_filter": {"flags": list(flags)}}


def _status(code: int) -> dict[str, Any]:
    value = {"default_value": code, "runtime_key": f"atoll.local_reply.{code}"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}
