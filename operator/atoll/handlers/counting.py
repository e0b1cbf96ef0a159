"""Counts demand by the routers' own statistics: every router at every step, and a sample only where all have answered.

It only listens: readings go into snapshots, where decisions are. A window is known only since the operator was started;
until then what the demand's status says is held, and never lowered before a whole keep-window was seen.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType

import httpx

from atoll.api.demands import parse_demand_signal
from atoll.domain.demand import DemandKey
from atoll.domain.fleet import Fleet
from atoll.domain.objects import FLEET, MODEL_DEMAND, POD
from atoll.domain.reason import Fault, Reason
from atoll.domain.signal import HISTORY, Reading, RouterCounts
from atoll.handlers.backoff import Backoff, is_due
from atoll.handlers.cache import Cache
from atoll.handlers.metrics import Metrics
from atoll.handlers.repeating import repeat
from atoll.reconcile.counted import UnknownSinceError, begun_rates
from atoll.reconcile.observe import observe_pod
from atoll.reconcile.ownership import fleet_of, is_ours
from atoll.reconcile.policy import policy_of
from atoll.reconcile.routers import router_urls
from atoll.render.router.routing import RouterSettings
from atoll.signals.routers import RouterError, router_counts

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0

_NO_ENVOY = Fault(
    reason=Reason.SIGNAL_NOT_CONFIGURED,
    message="the Fleet's spec.router.target leaves nothing to count for: set Envoy or Both, or measure by prometheus",
)
_NO_ROUTER = Fault(
    reason=Reason.SIGNAL_MISSING, message="no router pod is Ready to be asked: look at the pods of atoll-router"
)


@dataclass(slots=True)
class _Group:
    """Demands that are counted at the same moments.

    Attributes:
        due: when routers are asked next, Unix seconds.
        since: when all had last answered, Unix seconds; None for never.
        before: what each had counted then, by URL.
        readings: what was heard so far, by demand.
        backoff: after faults.
    """

    due: float = 0.0
    since: float | None = None
    before: Mapping[str, RouterCounts] = field(default_factory=dict)
    readings: dict[DemandKey, Reading] = field(default_factory=dict)
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(slots=True, kw_only=True)
class Counting:
    """The latest readings of all demands that routers count.

    Attributes:
        cache: where demands, the Fleet and router pods are seen.
        fleet: whose demands are counted.
        router: where router pods listen.
        http: to ask them with.
        metrics: to count in.
        wake: called when there is news that should not wait for the loops' next tick: a first answer, a fault, its end.
        clock: Unix seconds.
    """

    cache: Cache
    fleet: str
    router: RouterSettings
    http: httpx.AsyncClient
    metrics: Metrics
    wake: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.time
    _groups: dict[float, _Group] = field(default_factory=dict)

    @property
    def readings(self) -> Mapping[DemandKey, Reading]:
        """What was heard so far; demands that nobody has asked for yet are missing."""
        return MappingProxyType({key: found for each in self._groups.values() for key, found in each.readings.items()})

    async def run(self) -> None:
        """Ask until cancelled."""
        await repeat(
            self.look, pause=lambda: _LOOK_SECONDS, metrics=self.metrics, loop="counting", doing="counting demand"
        )

    async def look(self) -> None:
        """Ask for what is due now."""
        wanted = self._wanted()
        for step in self._groups.keys() - wanted.keys():
            del self._groups[step]
        for step, keys in wanted.items():
            group = self._groups.setdefault(step, _Group())
            group.readings = {key: found for key, found in group.readings.items() if key in keys}
            if is_due(group.due, self.clock(), longest=step):
                await self._ask(group, step, keys)

    def _wanted(self) -> dict[float, set[DemandKey]]:
        """Demands of the fleet that routers count, by the time between two samples, seconds."""
        found: dict[float, set[DemandKey]] = {}
        for raw in self.cache.view().get(MODEL_DEMAND.name, {}).values():
            metadata, signal = raw["metadata"], parse_demand_signal(raw)
            if signal is None or not signal.counted or metadata.get("deletionTimestamp"):
                continue
            if fleet_of(raw) == self.fleet:
                key = DemandKey(namespace=metadata.get("namespace", ""), name=metadata["name"])
                found.setdefault(signal.step_seconds, set()).add(key)
        return found

    async def _ask(self, group: _Group, step: float, keys: Iterable[DemandKey]) -> None:
        policy = self._policy().router
        pods = (observe_pod(raw) for raw in self.cache.view().get(POD.name, {}).values() if is_ours(_labels(raw)))
        urls = router_urls(policy, pods, self.router)
        if not urls:
            self._failed(group, keys, _NO_ROUTER if policy.target.uses_envoy else _NO_ENVOY)
            return
        try:
            counts = await router_counts(urls, self.http, self.clock)
        except RouterError as error:
            self._failed(group, keys, Fault(reason=Reason.SIGNAL_UNREACHABLE, message=str(error)))
            return
        now = self.clock()
        self.metrics.router_queries.labels(result="answered").inc(len(urls))
        group.backoff.reset()
        group.due = (math.floor(now / step + 0.5) + 1.0) * step  # never less than half a step from now: that is noise
        at, since, before = math.floor(now / step) * step, group.since, group.before
        group.since, group.before = now, counts
        if since is None:
            return  # counters tell a rate from the second look on
        try:
            rates = begun_rates(before, counts, since)
        except UnknownSinceError:
            return  # a sample that is missing: what this router has counted is known from now on
        for key in keys:
            self._heard(group, key, (at, rates.get(str(key), 0.0)))

    def _heard(self, group: _Group, key: DemandKey, sample: tuple[float, float]) -> None:
        known = group.readings.get(key)
        if known is None or known.fault is not None:
            self.wake()
        earlier = tuple(item for item in known.samples if item[0] < sample[0]) if known is not None else ()
        group.readings[key] = Reading(samples=(*earlier, sample)[-HISTORY:], heard_at=datetime.now(UTC))

    def _failed(self, group: _Group, keys: Iterable[DemandKey], fault: Fault) -> None:
        self.metrics.router_queries.labels(result=fault.reason.value).inc()
        group.due = group.backoff.failed(self.clock())
        if group.backoff.failures == 1:
            logger.warning("counted demand: %s", fault, extra={"reason": fault.reason.value})
            self.wake()
        for key in keys:
            group.readings[key] = replace(group.readings.get(key, Reading()), fault=fault)

    def _policy(self) -> Fleet:
        for raw in self.cache.view().get(FLEET.name, {}).values():
            if raw["metadata"]["name"] == self.fleet:
                return policy_of(raw)[0]
        return Fleet(name=self.fleet)


def _labels(raw: Mapping[str, object]) -> Mapping[str, str]:
    metadata = raw["metadata"]
    return (metadata.get("labels") or {}) if isinstance(metadata, Mapping) else {}
