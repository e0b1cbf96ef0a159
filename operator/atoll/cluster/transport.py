"""One request to the API server: JSON in, JSON out, and a typed error that names the object."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient

from atoll.cluster.access import Access
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

_CONNECT_SECONDS = 5.0
_RETRY_AFTER_SECONDS = 1.0
"""Where a 429 names no time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request.

    Attributes:
        method: HTTP verb.
        path: from the root of the API server.
        what: names it in errors, with the object.
        seconds: longest it may take.
        query: parameters.
        body: JSON; None for none.
        content_type: of the body.
    """

    method: str
    path: str
    what: str
    seconds: float
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str = "application/json"


class Transport:
    """Requests with the credentials of one access, which are read again once when they are refused."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._api: Any = None

    async def close(self) -> None:
        """Close the connections."""
        api, self._api = self._api, None
        if api is not None:
            await api.close()

    async def send(self, request: Request) -> dict[str, Any]:
        """Send one request and read its answer.

        Raises:
            ClusterError: in the subtype that says what is to be done about it.
            AccessError: there are no credentials.
        """
        try:
            return await self._once(request)
        except UnauthorizedError:
            await self.close()
            return await self._once(request)

    async def _once(self, request: Request) -> dict[str, Any]:
        what = request.what
        if self._api is None:
            self._api = ApiClient(await self.access.configuration())
        _, url, headers, _, _ = await self._api.param_serialize(
            request.method,
            request.path,
            query_params=list(request.query.items()),
            header_params={"Accept": "application/json", "Content-Type": request.content_type},
            auth_settings=["BearerToken"],
        )
        limits = aiohttp.ClientTimeout(total=request.seconds, sock_connect=min(_CONNECT_SECONDS, request.seconds))
        try:
            answer = await self._api.call_api(request.method, url, headers, request.body, _request_timeout=limits)
            content: bytes = await answer.read()
        except TimeoutError as error:
            raise UnavailableError(f"{what}: no answer within {request.seconds:.1f} s") from error
        except (aiohttp.ClientError, ssl.SSLError, OSError) as error:
            raise UnavailableError(f"{what}: {type(error).__name__}: {error}") from error
        if 200 <= answer.status < 300:
            return _object(content, what)
        raise error_of(answer.status, content, answer.headers.get("Retry-After"), what)


def error_of(status: int, content: bytes, retry_after: str | None, what: str) -> ClusterError:  # noqa: PLR0911  # a table
    """The typed error of an answer that is no success."""
    answer = _status(content)
    message = f"{what}: {status} {answer.get('reason') or ''}: {answer.get('message') or 'no message'}".replace(
        " :", ":"
    )
    details = answer.get("details") or {}
    causes = {cause.get(key) for cause in details.get("causes") or () for key in ("reason", "field")}
    if status == 413 or "request is too large" in message:  # the store's limit comes back as a 500
        return TooLargeError(message)
    match status:
        case 404:
            return NotFoundError(message)
        case 409 | 410:
            return ConflictError(message)
        case 422 if "metadata.uid" in causes:  # an apply to the successor of the object that was seen
            return ConflictError(message)
        case 403 if "NamespaceTerminating" in causes:
            return NotFoundError(message)
        case 403:
            return ForbiddenError(message)
        case 401:
            return UnauthorizedError(message)
        case 400 | 405 | 415 | 422:
            return InvalidError(message)
        case 429:
            return ThrottledError(message, retry_after=_seconds(retry_after, details.get("retryAfterSeconds")))
        case _:
            return UnavailableError(message)


def _seconds(*candidates: Any) -> float:
    for candidate in candidates:
        try:
            return max(0.0, float(candidate))
        except (TypeError, ValueError):
            continue
    return _RETRY_AFTER_SECONDS


def _object(content: bytes, what: str) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except ValueError as error:
        raise UnavailableError(f"{what}: the answer is not JSON: {content[:80]!r}") from error
    if not isinstance(answer, dict):
        raise UnavailableError(f"{what}: the answer is no object: {content[:80]!r}")
    return answer


def _status(content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except ValueError:
        return {"message": content[:200].decode("utf-8", "replace")}
    return answer if isinstance(answer, dict) else {"message": str(answer)[:200]}
