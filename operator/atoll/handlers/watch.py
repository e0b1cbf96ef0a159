"""Keep the cache like the cluster: kopf's events, and our own LIST beside them.

kopf tells of no deletion that happened while its stream was away (a 410 makes it list again in silence), so our own
LIST follows whenever it lists again, and every few minutes anyhow. The handlers only fill the cache and wake who
decides.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from atoll.cluster.access import AccessError
from atoll.cluster.client import Client
from atoll.cluster.discovery import (
    ServerVersion,
    missing_kinds,
    missing_permissions,
    needed_permissions,
    server_version,
)
from atoll.cluster.errors import ClusterError, NotFoundError
from atoll.cluster.lease import NAME
from atoll.domain.objects import CHILD_KINDS, FLEET, LEASE, NODE, OUR_KINDS, POD, Kind, ObjectLike
from atoll.handlers.cache import Cache
from atoll.handlers.kopfthread import MANAGED_BY_US, Backoffs, KopfThread, chosen_fields, watch_settings
from atoll.handlers.slim import slim
from atoll.render.router.routing import ROUTER

logger = logging.getLogger(__name__)

CACHED = (*OUR_KINDS, NODE, POD, *CHILD_KINDS)
"""Kinds that decisions read; the Lease is watched beside them."""

_SETTLE_SECONDS = 1.0
"""A stream that lists again is given so long to tell the rest of it."""
_STOP_SECONDS = 8.0


class WatchEndedError(Exception):
    """The watch cannot go on; the message says why. It is safe to start it again."""


@dataclass(slots=True)
class WatchState:
    """What probes ask of the watch; times are monotonic, in seconds.

    Attributes:
        since: when it was started; None while it waits for custom resource definitions or the API server.
        lease_seen_at: when it last told of the Lease.
    """

    since: float | None = None
    lease_seen_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """The watch and what it feeds.

    Attributes:
        client: for our own lists and questions.
        cache: is kept up to date.
        wake: is called with a kind of which something has changed, and once when all kinds are known.
        namespace: where the operator and its Lease live.
        state: for probes.
        resync_seconds: between two lists of our own, seconds.
    """

    client: Client
    cache: Cache
    wake: Callable[[Kind], None]
    namespace: str
    state: WatchState = field(default_factory=WatchState)
    resync_seconds: float = 300.0

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until ``stop`` is set; wait for the API server and for custom resource definitions as long as it takes.

        Raises:
            WatchEndedError: kopf ended by itself, for example because a definition was deleted.
        """
        version = await self._prepare(stop)
        if version is None:
            return
        logger.info("watching Kubernetes %s", version.text)
        loop, relisted = asyncio.get_running_loop(), asyncio.Event()

        def take(kind: Kind, what: str | None, obj: ObjectLike) -> None:
            if what is None:
                relisted.set()
            self._take(kind, what, obj)

        def deliver(kind: Kind, what: str | None, obj: ObjectLike) -> None:
            with contextlib.suppress(RuntimeError):  # our loop is closed: the process is ending
                loop.call_soon_threadsafe(take, kind, what, obj)

        thread = KopfThread(
            access=self.client.access,
            kinds=(*CACHED, LEASE),
            settings=watch_settings(namespace=self.namespace, initial_streaming=version.streams_lists),
            deliver=deliver,
        )
        self.state.since = time.monotonic()
        watching = asyncio.create_task(thread.run(), name="kopf")
        listing = asyncio.create_task(self._resync_forever(relisted), name="resync")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait((watching, listing, stopping), return_when=asyncio.FIRST_COMPLETED)
            error = next((task.exception() for task in (listing, watching) if task.done()), None)
        finally:
            self.state.since = None
            self.cache.desync()
            thread.stop()
            listing.cancel()
            stopping.cancel()
        await asyncio.wait((watching, listing), timeout=_STOP_SECONDS)
        if not stop.is_set():
            raise WatchEndedError(f"the watch ended: {error or 'kopf stopped'}{await self._hint()}") from error

    async def _prepare(self, stop: asyncio.Event) -> ServerVersion | None:
        """Wait until watching can start; None where ``stop`` was set before."""
        backoffs, said = iter(Backoffs()), ""
        while not stop.is_set():
            try:
                wrong = _not_installed(await missing_kinds(self.client))
                if not wrong:
                    await self._report_permissions()
                    return await server_version(self.client)
            except (ClusterError, AccessError) as error:
                wrong = f"cannot reach the API server: {error}"
            if wrong != said:
                logger.warning("not watching yet, trying again: %s", wrong)
                said = wrong
            await _sleep_unless(stop, next(backoffs))
        return None

    async def _hint(self) -> str:
        with contextlib.suppress(ClusterError, AccessError):
            if wrong := _not_installed(await missing_kinds(self.client)):
                return f"; {wrong}"
        return ""

    def _take(self, kind: Kind, what: str | None, obj: ObjectLike) -> None:
        if kind == LEASE:
            self.state.lease_seen_at = time.monotonic()
            return
        changed = self.cache.remove(kind, obj) if what == "DELETED" else self.cache.upsert(kind, obj)
        if changed:
            self.wake(kind)

    async def _resync_forever(self, relisted: asyncio.Event) -> None:
        backoffs, said = iter(Backoffs()), ""
        while True:
            relisted.clear()
            synced = self.cache.synced(CACHED)
            try:
                for kind in CACHED:
                    await self._resync(kind)
            except NotFoundError as error:
                raise WatchEndedError(f"{error}; was its custom resource definition deleted?") from error
            except (ClusterError, AccessError) as error:
                if str(error) != said:
                    logger.warning("cannot list, trying again: %s", error)
                    said = str(error)
                await asyncio.sleep(next(backoffs))
                continue
            backoffs, said = iter(Backoffs()), ""
            if not synced:
                self.wake(FLEET)
            if await _set_within(relisted, self.resync_seconds):
                await asyncio.sleep(_SETTLE_SECONDS)

    async def _resync(self, kind: Kind) -> None:
        labels = MANAGED_BY_US if kind in CHILD_KINDS else ""
        listing = await self.client.list(kind, labels=labels, fields=chosen_fields(kind, self.namespace), each=slim)
        now = time.monotonic()
        if self.cache.replace(kind, listing.items, resource_version=listing.resource_version, now=now):
            self.wake(kind)

    async def _report_permissions(self) -> None:
        missing = await missing_permissions(self.client, needed_permissions(self.namespace, NAME, ROUTER))
        if missing:
            logger.error("permissions are missing, grant them to the operator: %s", "; ".join(map(str, missing)))


def _not_installed(kinds: Sequence[Kind]) -> str:
    if not kinds:
        return ""
    names = ", ".join(f"{kind.plural}.{kind.api_version.partition('/')[0]}" for kind in kinds)
    return f"custom resource definitions are not installed: {names}; apply those of the chart (crds/)"


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def _sleep_unless(stop: asyncio.Event, seconds: float) -> None:
    await _set_within(stop, seconds)
