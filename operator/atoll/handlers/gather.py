"""Gather: the cache, and what the routers say, as one snapshot."""

from dataclasses import dataclass, field, replace
from datetime import datetime

import httpx

from atoll.domain.fleet import Acknowledgement
from atoll.domain.objects import KINDS
from atoll.domain.snapshot import Snapshot
from atoll.handlers.cache import Cache
from atoll.handlers.unheard import Unheard
from atoll.reconcile.masks import next_masks
from atoll.reconcile.observe import observe
from atoll.reconcile.ownership import is_ours
from atoll.render import names
from atoll.render.router.configuration import COMPONENT
from atoll.render.router.routing import RouterSettings
from atoll.signals.routers import router_versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Gatherer:
    """Makes snapshots.

    Attributes:
        cache: objects as last seen.
        fleet: name of the Fleet looked after.
        router: where router pods listen.
        http: to ask routers with.
    """

    cache: Cache
    fleet: str
    router: RouterSettings
    http: httpx.AsyncClient
    _unheard: Unheard = field(default_factory=Unheard)

    def snapshot(self, now: datetime) -> Snapshot:
        """What is known now, without the routers."""
        objects = {KINDS[name]: items.values() for name, items in self.cache.view().items() if name in KINDS}
        seen = observe(objects, fleet=self.fleet, router_versions={}, now=now)
        return replace(seen, masks=next_masks(seen, now), unheard=self._unheard.of(seen, now))

    async def with_routers(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the configuration version that every router has taken."""
        return replace(snapshot, router_versions=await router_versions(self._urls(snapshot), self.http))

    def _urls(self, snapshot: Snapshot) -> list[str]:
        policy = snapshot.fleet.router
        if policy.acknowledgement is Acknowledgement.ENDPOINTS:
            return list(policy.endpoints)
        if policy.acknowledgement is Acknowledgement.NONE:
            return []
        return [
            f"http://{pod.address or 'no-address'}:{self.router.status_port}"
            for pod in snapshot.pods
            if is_ours(pod.labels)
            and pod.labels.get(names.COMPONENT) == COMPONENT
            and pod.namespace == self.router.namespace
            and pod.ready
            and not pod.deleting
        ]
