"""How evenly the replicas of different templates are used with the shipped setting of the router."""

import time
from collections import defaultdict
from dataclasses import dataclass

from benchmarks.traffic.bed import Bed
from benchmarks.traffic.mixed import MIXED, mixed_fleet

_WARM_UP_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Utilisation:
    """Tokens made as a share of what the template's rate means, by strategy, over a window of equal traffic."""

    shares: dict[str, float]
    replicas: dict[str, int]

    @property
    def spread(self) -> float:
        """From the least to the most used template."""
        return max(self.shares.values()) - min(self.shares.values())


def utilisation(bed: Bed, seconds: float) -> Utilisation:
    """Serve one demand by several templates and look for so many seconds who makes how many tokens."""
    mixed_fleet(bed)
    bed.send()
    time.sleep(_WARM_UP_SECONDS)
    before, started = _tokens(bed), time.monotonic()
    time.sleep(seconds)
    after, passed = _tokens(bed), time.monotonic() - started
    made: dict[str, float] = defaultdict(float)
    rated: dict[str, float] = defaultdict(float)
    replicas: dict[str, int] = defaultdict(int)
    for pod in before.keys() & after.keys():
        strategy, tokens, capacity = after[pod]
        made[strategy] += tokens - before[pod][1]
        rated[strategy] += capacity * passed
        replicas[strategy] += 1
    return Utilisation(shares={each: made[each] / rated[each] for each in made}, replicas=dict(replicas))


def _tokens(bed: Bed) -> dict[str, tuple[str, int, float]]:
    return {
        each["pod"]: (each["strategy"], each["tokens"], each["ratedTokensPerSecond"])
        for each in bed.path.engines()
        if each["demand"] == MIXED and each["serves"]
    }
