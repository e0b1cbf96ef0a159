"""What listens goes on after a fault, which is counted and logged."""

import asyncio

import pytest

from atoll.handlers.metrics import Metrics
from atoll.handlers.repeating import repeat


async def test_a_fault_costs_one_look_and_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    looks, enough = 0, asyncio.Event()
    metrics = Metrics()

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise ValueError("unforeseen")
        if looks == 3:
            enough.set()

    task = asyncio.create_task(
        repeat(look, pause=lambda: 0.0, metrics=metrics, loop="quoting", doing="asking price feeds")
    )
    await asyncio.wait_for(enough.wait(), 10.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert metrics.registry.get_sample_value("atoll_loop_errors_total", {"loop": "quoting"}) == 1.0
    assert [record.getMessage() for record in caplog.records] == ["asking price feeds failed, tries again"]
