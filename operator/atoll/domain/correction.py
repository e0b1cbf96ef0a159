"""What engines that run say about estimates: how much longer their steps took, and what is made of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from atoll.domain.strategy import EngineName


class CorrectionUse(StrEnum):
    """What is done with observed corrections."""

    OFF = "Off"
    SHOW = "Show"
    APPLY = "Apply"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLoad:
    """What one engine reported over a window of time.

    Attributes:
        namespace: of its pod.
        pod: its name.
        ended_at: end of the window, Unix seconds.
        seconds: length of the window, seconds.
        running: sequences in flight, mean.
        least_running: the fewest in flight at any scrape.
        generated: tokens of answers per second.
        prompted: tokens of prompts per second, those in the prefix cache too.
        kv_usage: largest share of the KV cache in use, 0 to 1.
    """

    namespace: str
    pod: str
    ended_at: float
    seconds: float
    running: float
    least_running: float
    generated: float
    prompted: float
    kv_usage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One window of all engines of a demand on one GPU kind.

    Attributes:
        ended_at: Unix seconds.
        seconds: length of the window, seconds.
        slowness: how many times as long as estimated steps took, the median of the engines.
    """

    ended_at: float
    seconds: float
    slowness: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What is known of one demand's engines on one GPU kind.

    Attributes:
        gpu_kind: name of the GPU kind.
        engine: that reported.
        observed: how many times as long as estimated steps take, slow mean.
        applied: the same as plans are made with, where they are: it moves in leaps, and seldom.
        windows: that were looked at.
        until: end of the last of them.
    """

    gpu_kind: str
    engine: EngineName
    observed: float = 1.0
    applied: float = 1.0
    windows: int = 0
    until: datetime
