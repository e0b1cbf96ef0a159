"""Each answer of an API server as the error that says what to do about it."""

import json
from typing import Any

import pytest

from atoll.cluster.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    ThrottledError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
)
from atoll.cluster.transport import error_of
from atoll.domain.reason import Reason

WHAT = "apply Deployment team/x"


def _answer(**status: Any) -> bytes:
    return json.dumps({"kind": "Status", **status}).encode()


@pytest.mark.parametrize(
    ("code", "content", "expected"),
    [
        (404, b"404 page not found", NotFoundError),
        (409, _answer(reason="AlreadyExists"), ConflictError),
        (410, _answer(reason="Expired"), ConflictError),
        (401, _answer(reason="Unauthorized"), UnauthorizedError),
        (403, _answer(reason="Forbidden"), ForbiddenError),
        (403, _answer(reason="Forbidden", details={"causes": [{"reason": "NamespaceTerminating"}]}), NotFoundError),
        (422, _answer(reason="Invalid"), InvalidError),
        (422, _answer(reason="Invalid", details={"causes": [{"field": "metadata.uid"}]}), ConflictError),
        (400, _answer(reason="BadRequest"), InvalidError),
        (413, b"", TooLargeError),
        (500, _answer(message="etcdserver: request is too large"), TooLargeError),
        (500, b"\xff not JSON", UnavailableError),
        (503, b"[]", UnavailableError),
    ],
)
def test_an_answer_becomes_an_error_that_names_the_object(
    code: int, content: bytes, expected: type[ClusterError]
) -> None:
    error = error_of(code, content, None, WHAT)
    assert type(error) is expected
    assert WHAT in str(error)
    assert str(code) in str(error)


@pytest.mark.parametrize(
    ("header", "details", "seconds"),
    [("7", {}, 7), (None, {"retryAfterSeconds": 3}, 3), (None, {}, 1), ("soon", {}, 1), ("-5", {}, 0)],
)
def test_a_throttled_request_says_when_to_come_back(header: str | None, details: dict[str, Any], seconds: int) -> None:
    error = error_of(429, _answer(details=details), header, WHAT)
    assert isinstance(error, ThrottledError)
    assert error.retry_after == seconds


def test_what_can_be_mended_by_people_has_a_reason_of_its_own() -> None:
    reasons = [error_of(code, b"", None, WHAT).reason for code in (403, 422, 413, 500)]
    assert reasons == [Reason.FORBIDDEN, Reason.WRITE_REFUSED, Reason.OBJECT_TOO_LARGE, Reason.API_UNAVAILABLE]
