"""A stand-in for the kubelet's ConfigMap volume: the files Envoy reads, swapped in the way a real mount does it.

The kubelet writes the new content to a folder named by the time, points the link `..data` at it with one rename, and
keeps `<key>` as a link to `..data/<key>`. Envoy watches the folder for exactly that rename, so a plain write would
test nothing. Unlike the kubelet, which may take a minute, this one follows the ConfigMap by watch, and is as late as
it is asked to be.
"""

import asyncio
import contextlib
import logging
import shutil
import threading
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec

from atoll.local.api import read_access, tls_context

logger = logging.getLogger(__name__)

_DATA = "..data"
_WATCH_SECONDS = 60
_RETRY_SECONDS = 0.5


def swap_in(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make the folder hold exactly these files, all new or all old at any moment."""
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / _DATA
    old = link.resolve() if link.is_symlink() else None
    fresh = folder / datetime.now(UTC).strftime("..%Y_%m_%d_%H_%M_%S.%f")
    fresh.mkdir()
    for name, content in files.items():
        (fresh / name).write_bytes(content)
    draft = folder / "..data_tmp"
    draft.unlink(missing_ok=True)
    draft.symlink_to(fresh.name)
    draft.replace(link)
    for name in files:
        with contextlib.suppress(FileExistsError):
            (folder / name).symlink_to(f"{_DATA}/{name}")
    for entry in folder.iterdir():
        if not entry.name.startswith("..") and entry.name not in files:
            entry.unlink()
    if old is not None and old != fresh:
        shutil.rmtree(old, ignore_errors=True)


def files_of(config_map: Mapping[str, Any]) -> dict[str, bytes]:
    """The files that a ConfigMap's volume shows."""
    text = {name: content.encode() for name, content in (config_map.get("data") or {}).items()}
    binary = {name: b64decode(content) for name, content in (config_map.get("binaryData") or {}).items()}
    return text | binary


class StandInKubelet:
    """Follows one ConfigMap into one folder, in a thread of its own, until closed."""

    def __init__(
        self,
        *,
        kubeconfig: Path,
        namespace: str,
        config_map: str,
        folder: Path,
        on_sync: Callable[[], None] = lambda: None,
        delay_seconds: float = 0.0,
    ) -> None:
        """Prepare; nothing is followed yet.

        Args:
            kubeconfig: of the local cluster.
            namespace: of the ConfigMap.
            config_map: its name.
            folder: that shows it.
            on_sync: called after each swap.
            delay_seconds: from a change to its files; the first ones come at once, as when a pod starts.
        """
        self._kubeconfig = kubeconfig
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._name = config_map
        self._folder = folder
        self._on_sync = on_sync
        self._delay_seconds = delay_seconds
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"kubelet-{config_map}", daemon=True)

    def start(self) -> None:
        """Begin to follow; the ConfigMap need not exist yet."""
        self._thread.start()

    def close(self) -> None:
        """Stop following. The files stay, as Envoy may still read them."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._until_stopped())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    async def _until_stopped(self) -> None:
        following = asyncio.ensure_future(self._follow())
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
        if following.done() and (error := following.exception()) is not None:
            logger.error("ConfigMap %s is followed no more", self._name, exc_info=error)
        for task in (following, stopping):
            task.cancel()
        await asyncio.gather(following, stopping, return_exceptions=True)

    async def _follow(self) -> None:
        """Watch for ever: a restarted API server is an interruption, not an end."""
        access = read_access(self._kubeconfig)
        headers = {"Authorization": f"Bearer {access.token}"}
        seen = ""
        async with httpx.AsyncClient(
            base_url=access.server, headers=headers, verify=tls_context(access), trust_env=False
        ) as client:
            while True:
                with contextlib.suppress(httpx.HTTPError, msgspec.DecodeError):
                    async for config_map in self._events(client):
                        version: str = config_map["metadata"]["resourceVersion"]
                        if version != seen:
                            if seen:
                                await asyncio.sleep(self._delay_seconds)
                            await asyncio.to_thread(swap_in, self._folder, files_of(config_map))
                            seen = version
                            await asyncio.to_thread(self._on_sync)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _events(self, client: httpx.AsyncClient) -> AsyncIterator[dict[str, Any]]:
        """The ConfigMap now and after every change; deletion keeps the files, as a mounted volume does."""
        query = {
            "watch": "1",
            "fieldSelector": f"metadata.name={self._name}",
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        timeout = httpx.Timeout(10.0, read=_WATCH_SECONDS + 10.0)
        async with client.stream("GET", self._path, params=query, timeout=timeout) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                event = msgspec.json.decode(line)
                if event["type"] in ("ADDED", "MODIFIED"):
                    yield event["object"]
