"""Asks Prometheus what engines report, and holds it against the estimates; answers corrections for snapshots."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from statistics import median

import httpx

from atoll.catalogue.gpus import known_gpu_kinds
from atoll.domain.correction import Correction, CorrectionUse, EngineLoad, Observed
from atoll.domain.demand import Demand, DemandKey
from atoll.domain.snapshot import ObservedDeployment, Snapshot
from atoll.domain.strategy import EngineName, PerformanceSource
from atoll.handlers.metrics import Metrics
from atoll.handlers.repeating import repeat
from atoll.optimize.templates.observed import slowness
from atoll.performance.estimate import Performance, ShippedPerformance
from atoll.performance.profiled import with_profiles
from atoll.reconcile.corrections import corrected, is_telling
from atoll.reconcile.running import pods_by_deployment
from atoll.signals.engines import EngineMetricsError, engine_loads
from atoll.signals.fetch import Server

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 600.0
_SETTLING_SECONDS = 30.0
"""After the end of a window before it is asked for: scrapes of that moment are stored by then."""

_KEPT_WINDOWS = 144
"""A day: what is not in a status by then has moved nothing."""

_LOOK_SECONDS = 5.0

_Key = tuple[DemandKey, str, EngineName]


@dataclass(slots=True, kw_only=True)
class Observing:
    """What engines report.

    Attributes:
        server: Prometheus; None where the operator was told of none: then nothing is corrected.
        http: to ask with.
        metrics: to count in.
        performance: what is estimated.
        wake: called when there is something new.
        clock: Unix seconds.
    """

    server: Server | None
    http: httpx.AsyncClient
    metrics: Metrics
    performance: Performance = field(default_factory=ShippedPerformance)
    wake: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.time
    _asked_until: float = 0.0
    _is_off: bool = False
    _fresh: tuple[EngineLoad, ...] = ()
    _windows: dict[_Key, tuple[Observed, ...]] = field(default_factory=dict)

    async def run(self) -> None:
        """Ask until cancelled."""
        await repeat(
            self.look,
            pause=lambda: _LOOK_SECONDS,
            metrics=self.metrics,
            loop="observing",
            doing="asking for engines' load",
        )

    async def look(self) -> None:
        """Ask for the last window that has ended, once; one that cannot be had is left out."""
        ended_at = (self.clock() - _SETTLING_SECONDS) // WINDOW_SECONDS * WINDOW_SECONDS
        if self.server is None or self._is_off or ended_at <= self._asked_until:
            return
        self._asked_until = ended_at
        try:
            self._fresh = await engine_loads(self.server, self.http, ended_at=ended_at, seconds=WINDOW_SECONDS)
        except EngineMetricsError as error:
            logger.warning("engines' load: %s; corrections stay as they are", error)
            return
        if self._fresh:
            self.wake()

    def corrections(self, snapshot: Snapshot) -> Mapping[DemandKey, tuple[Correction, ...]]:
        """Corrections of all demands: what their status remembers, and what was heard since.

        Args:
            snapshot: with what statuses remember.
        """
        self._is_off = snapshot.fleet.corrections is CorrectionUse.OFF
        if self._is_off:
            return {}
        self._take(snapshot)
        found: dict[DemandKey, tuple[Correction, ...]] = {}
        for key, demand in snapshot.demands.items():
            known = {item.gpu_kind: item for item in snapshot.corrections.get(key, ())}
            for kind, windows in self._of(demand):
                first = Correction(gpu_kind=kind, engine=demand.engine.name, until=datetime.fromtimestamp(0.0, tz=UTC))
                known[kind] = corrected(known.get(kind, first), windows)
            if known:
                found[key] = tuple(known[kind] for kind in sorted(known))
        return found

    def _of(self, demand: Demand) -> list[tuple[str, tuple[Observed, ...]]]:
        name = demand.engine.name
        return [(key[1], items) for key, items in self._windows.items() if key[0] == demand.key and key[2] is name]

    def _take(self, snapshot: Snapshot) -> None:
        """Hold what is fresh against the estimates, once."""
        loads, self._fresh = {(load.namespace, load.pod): load for load in self._fresh}, ()
        if not loads:
            return
        pods = pods_by_deployment(snapshot)
        slow: dict[_Key, list[float]] = defaultdict(list)
        for deployment in snapshot.deployments:
            demand = snapshot.demands.get(deployment.demand)
            for pod in pods.get((deployment.namespace, deployment.name), ()) if demand is not None else ():
                load = loads.get((pod.namespace, pod.name))
                if demand is None or load is None or not is_telling(load, pod, deployment):
                    continue
                found = self._slowness(load, demand, deployment, snapshot)
                if found is not None:
                    kind = deployment.strategy.stages[0].gpu_kind
                    slow[demand.key, kind, deployment.strategy.engine].append(found)
        ended_at = next(iter(loads.values())).ended_at
        for key, values in slow.items():
            window = Observed(ended_at=ended_at, seconds=WINDOW_SECONDS, slowness=median(values))
            self._windows[key] = (*self._windows.get(key, ()), window)[-_KEPT_WINDOWS:]
        for key in [key for key in self._windows if key[0] not in snapshot.demands]:
            del self._windows[key]

    def _slowness(
        self, load: EngineLoad, demand: Demand, deployment: ObservedDeployment, snapshot: Snapshot
    ) -> float | None:
        strategy = deployment.strategy
        known = with_profiles(self.performance, snapshot.profiles, demand.architecture, strategy.engine)
        kind = known_gpu_kinds().get(strategy.stages[0].gpu_kind)
        if kind is None:
            return None
        costs = known.costs(demand.architecture, kind, strategy.tp, strategy.quantisation, strategy.engine)
        if costs.source is PerformanceSource.PROFILE:
            return None
        return slowness(load, demand.workload, demand.architecture.layers, costs)


def with_observed(snapshot: Snapshot, observing: Observing | None) -> Snapshot:
    """The snapshot with its corrections."""
    return replace(snapshot, corrections=observing.corrections(snapshot)) if observing is not None else snapshot
