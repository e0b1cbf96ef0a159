"""Dynamic Resource Allocation as it was lately: slices, claims, and our own claim templates, in the cache.

They are listed, not watched: a watch of kinds that the API server does not serve, as before Kubernetes 1.34, would end
all others.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from atoll.cluster.access import AccessError
from atoll.cluster.client import Client
from atoll.cluster.errors import ClusterError, ForbiddenError, NotFoundError
from atoll.domain.objects import (
    DEVICE_KINDS,
    RESOURCE_CLAIM_TEMPLATE,
    RESOURCE_SLICE,
    Kind,
)
from atoll.handlers.cache import Cache
from atoll.handlers.kopfthread import MANAGED_BY_US
from atoll.handlers.metrics import Metrics
from atoll.handlers.repeating import repeat
from atoll.handlers.slim import slim

logger = logging.getLogger(__name__)

OFTEN_SECONDS = 5.0
"""Where GPUs are published as devices: others' claims come and go like pods."""
SELDOM_SECONDS = 30.0

GONE_LOOKS = 3
"""Looks in a row that must miss kinds which were served before: one of several API servers may be older for a while."""

FIRST_LOOKS = 30
"""Before the first decision; what is claimed is then taken as unknown rather than waiting for ever."""


@dataclass(slots=True, kw_only=True)
class Devices:
    """Keeps the cache up to date.

    Attributes:
        client: to list with.
        cache: to fill.
        metrics: to count in.
        wake: called with a kind of which something has changed.
        served: the API server has these kinds, as far as is known.
    """

    client: Client
    cache: Cache
    metrics: Metrics
    wake: Callable[[Kind], None] = lambda _: None
    served: bool = True
    _said: str = field(default="", init=False)
    _missing: int = field(default=GONE_LOOKS - 1, init=False)
    """Looks in a row that did not find the kinds; the first look of all may be believed."""

    async def begin(self, *, pause: float = 1.0) -> None:
        """Look until there is an answer: GPUs that others have claimed must be known before the first decision."""
        for _ in range(FIRST_LOOKS):
            if await self.look():
                return
            await asyncio.sleep(pause)
        logger.error("decides without knowing which GPUs are claimed: the API server does not list claims")

    async def run(self) -> None:
        """List until cancelled."""
        await repeat(self.look, pause=self._pause, metrics=self.metrics, loop="devices", doing="listing devices")

    def _pause(self) -> float:
        view = self.cache.view()
        is_used = any(view.get(kind.name) for kind in (RESOURCE_SLICE, RESOURCE_CLAIM_TEMPLATE))
        return OFTEN_SECONDS if is_used else SELDOM_SECONDS

    async def look(self) -> bool:
        """List once; while the API server does not answer, what was seen last is kept.

        Returns:
            Whether there was an answer; that it has no such kinds, or that we may not list them, is one.
        """
        try:
            for kind in DEVICE_KINDS:
                labels = MANAGED_BY_US if kind == RESOURCE_CLAIM_TEMPLATE else ""
                listing = await self.client.list(kind, labels=labels, each=slim)
                if self.cache.replace(
                    kind, listing.items, resource_version=listing.resource_version, now=time.monotonic()
                ):
                    self.wake(kind)
        except NotFoundError:
            self._missing = min(self._missing + 1, GONE_LOOKS)
            self.served, self._said = self._missing < GONE_LOOKS, ""
        except (ClusterError, AccessError) as error:
            if str(error) != self._said:
                self._said = str(error)
                logger.warning("claimed GPUs are not seen: %s", error)
            return isinstance(error, ForbiddenError)
        else:
            self.served, self._said, self._missing = True, "", 0
        return True
