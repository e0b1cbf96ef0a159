"""What listens does so again and again: a fault costs one look, and is counted and logged."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from atoll.handlers.metrics import Metrics

logger = logging.getLogger(__name__)


async def repeat(
    look: Callable[[], Awaitable[object]], *, pause: Callable[[], float], metrics: Metrics, loop: str, doing: str
) -> None:
    """Look until cancelled.

    Args:
        look: once.
        pause: seconds until the next look, asked after each; a fifth more or less, so that operators spread their load.
        metrics: to count faults in.
        loop: its name there.
        doing: what failed, for the log, such as ``asking price feeds``.
    """
    while True:
        try:
            await look()
        except Exception:
            metrics.loop_errors.labels(loop=loop).inc()
            logger.exception("%s failed, tries again", doing)
        await asyncio.sleep(pause() * random.uniform(0.8, 1.2))  # noqa: S311  # spreads load, no secret
