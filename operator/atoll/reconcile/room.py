"""Where new pods find GPUs, and what they lack."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from atoll.domain.objects import Delete
from atoll.domain.pool import OfferingKey, Provisioning
from atoll.domain.snapshot import ObservedPod
from atoll.reconcile.move import Move
from atoll.reconcile.ownership import demand_of, is_engine
from atoll.reconcile.running import DeploymentId, is_lost, seconds_waiting
from atoll.reconcile.supply import supplies

_SCHEDULED_WITHIN_SECONDS = 30.0
"""A pod that is younger has perhaps only not been looked at by the scheduler."""


@dataclass(slots=True, kw_only=True)
class Ask:
    """GPUs of an offering that a demand's new replicas lack.

    Attributes:
        offering: where.
        priority: of the demand.
        gpus: that are still missing.
    """

    offering: OfferingKey
    priority: int
    gpus: int


class Room:
    """GPUs by offering: free ones, those that come free, and those that are asked for in vain.

    Attributes:
        free: GPUs that new pods can have now; pods being stopped hold theirs to the end.
        coming: GPUs that pods being stopped will give back.
        asks: what new replicas lack, highest priority first once ``settle`` has run.
    """

    def __init__(self, move: Move) -> None:
        self._move = move
        self._limits: Counter[OfferingKey] = Counter()
        nodes = move.snapshot.nodes.values()
        self._here = Counter(node.offering for node in nodes if node.offering and node.ready and not node.notice)
        self.free: Counter[OfferingKey] = Counter()
        self.coming: Counter[OfferingKey] = Counter()
        self.asks: list[Ask] = []
        for supply in supplies(move.snapshot, move.now):
            self.free[supply.offering] += supply.gpus * supply.obtainable
            self._limits[supply.offering] += supply.obtainable
        for key, item in move.live.items():
            if item.demand in move.snapshot.demands:
                self._take(key)
        for pod, offering in self._stopping():
            self.free[offering] -= pod.gpus
            self.coming[offering] += pod.gpus

    def ask(self, offering: OfferingKey, priority: int, gpus: int) -> None:
        """Note that new replicas lack GPUs."""
        if gpus > 0:
            self.asks.append(Ask(offering=offering, priority=priority, gpus=gpus))

    def settle(self) -> None:
        """Add what pods lack that no node takes, and let what comes free answer the highest priorities."""
        for key, wanted in self._move.desired.deployments.items():
            self.ask(wanted.offering, self._move.priority(wanted.demand), self.stuck(key) * wanted.gpus)
        self.asks.sort(key=lambda ask: (-ask.priority, ask.offering))
        for offering, gpus in self.coming.items():
            self.answer(offering, gpus)

    def answer(self, offering: OfferingKey, gpus: int) -> None:
        """GPUs that will come free, given to the highest priority that asks for them."""
        for ask in self.asks:
            if ask.offering == offering:
                given = min(gpus, ask.gpus)
                ask.gpus -= given
                gpus -= given

    def highest_ask(self, offering: OfferingKey) -> int | None:
        """Priority of the first open ask for an offering."""
        return next((ask.priority for ask in self.asks if ask.offering == offering and ask.gpus > 0), None)

    def stuck(self, key: DeploymentId) -> int:
        """Pods of a Deployment that no node takes although all nodes of the offering are there (R23)."""
        offering = self._move.desired.deployments[key].offering
        if self._here[offering] < self._limits[offering]:
            return 0
        return sum(
            not pod.node and seconds_waiting(pod, self._move.snapshot, self._move.now) >= _SCHEDULED_WITHIN_SECONDS
            for pod in self._move.pods.get(key, ())
        )

    def _take(self, key: DeploymentId) -> None:
        item, pods = self._move.live[key], self._move.pods.get(key, ())
        # What answers on a node that goes is replaced by one more; what does not is replaced in its own place.
        beside = sum(not self._counts(pod, item.offering) for pod in self._move.leaving(key))
        excess = max(0, len(pods) - item.replicas)
        self.free[item.offering] -= (max(item.replicas, len(pods)) - beside) * item.strategy.tp
        self.coming[item.offering] += excess * item.strategy.tp

    def _counts(self, pod: ObservedPod, offering: OfferingKey) -> bool:
        """Whether a pod holds some of what the supplies count: nodes that go are not among owned or masked ones.

        Of an autoscaled pool they are: they count against its limit until they are gone (R4).
        """
        if not is_lost(pod, self._move.snapshot):
            return True
        pool = self._move.snapshot.pools.get(offering.pool)
        mask = self._move.snapshot.masks.get(offering)
        masked = mask is not None and self._move.now < mask.until
        return pool is not None and pool.provisioning is Provisioning.AUTOSCALER and not masked

    def _stopping(self) -> Iterator[tuple[ObservedPod, OfferingKey]]:
        """Pods of planned demands that are being stopped, with their offering; those of others are no supply at all.

        So are those that this step stops because another stage of their replica failed: they are replaced at once.
        """
        stopped = {action.uid for action in self._move.actions if isinstance(action, Delete) and not action.force}
        for pod in self._move.snapshot.pods:
            node = self._move.snapshot.nodes.get(pod.node)
            stopping = (pod.deleting or pod.uid in stopped) and not pod.finished and is_engine(pod.labels)
            if not stopping or node is None or node.offering is None:
                continue
            if demand_of(pod.namespace, pod.labels) in self._move.snapshot.demands and self._counts(pod, node.offering):
                yield pod, node.offering
