"""Shares of requests by static weights, against capacity."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import aiohttp

from benchmarks.traffic.bed import Bed
from benchmarks.traffic.mixed import MIXED, mixed_fleet
from benchmarks.traffic.request import WHOLE, Request, ask

_AT_ONE_TIME = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Share of requests and of capacity, by strategy.

    Attributes:
        requests: counted.
        measured: share of them.
        capacity: share of the rates of all replicas.
    """

    requests: int
    measured: dict[str, float]
    capacity: dict[str, float]

    @property
    def largest(self) -> float:
        """Largest difference of a share from capacity, as a share of all requests."""
        return max(abs(self.measured.get(each, 0.0) - share) for each, share in self.capacity.items())


def split_by_capacity(bed: Bed, requests: int) -> Split:
    """Set the router to the static split and send many short requests."""
    world = bed.world
    mixed_fleet(bed)
    fleet = world.manifest("Fleet")
    fleet["spec"]["router"]["balancing"] = "Capacity"
    world.apply(fleet)
    world.settle("routers split by capacity")
    engines = [each for each in bed.path.engines() if each["demand"] == MIXED and each["serves"]]
    rated: Counter[str] = Counter()
    for each in engines:
        rated[each["strategy"]] += each["ratedTokensPerSecond"]
    counted = asyncio.run(_send(bed, requests))
    by_pod = {each["pod"]: each["strategy"] for each in engines}
    found: Counter[str] = Counter()
    for pod, number in counted.items():
        found[by_pod[pod]] += number
    total, capacity = found.total(), sum(rated.values())
    return Split(
        requests=total,
        measured={each: found[each] / total for each in rated},
        capacity={each: rated[each] / capacity for each in rated},
    )


async def _send(bed: Bed, requests: int) -> Counter[str]:
    """Requests of one token, so many at one time; how many each pod answered."""
    doors = [f"http://{pod.address}:8080" for pod in bed.path.router_pods.running]
    found: Counter[str] = Counter()
    numbers = iter(range(requests))

    async def one_after_another(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            request = Request(
                tag=f"split-{number}", served_name=MIXED, input_tokens=1, output_tokens=1, stream=number % 2 == 0
            )
            outcome = await ask(session, doors[number % len(doors)], request)
            if outcome.outcome != WHOLE:
                raise RuntimeError(f"shares: a request ended as {outcome.outcome!r} on a fleet at rest")
            found[outcome.engine] += 1

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for _ in range(_AT_ONE_TIME):
            group.create_task(one_after_another(session))
    return found
