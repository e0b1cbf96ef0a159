"""Hold the Lease: look, renew, take over, release. The rules are in ``cluster.lease``; this is only their clock."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from atoll.cluster.access import AccessError
from atoll.cluster.client import Client
from atoll.cluster.errors import ClusterError, ConflictError, NotFoundError
from atoll.cluster.lease import (
    NAME,
    LeaseState,
    LeaseStep,
    LeaseTerms,
    SeenLease,
    lease_object,
    read_lease,
    seconds_left,
    step,
    written,
)
from atoll.domain.objects import LEASE, ObjectLike, Reference

logger = logging.getLogger(__name__)

_REACHABLE_SECONDS = 30.0
"""A success within this time means that the API server can be reached."""


class Leader:
    """One contender for the Lease.

    Attributes:
        contact_at: last request about the Lease that succeeded, monotonic, seconds; None for never.
        reachable_since: since when they succeed without a longer pause, monotonic, seconds; None for never.
    """

    def __init__(
        self,
        client: Client,
        *,
        identity: str,
        namespace: str,
        on_loss: Callable[[str], None],
        terms: LeaseTerms | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.contact_at: float | None = None
        self.reachable_since: float | None = None
        self._client = client
        self._namespace = namespace
        self._on_loss = on_loss
        self._terms = terms or LeaseTerms()
        self._clock = clock
        self._state = LeaseState(identity=identity)
        self._acquired = asyncio.Event()
        self._last_message = ""

    @property
    def reference(self) -> Reference:
        """The Lease."""
        return Reference(kind=LEASE.name, namespace=self._namespace, name=NAME)

    def may_write(self) -> bool:
        """Whether nobody else can hold the Lease now."""
        return self.seconds_left() > 0

    def seconds_left(self) -> float:
        """How long we may still write, seconds; 0 where we may not. The client's write time-out follows it."""
        return seconds_left(self._state, self._clock(), self._terms)

    def reachable(self) -> bool:
        """Whether the API server answered lately."""
        return self.contact_at is not None and self._clock() - self.contact_at < _REACHABLE_SECONDS

    async def acquired(self) -> None:
        """Wait until the Lease is ours for the first time."""
        await self._acquired.wait()

    async def run(self) -> None:
        """Contend for ever; ends after ``on_loss`` was called. Errors are said once and tried again."""
        while True:
            try:
                lost = await self._round()
            except (ClusterError, AccessError) as error:
                lost = ""
                self._say(logging.WARNING, f"cannot reach the Lease, trying again: {error}")
            if lost:
                logger.critical("the Lease is lost: %s", lost)
                self._on_loss(lost)
                return
            await asyncio.sleep(self._terms.retry)

    async def release(self) -> None:
        """Let another operator take over at once, if the Lease is ours; never fails. End ``run`` first."""
        state, self._state = self._state, LeaseState(identity=self._state.identity)
        if state.renewed_at is None or state.seen is None:
            return
        with contextlib.suppress(ClusterError, AccessError):
            try:
                await self._apply_release(state, state.seen)
            except ConflictError:  # a renewal that was cut off may have been done all the same: look
                obj = await self._client.get(self.reference)
                if obj is None or read_lease(obj).holder != state.identity:
                    return
                await self._apply_release(state, read_lease(obj))
            logger.info("the Lease is released")

    async def _apply_release(self, state: LeaseState, seen: SeenLease) -> None:
        body = lease_object(state, self._namespace, datetime.now(UTC), self._terms, released=True)
        await self._client.apply(body, uid=seen.uid, resource_version=seen.version, urgent=True)

    async def _round(self) -> str:
        """Renew, or look and do what follows from it; answers who took the Lease from us, if someone did."""
        if self._state.seen is not None and self.may_write():
            try:
                await self._write(self._state.seen)
            except ConflictError:
                pass  # changed by another writer, or by our own write whose answer was lost: look
            else:
                return ""
        obj = await self._client.get(self.reference)
        self._contact()
        seen = read_lease(obj) if obj is not None else None
        self._state, decision = step(self._state, seen, self._clock(), self._terms)
        match decision:
            case LeaseStep.WAIT if not self._acquired.is_set():
                self._say(logging.INFO, f"waiting: the Lease is held by {seen.holder if seen else 'nobody'}")
            # Also where it was deleted, and another was faster: what was decided here is of a time that is over.
            case LeaseStep.LOST | LeaseStep.WAIT:
                return f"it is held by {seen.holder if seen else 'nobody'}"
            case LeaseStep.CREATE | LeaseStep.TAKE | LeaseStep.RENEW:
                with contextlib.suppress(ConflictError):  # another contender was first: the next round looks
                    await self._write(seen)
        return ""

    async def _write(self, seen: SeenLease | None) -> None:
        sent_at = self._clock()
        body = lease_object(self._state, self._namespace, datetime.now(UTC), self._terms)
        if seen is None:
            answer = await self._create(body)
        else:
            answer = await self._client.apply(body, uid=seen.uid, resource_version=seen.version, urgent=True)
        self._contact()
        self._state = written(self._state, read_lease(answer), sent_at)
        self._acquired.set()
        self._say(logging.INFO, f"leading as {self._state.identity}")

    async def _create(self, body: ObjectLike) -> ObjectLike:
        try:
            return await self._client.create(body, urgent=True)
        except NotFoundError as error:
            raise NotFoundError(f"{error}; create namespace {self._namespace} first") from error

    def _contact(self) -> None:
        now = self._clock()
        if not self.reachable() or self.reachable_since is None:
            self.reachable_since = now
        self.contact_at = now

    def _say(self, level: int, message: str) -> None:
        """Say it once while it stays the same."""
        if message != self._last_message:
            self._last_message = message
            logger.log(level, "%s", message)
