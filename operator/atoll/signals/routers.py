"""What routers say on Envoy's read-only listener: which configuration they have taken, and what they have counted."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Iterable

import httpx

from atoll.domain.signal import RouterCounts
from atoll.signals.fetch import Answer, FetchError, Server, fetch

_VERSION = re.compile(r'^\S+\.(?:cds|rds\.\S+)\.version_text: "([^"]*)"$', re.MULTILINE)
"""Lines of ``/stats?filter=version_text`` of clusters and routes (Envoy 1.40)."""

_TIMEOUT_SECONDS = 2.0

_COUNTERS = r"^(server\.uptime$|atoll_router\.requests\.demand\.|cluster\.[^.]+/[^.]+\.upstream_rq_(pending_)?active$)"
"""Of ``/stats?filter=``: all that is read of the page, which has hundreds of lines for each served model."""

_COUNT = re.compile(
    r"^(?:(?P<uptime>server\.uptime)|atoll_router\.requests\.demand\.(?P<ended>[^.:\s]+/[^.:\s]+)\.status\.[^:\s]*"
    r"|cluster\.(?P<active>[^.:\s]+/[^.:\s]+)\.upstream_rq_(?:pending_)?active): (?P<count>\d{1,18})$",
    re.MULTILINE,
)
"""Lines of that page (Envoy 1.40)."""


class RouterError(Exception):
    """A router gave no page of statistics; the message says what happened."""


async def router_versions(urls: Iterable[str], client: httpx.AsyncClient) -> dict[str, str | None]:
    """The version that each router has taken of clusters and routes alike; None where it cannot be read or they differ.

    Args:
        urls: base URLs of the routers' read-only listeners.
        client: to ask with.
    """
    wanted = tuple(urls)
    versions = await asyncio.gather(*(_version(url, client) for url in wanted))
    return dict(zip(wanted, versions, strict=True))


def version_in(text: str) -> str | None:
    """The one version that a statistics page tells; None where it tells none or several."""
    found = set(_VERSION.findall(text))
    return found.pop() if len(found) == 1 else None


async def _version(url: str, client: httpx.AsyncClient) -> str | None:
    try:
        answer = await _stats(url, client, "version_text")
    except FetchError:
        return None
    return version_in(answer.content.decode(errors="replace")) if answer.status == httpx.codes.OK else None


async def router_counts(
    urls: Iterable[str], client: httpx.AsyncClient, clock: Callable[[], float]
) -> dict[str, RouterCounts]:
    """What each router has counted.

    Args:
        urls: base URLs of the routers' read-only listeners.
        client: to ask with.
        clock: Unix seconds.

    Raises:
        RouterError: one of them did not say; the sum of the others would be no sum.
    """
    wanted = tuple(urls)
    found = await asyncio.gather(*(_counts(url, client, clock) for url in wanted))
    return dict(zip(wanted, found, strict=True))


def counts_in(text: str, at: float) -> RouterCounts | None:
    """What a statistics page tells; None where it is none.

    A request counts from its beginning: those that have ended, by the router's own count, and those in flight.
    """
    requests: defaultdict[str, float] = defaultdict(float)
    uptime = None
    for line in _COUNT.finditer(text):
        count = float(line["count"])
        if line["uptime"]:
            uptime = count
        else:
            requests[line["ended"] or line["active"]] += count
    return None if uptime is None else RouterCounts(at=at, uptime_seconds=uptime, requests=dict(requests))


async def _counts(url: str, client: httpx.AsyncClient, clock: Callable[[], float]) -> RouterCounts:
    base = url.rstrip("/")
    try:
        answer = await _stats(url, client, _COUNTERS)
    except FetchError as error:
        raise RouterError(str(error).replace(f"?{_query(_COUNTERS)}", "")) from None
    if answer.status != httpx.codes.OK:
        raise RouterError(f"{base}/stats answered {answer.status}: look at the router")
    found = counts_in(answer.content.decode(errors="replace"), clock())
    if found is None:
        raise RouterError(f"{base}/stats does not answer as Envoy does: look at the URL")
    return found


async def _stats(url: str, client: httpx.AsyncClient, wanted: str) -> Answer:
    """The lines of a router's page of statistics that match a regular expression."""
    base = url.rstrip("/")
    return await fetch(Server(url=base, seconds=_TIMEOUT_SECONDS), client, "GET", f"{base}/stats?{_query(wanted)}")


def _query(wanted: str) -> httpx.QueryParams:
    return httpx.QueryParams({"filter": wanted})
