"""What the router adds to the time to first token: pairs of requests to the same engine, direct and through Envoy."""

import asyncio
import statistics
import time
from dataclasses import dataclass

import aiohttp

from benchmarks.traffic.bed import Bed
from benchmarks.traffic.request import WHOLE, Request, ask

_WARM_UP = 20
_ANSWERS_WITHIN_SECONDS = 20.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """TTFT of pairs, seconds.

    Attributes:
        direct: straight to the engine.
        routed: through a router pod.
    """

    direct: tuple[float, ...]
    routed: tuple[float, ...]

    @property
    def median(self) -> float:
        """Difference of the medians, seconds."""
        return statistics.median(self.routed) - statistics.median(self.direct)


def added_by_router(bed: Bed, pairs: int) -> Added:
    """Measure while nothing else is sent; one request at a time, the direct and the routed one in turn."""
    return asyncio.run(_measure(bed, pairs))


def await_answers(bed: Bed) -> float:
    """Wait until every router answers for every demand that is said to be Ready; how long that took, seconds."""
    return asyncio.run(_await_answers(bed))


async def _await_answers(bed: Bed) -> float:
    started = time.monotonic()
    async with aiohttp.ClientSession() as session:
        for router in bed.path.router_pods.running:
            for name in (obj["spec"]["model"]["servedName"] for obj in bed.world.demands()):
                request = Request(tag="first", served_name=name, input_tokens=1, output_tokens=1, stream=False)
                while (found := await ask(session, f"http://{router.address}:8080", request)).outcome != WHOLE:
                    if time.monotonic() > started + _ANSWERS_WITHIN_SECONDS:
                        raise RuntimeError(f"{name} is Ready, and {router.name} answers {found.outcome!r}")
                    await asyncio.sleep(_POLL_SECONDS)
    return time.monotonic() - started


async def _measure(bed: Bed, pairs: int) -> Added:
    engine = next(each for each in bed.path.engines() if each["demand"] == "gpt-oss-20b" and each["serves"])
    doors = (f"http://{engine['address']}:8000", f"http://{bed.path.router_pods.running[0].address}:8080")
    found: tuple[list[float], list[float]] = ([], [])
    async with aiohttp.ClientSession() as session:
        for number in range(-_WARM_UP, pairs):
            for door, times in zip(doors, found, strict=True):
                request = Request(
                    tag=f"ttft-{number}", served_name="gpt-oss-20b", input_tokens=8, output_tokens=1, stream=True
                )
                outcome = await ask(session, door, request)
                if outcome.outcome != WHOLE:
                    raise RuntimeError(f"TTFT: a request ended as {outcome.outcome!r} on a fleet at rest")
                if number >= 0:
                    times.append(outcome.first)
    return Added(direct=tuple(found[0]), routed=tuple(found[1]))
