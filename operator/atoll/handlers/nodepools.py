"""Karpenter's NodePools as they were lately, for pools that are discovered of them.

They are listed now and then, not watched: a watch of a kind whose definition is not there, or goes, would end all
others, and they change seldom.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from atoll.cluster.client import Client
from atoll.cluster.errors import ClusterError, NotFoundError
from atoll.domain.objects import NODE_POOL, ObjectLike
from atoll.handlers.slim import slim

logger = logging.getLogger(__name__)

EVERY_SECONDS = 30.0


@dataclass(slots=True)
class NodePools:
    """Remembers the last list; ``monotonic`` is the clock, seconds."""

    client: Client
    monotonic: Callable[[], float] = time.monotonic
    _listed_at: float = field(default=-EVERY_SECONDS, init=False)
    _seen: tuple[ObjectLike, ...] | None = field(default=None, init=False)
    _said: str = field(default="", init=False)

    async def seen(self) -> tuple[ObjectLike, ...] | None:
        """The NodePools, none where Karpenter is not installed; None while they cannot be read."""
        now = self.monotonic()
        if now - self._listed_at >= EVERY_SECONDS:
            self._listed_at = now
            self._seen = await self._list()
        return self._seen

    async def _list(self) -> tuple[ObjectLike, ...] | None:
        try:
            found = (await self.client.list(NODE_POOL, each=slim)).items
        except NotFoundError:
            found = ()
        except ClusterError as error:
            if str(error) != self._said:
                self._said = str(error)
                logger.warning("no pools are discovered: %s", error, extra={"reason": error.reason.value})
            return None
        self._said = ""
        return found
