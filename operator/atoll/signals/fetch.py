"""One HTTP request outwards: bounded in time and size, with a bearer token from a file that may change."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

MOST_BYTES = 1 << 20
"""Largest answer that is read; beyond it nothing is a number or a price list."""

_CONNECT_SECONDS = 5.0
_MOST_TOKEN_BYTES = 1 << 16


class FetchError(Exception):
    """No usable answer; the message says what happened and the mend, and never holds a credential.

    Attributes:
        of_server: it is the server that cannot be asked: every other question would end like this. An answer that is
            late or too long may be so for this question alone.
        too_long: the answer is beyond ``MOST_BYTES``.
    """

    def __init__(self, message: str, *, of_server: bool = False, too_long: bool = False) -> None:
        super().__init__(message)
        self.of_server = of_server
        self.too_long = too_long


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where to ask, and by which right.

    Attributes:
        url: base URL.
        token_file: holds a bearer token, read anew for every request because mounted tokens rotate; None for none.
        ca_file: authorities, PEM, that the server's certificate may be from; None for those of the system.
        seconds: longest that a request may take in all.
    """

    url: str
    token_file: Path | None = None
    ca_file: Path | None = None
    seconds: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back.

    Attributes:
        status: of HTTP.
        headers: lower-case names.
        content: the whole body.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes


def client_for(server: Server) -> httpx.AsyncClient:
    """A client for one server; OSError or ValueError where its authorities cannot be read."""
    verify: ssl.SSLContext | bool = True
    if server.ca_file is not None:
        verify = ssl.create_default_context(cafile=str(server.ca_file))
    return httpx.AsyncClient(verify=verify, trust_env=False, follow_redirects=False)


async def fetch(
    server: Server,
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request and read the answer, whatever its status.

    Raises:
        FetchError: nothing came back, too late, or too much of it.
    """
    sent = {"Accept": "application/json", **(headers or {})}
    if server.token_file is not None:
        sent["Authorization"] = f"Bearer {await asyncio.to_thread(_token, server.token_file)}"
    try:
        async with asyncio.timeout(server.seconds):
            timeout = httpx.Timeout(server.seconds, connect=min(_CONNECT_SECONDS, server.seconds))
            async with client.stream(method, url, data=form, headers=sent, timeout=timeout) as answer:
                content = await _bounded(answer, url)
                return Answer(status=answer.status_code, headers=dict(answer.headers), content=content)
    except httpx.ConnectTimeout as late:
        raise FetchError(f"{url} cannot be reached within {server.seconds:g} s", of_server=True) from late
    except (TimeoutError, httpx.TimeoutException) as late:
        raise FetchError(f"{url} gave no answer within {server.seconds:g} s") from late
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # the last of names that are none
        said = str(error) or type(error).__name__
        raise FetchError(f"{url} cannot be asked ({said}): look at the URL and the server", of_server=True) from error


def _token(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as file:
            token = file.read(_MOST_TOKEN_BYTES).strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "is no ASCII text"
        raise FetchError(f"token file {path}: {why}: mount the Secret there", of_server=True) from None
    if not token or any(character.isspace() for character in token):
        raise FetchError(f"token file {path}: holds no token on one line: mend the Secret", of_server=True)
    return token


async def _bounded(answer: httpx.Response, url: str) -> bytes:
    found = bytearray()
    async for part in answer.aiter_bytes():
        found += part
        if len(found) > MOST_BYTES:
            raise FetchError(f"{url} gave more than {MOST_BYTES >> 20} MiB: ask for less", too_long=True)
    return bytes(found)
