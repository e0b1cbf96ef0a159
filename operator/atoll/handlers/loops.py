"""Two loops over one snapshot source: one decides, one acts. Neither waits for the other."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from atoll.domain.objects import Kind
from atoll.handlers.executor import Executor
from atoll.handlers.gather import Gatherer
from atoll.handlers.metrics import Metrics
from atoll.handlers.planner import Planner

logger = logging.getLogger(__name__)

_MOVING_SECONDS = 1.0
"""Between two steps of a move: drain times end and routers acknowledge without any object changing."""

_LONGEST_PAUSE_SECONDS = 60.0


@dataclass(slots=True, kw_only=True)
class Loops:
    """The planner's and the executor's loop.

    Attributes:
        planner: decides.
        executor: acts.
        gatherer: sees.
        metrics: to count looks and errors in.
        debounce_seconds: from a change to the look at it, seconds.
        tick_seconds: between two looks while nothing changes, seconds.
    """

    planner: Planner
    executor: Executor
    gatherer: Gatherer
    metrics: Metrics
    debounce_seconds: float
    tick_seconds: float
    _plan: asyncio.Event = field(default_factory=asyncio.Event)
    _act: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self, kind: Kind | None = None) -> None:
        """Something of this kind has changed, or something outside the cluster."""
        del kind  # level-triggered: what changed is seen in the snapshot
        self._plan.set()
        self._act.set()

    async def run(self) -> None:
        """Run both loops until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._loop("planner", self._plan, self._look_to_plan))
            group.create_task(self._loop("executor", self._act, self._look_to_act))

    async def _look_to_plan(self) -> float:
        now = datetime.now(UTC)
        if await self.planner.look(self.gatherer.snapshot(now), now):
            self._act.set()
        return self.tick_seconds

    async def _look_to_act(self) -> float:
        planning = self.planner.planning
        if planning is None:
            return self.tick_seconds
        snapshot = await self.gatherer.with_routers(self.gatherer.snapshot(datetime.now(UTC)))
        step = await self.executor.look(snapshot, planning, datetime.now(UTC))
        return self.tick_seconds if step.converged else min(_MOVING_SECONDS, self.tick_seconds)

    async def _loop(self, name: str, wake: asyncio.Event, look: Callable[[], Awaitable[float]]) -> None:
        """Look, wait for a change or the time that the look asked for, look again; an error is told and tried again."""
        failures = 0
        while True:
            wake.clear()
            try:
                pause = await look()
                failures = 0
                self.metrics.looked.labels(loop=name).set_to_current_time()
            except Exception:
                failures += 1
                pause = min(_LONGEST_PAUSE_SECONDS, 2.0**failures)
                self.metrics.loop_errors.labels(loop=name).inc()
                logger.exception("%s failed, tries again in %.0f s", name, pause)
                await asyncio.sleep(pause)
                continue
            await _woken_within(wake, pause)
            await asyncio.sleep(self.debounce_seconds)


async def _woken_within(wake: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return
