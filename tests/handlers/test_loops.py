"""One loop wakes the other: what is decided is acted upon at once, not when the next look is due."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from atoll.domain.planning import Planning
from atoll.handlers.loops import Loops
from atoll.handlers.metrics import Metrics
from atoll.reconcile.transition import Step

HOUR = 3600.0


class Gatherer:
    def snapshot(self, _: datetime) -> Any:
        return "snapshot"

    async def with_routers(self, snapshot: Any) -> Any:
        return snapshot


class Planner:
    """Says at each look whether there is something new."""

    def __init__(self, *news: bool) -> None:
        self.planning = Planning(basis="b", solved_at=datetime.now(UTC))
        self._news = list(news)
        self.looks = 0

    async def look(self, *_: Any) -> bool:
        self.looks += 1
        await acted_once.wait()
        return self._news.pop(0) if self._news else False


class Executor:
    def __init__(self) -> None:
        self.looks = 0
        self.acted_again = asyncio.Event()

    async def look(self, *_: Any) -> Step:
        self.looks += 1
        acted_once.set()
        if self.looks == 2:
            self.acted_again.set()
        return Step(actions=(), converged=True, waiting={}, router_synced=True)


acted_once = asyncio.Event()


async def test_a_plan_that_was_written_is_carried_out_although_the_watch_tells_nothing_new() -> None:
    acted_once.clear()
    planner, executor = Planner(True), Executor()
    parts: Any = {"planner": planner, "executor": executor, "gatherer": Gatherer()}
    loops = Loops(**parts, metrics=Metrics(), debounce_seconds=0.0, tick_seconds=HOUR)
    running = asyncio.create_task(loops.run())
    async with asyncio.timeout(10):
        await executor.acted_again.wait()
    running.cancel()
    assert planner.looks == 1
