"""An independent look at what is served while the fleet moves: it asks the API server, never the operator."""

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx
from e2e.world import ENGINES, PLANS, PODS, Object, World, is_serving

from atoll.api.fleetplan_io import read_plans
from atoll.local.errors import LocalEnvironmentError
from atoll.render import names

_SECONDS = 0.1
"""Between two samples: far less than a drain."""


@dataclass(slots=True)
class Sample:
    """Strategies of the replicas that serve, by demand, at one moment (monotonic, seconds)."""

    at: float
    replicas: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    phases: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of strategies that serve one phase only: with which others they pair, and the phase."""


class ServiceWatch:
    """Samples the replicas that serve, in a thread of its own, from entering to leaving."""

    def __init__(self, world: World) -> None:
        self._api = world.plane.api()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="service-watch", daemon=True)
        self.samples: list[Sample] = []
        self._rates: dict[tuple[str, str], float] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._api.close()

    def lowest(self, demand: str) -> float:
        """Least requests/s that the serving replicas of a demand carried, by the rates of the plans that chose them."""
        assert len(self.samples) > 1, "nothing was sampled"
        return min(self._carried(demand, sample) for sample in self.samples)

    def _carried(self, demand: str, sample: Sample) -> float:
        """Pairs carry what the lesser of their sides does."""
        sides: dict[tuple[str, str], float] = defaultdict(float)
        for each in sample.replicas[demand]:
            sides[sample.phases.get(each, ("", ""))] += self._rates[demand, each]
        pairs = {pair for pair, _ in sides if pair}
        return sides["", ""] + sum(min(sides[pair, "prefill"], sides[pair, "decode"]) for pair in pairs)

    def _run(self) -> None:
        while not self._stop.wait(_SECONDS):
            try:
                self._learn_rates()
                self.samples.append(sample(self._api.list(PODS, selector=ENGINES)))
            except (httpx.TransportError, LocalEnvironmentError):
                continue  # unknown is not zero

    def _learn_rates(self) -> None:
        for plan in read_plans(self._api.list(PLANS)):
            for row in plan.demands:
                for item in row.replicas:
                    self._rates[row.key.name, item.group.strategy.id] = item.rate


def sample(pods: list[Object]) -> Sample:
    """The replicas that serve: their leader does, and so do all their other stages."""
    found = Sample(at=time.monotonic())
    broken = {replica_of(pod) for pod in pods if not is_serving(pod)}
    for pod in pods:
        labels = pod["metadata"]["labels"]
        if labels.get(names.STAGE, "0") == "0" and is_serving(pod) and replica_of(pod) not in broken:
            found.replicas[labels[names.DEMAND]].append(labels[names.STRATEGY])
            if names.PHASE in labels:
                found.phases[labels[names.STRATEGY]] = (labels[names.PAIR], labels[names.PHASE])
    return found


def replica_of(pod: Object) -> tuple[str, ...]:
    """What the stages of one replica share; a single-stage pod is its own replica."""
    labels = pod["metadata"]["labels"]
    if names.REPLICA not in labels:
        return (pod["metadata"]["name"],)
    return labels[names.DEMAND], labels[names.TEMPLATE], labels[names.REPLICA]
