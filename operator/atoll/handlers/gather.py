"""Gather: the cache, and what the routers say, as one snapshot."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import httpx

from atoll.domain.demand import DemandKey
from atoll.domain.feed import FeedReading
from atoll.domain.fleet import SCHEDULER, Acknowledgement, PoolDiscovery
from atoll.domain.objects import KINDS
from atoll.domain.signal import Reading
from atoll.domain.snapshot import Snapshot
from atoll.domain.workload import SeenLengths
from atoll.handlers.cache import Cache
from atoll.handlers.nodepools import NodePools
from atoll.handlers.observing import Observing, with_observed
from atoll.handlers.readiness import Readiness
from atoll.handlers.released import Released
from atoll.handlers.routes import Routes
from atoll.handlers.unheard import Unheard
from atoll.reconcile.masks import next_masks
from atoll.reconcile.observe import observe
from atoll.reconcile.routers import router_urls
from atoll.render.router.routing import RouterSettings
from atoll.signals.routers import router_versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Gatherer:
    """Makes snapshots.

    Attributes:
        cache: objects as last seen.
        fleet: name of the Fleet looked after.
        router: where router pods listen.
        scheduler: kube-scheduler profile of engine pods.
        readings: what was heard of measured demands.
        feeds: what was heard of price feeds, by URL.
        claims_served: whether the API server has ResourceClaims.
        refused: what autoscalers said of pods of ours, by uid.
        lengths: how long demands' requests were lately.
        pruned: fields that the API server does not take of our writes.
        http: to ask routers with.
        routes: lists HTTPRoutes.
        observing: what engines report; None where nobody asks.
        node_pools: Karpenter's, of which pools are discovered; None where nobody asks.
        readiness: of pods on nodes whose clock is ahead.
    """

    cache: Cache
    fleet: str
    router: RouterSettings
    scheduler: str = SCHEDULER
    readings: Callable[[], Mapping[DemandKey, Reading]] = dict
    feeds: Callable[[], Mapping[str, FeedReading]] = dict
    claims_served: Callable[[], bool] = lambda: True
    refused: Callable[[], Mapping[str, str]] = dict
    lengths: Callable[[], Mapping[DemandKey, SeenLengths]] = dict
    pruned: Callable[[], tuple[str, ...]] = tuple
    http: httpx.AsyncClient
    routes: Routes
    node_pools: NodePools | None = None
    readiness: Readiness = field(default_factory=Readiness)
    observing: Observing | None = None
    _unheard: Unheard = field(default_factory=Unheard)
    _released: Released = field(default_factory=Released)

    def snapshot(self, now: datetime) -> Snapshot:
        """What is known now, without the routers."""
        objects = {KINDS[name]: items.values() for name, items in self.cache.view().items() if name in KINDS}
        heard, feeds = self.readings(), self.feeds()
        seen = observe(
            objects,
            fleet=self.fleet,
            router_versions={},
            now=now,
            readings=heard,
            feeds=feeds,
            claims_served=self.claims_served(),
            lengths=self.lengths(),
        )
        seen = with_observed(seen, self.observing)
        policy = replace(seen.fleet, scheduler=self.scheduler)
        seen = replace(
            seen,
            fleet=policy,
            pods=self.readiness.of(seen.pods, now),
            unheard=self._unheard.of(seen, now),
            released=self._released.of(seen, now),
            refused=self.refused(),
            pruned=self.pruned(),
        )
        return replace(seen, masks=next_masks(seen, now))

    async def with_routers(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with what those that carry requests have taken: routers' versions, and HTTPRoutes' status."""
        snapshot = await self.routes.with_routes(snapshot)
        if self.node_pools is not None and snapshot.fleet.pool_discovery is not PoolDiscovery.NEVER:
            snapshot = replace(snapshot, node_pools=await self.node_pools.seen())
        return replace(snapshot, router_versions=await router_versions(self._urls(snapshot), self.http))

    def _urls(self, snapshot: Snapshot) -> list[str]:
        policy = snapshot.fleet.router
        if policy.acknowledgement is Acknowledgement.NONE:
            return []
        return router_urls(policy, snapshot.pods, self.router)
