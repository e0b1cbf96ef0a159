"""Which configuration version every router has taken, read from Envoy's read-only listener."""

import asyncio
import re
from collections.abc import Iterable

import httpx

_VERSION = re.compile(r'^\S+\.(?:cds|rds\.\S+)\.version_text: "([^"]*)"$', re.MULTILINE)
"""Lines of ``/stats?filter=version_text`` of clusters and routes (Envoy 1.40)."""

_TIMEOUT_SECONDS = 2.0


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
        answer = await client.get(
            f"{url.rstrip('/')}/stats", params={"filter": "version_text"}, timeout=_TIMEOUT_SECONDS
        )
    except httpx.HTTPError:
        return None
    return version_in(answer.text) if answer.status_code == httpx.codes.OK else None
