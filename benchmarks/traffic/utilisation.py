"""How evenly the replicas of different templates are used with the shipped setting of the router."""

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from benchmarks.traffic.bed import Bed
from benchmarks.traffic.mixed import MIXED, mixed_fleet

_WARM_UP_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Utilisation:
    """What was made of what the templates' rates mean, by strategy, over a window of traffic.

    Attributes:
        shares: of requests: what templates promise, and what a router can divide.
        tokens: of tokens, in which the chance of long answers is seen too.
        requests: answered.
        replicas: that answered.
    """

    shares: dict[str, float]
    tokens: dict[str, float]
    requests: int
    replicas: dict[str, int]

    @property
    def spread(self) -> float:
        """From the least to the most used template."""
        return max(self.shares.values()) - min(self.shares.values())


def utilisation(bed: Bed, seconds: float) -> Utilisation:
    """Serve one demand by several templates and look for so many seconds who answers how much."""
    mixed_fleet(bed)
    bed.send()
    time.sleep(_WARM_UP_SECONDS)
    before, started = _engines(bed), time.monotonic()
    time.sleep(seconds)
    after, passed = _engines(bed), time.monotonic() - started
    answer_tokens = bed.world.manifest("ModelDemand", MIXED)["spec"]["demand"]["workload"]["output"]["mean"]
    made: dict[str, float] = defaultdict(float)
    requests: dict[str, int] = defaultdict(int)
    rated: dict[str, float] = defaultdict(float)
    replicas: dict[str, int] = defaultdict(int)
    for pod in before.keys() & after.keys():
        each = after[pod]
        strategy = each["strategy"]
        made[strategy] += each["tokens"] - before[pod]["tokens"]
        requests[strategy] += each["requests"] - before[pod]["requests"]
        rated[strategy] += each["ratedTokensPerSecond"] * passed
        replicas[strategy] += 1
    return Utilisation(
        shares={each: requests[each] * answer_tokens / rated[each] for each in made},
        tokens={each: made[each] / rated[each] for each in made},
        requests=sum(requests.values()),
        replicas=dict(replicas),
    )


def _engines(bed: Bed) -> dict[str, dict[str, Any]]:
    return {each["pod"]: each for each in bed.path.engines() if each["demand"] == MIXED and each["serves"]}
