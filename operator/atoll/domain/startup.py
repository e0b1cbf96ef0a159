"""How long a replica takes to start, by phases: node, image, weights, engine.

Weights come at the least of what the node's NIC, its disk and the store behind them give each load. Figures that were
measured are one start of one LLM (kaito#2325); where a fleet knows better, its Fleet and its GPUNodePools say so.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum

ASSUMED_BYTES_PER_SECOND = 1e9
"""Of a disk that nobody described, and of a store for each load of it. Stated assumption: what a general-purpose volume
or one client of an object store gives without tuning."""
ASSUMED_NIC_BYTES_PER_SECOND = 1.25e9
"""10 Gbit/s, of a node that nobody described: what GPU instances have at least in bursts."""
MOST_NIC_BYTES_PER_SECOND = 12.5e9
"""100 Gbit/s: a pod's traffic takes the first network card; what larger nodes have beside is for RDMA between GPUs."""
IMAGE_SECONDS = 101.0
"""Pulling the engine's image, mostly unpacking; measured once, kaito#2325."""
ENGINE_SECONDS = 269.0
"""74 s from the container's start to the loading of weights, and 195 s for compilation, memory profile and CUDA graphs;
measured once, kaito#2325."""
LONGEST_LOADING_SECONDS = 86_400.0
"""A day: a figure beyond it is a bandwidth that somebody mistyped, and no FleetPlan could hold it."""
GRAIN_SECONDS = 10.0
"""Starts are rounded up to this: no phase is known better."""


class WeightsSource(StrEnum):
    """Where weights come from: the scheme of their URI."""

    HUGGING_FACE = "hf"
    CLAIM = "pvc"
    IMAGE = "oci"
    OBJECT_STORE = "s3"

    @classmethod
    def of(cls, uri: str) -> "WeightsSource":
        """By the URI; without one that is known, Hugging Face."""
        scheme = uri.partition("://")[0]
        return next((source for source in cls if source.value == scheme), cls.HUGGING_FACE)

    @property
    def writes_to_disk(self) -> bool:
        """Weights pass through a disk of the node; from a claim they are read, from an object store streamed."""
        return self in {WeightsSource.HUGGING_FACE, WeightsSource.IMAGE}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeBandwidth:
    """What one node loads weights with.

    Attributes:
        nic: of a pod's network, bytes/s.
        disk: of the disk that holds pods' volumes and images, bytes/s.
    """

    nic: float = ASSUMED_NIC_BYTES_PER_SECOND
    disk: float = ASSUMED_BYTES_PER_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPolicy:
    """What is known of starts, whatever the node.

    Attributes:
        image_seconds: pulling the engine's image on a fresh node, seconds.
        engine_seconds: an engine's start without its weights, seconds.
        store_bytes_per_second: what the stores of weights give all loads together, bytes/s; None: each load the
            assumed rate, however many there are.
    """

    image_seconds: float = IMAGE_SECONDS
    engine_seconds: float = ENGINE_SECONDS
    store_bytes_per_second: float | None = None

    def loading_rate(self, source: WeightsSource, node: NodeBandwidth, *, loads: int = 1, beside: int = 1) -> float:
        """Bytes/s of one pod's weights: the least of its shares of NIC, disk and store.

        Args:
            source: where weights come from.
            node: on which it starts.
            loads: pods that load at one time in the whole fleet, itself included.
            beside: of these, on its own node.
        """
        store = self.store_bytes_per_second
        rates = [node.nic / beside, ASSUMED_BYTES_PER_SECOND if store is None else store / loads]
        if source.writes_to_disk:
            rates.append(node.disk / beside)
        return min(rates)

    def phases(self, weights_bytes: float, bytes_per_second: float) -> "StartPhases":
        """The start of a replica whose pods load so much at such a rate."""
        return StartPhases(
            image_seconds=self.image_seconds,
            weights_seconds=min(weights_bytes / bytes_per_second, LONGEST_LOADING_SECONDS),
            engine_seconds=self.engine_seconds,
            weights_bytes=weights_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPhases:
    """A replica's start once its nodes are there.

    Attributes:
        image_seconds: pulling the engine's image, seconds.
        weights_seconds: loading the weights, seconds.
        engine_seconds: the engine's start beside that, seconds.
        weights_bytes: that the pod with the most of them loads.
    """

    image_seconds: float
    weights_seconds: float
    engine_seconds: float
    weights_bytes: float

    @property
    def seconds(self) -> float:
        """All of them, up to a whole number of ``GRAIN_SECONDS``."""
        whole = self.image_seconds + self.weights_seconds + self.engine_seconds
        return math.ceil(round(whole / GRAIN_SECONDS, 6)) * GRAIN_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """How the replicas of one demand start, node by node.

    Attributes:
        policy: what is known whatever the node.
        rates: of each sort of node: GPU kind, GPUs of the largest, and bytes/s of one pod that loads alone.
    """

    policy: StartPolicy = field(default_factory=StartPolicy)
    rates: tuple[tuple[str, int, float], ...] = ()

    def rate(self, gpu_kind: str, width: int) -> float:
        """Bytes/s on the slowest nodes of a kind that such a stage fits on; what is assumed where there are none."""
        found = [rate for kind, gpus, rate in self.rates if kind == gpu_kind and gpus >= width]
        return min(found, default=ASSUMED_BYTES_PER_SECOND)
