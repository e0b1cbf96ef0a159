"""Follow a collection of the local API server: what is there, then every change, for ever."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec

from atoll.local.api import read_access, tls_context

Object = dict[str, Any]

_WATCH_SECONDS = 60
_RETRY_SECONDS = 0.2


def client_of(kubeconfig: Path) -> httpx.AsyncClient:
    """A client of the local API server; the caller closes it."""
    access = read_access(kubeconfig)
    return httpx.AsyncClient(
        base_url=access.server,
        headers={"Authorization": f"Bearer {access.token}"},
        verify=tls_context(access),
        timeout=httpx.Timeout(10.0, read=_WATCH_SECONDS + 10.0),
        trust_env=False,
    )


async def follow(client: httpx.AsyncClient, path: str, *, selector: str = "") -> AsyncIterator[tuple[Object, bool]]:
    """Each object of a collection with whether it is there: all that are, then every one that comes, changes or goes.

    A restarted API server is an interruption, not an end; what vanished meanwhile is told afterwards.
    """
    known: dict[str, Object] = {}
    while True:
        with contextlib.suppress(httpx.HTTPError, msgspec.DecodeError, KeyError):
            listed = await client.get(path, params={"labelSelector": selector})
            listed.raise_for_status()
            content = msgspec.json.decode(listed.content)
            now = {item["metadata"]["uid"]: item for item in content["items"]}
            gone = [known[uid] for uid in known if uid not in now]
            known = now
            for item in gone:
                yield item, False
            for item in now.values():
                yield item, True
            async for kind, item in _events(client, path, selector, content["metadata"]["resourceVersion"]):
                if kind == "DELETED":
                    known.pop(item["metadata"]["uid"], None)
                else:
                    known[item["metadata"]["uid"]] = item
                yield item, kind != "DELETED"
        await asyncio.sleep(_RETRY_SECONDS)


async def _events(
    client: httpx.AsyncClient, path: str, selector: str, version: str
) -> AsyncIterator[tuple[str, Object]]:
    """Changes since a version, until the server ends the watch or forgot that version."""
    query = {
        "watch": "1",
        "labelSelector": selector,
        "resourceVersion": version,
        "timeoutSeconds": str(_WATCH_SECONDS),
    }
    async with client.stream("GET", path, params=query) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            event = msgspec.json.decode(line)
            if event["type"] not in ("ADDED", "MODIFIED", "DELETED"):
                return
            yield event["type"], event["object"]
