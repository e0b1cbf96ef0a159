"""CPU time, memory and wall time of this process and of all that it started."""

import resource
import time
from dataclasses import dataclass


def cpu_seconds() -> float:
    """Of all threads of this process and of its ended children, user and system."""
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def peak_mebibytes() -> float:
    """Most memory that this process, or any one of its ended children, held at a time."""
    kibibytes = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return kibibytes / 1024


@dataclass(slots=True)
class Stopwatch:
    """Time since it was made."""

    cpu_began: float
    wall_began: float

    @classmethod
    def start(cls) -> "Stopwatch":
        """Begin now."""
        return cls(cpu_seconds(), time.monotonic())

    def cpu(self) -> float:
        """CPU seconds since."""
        return cpu_seconds() - self.cpu_began

    def wall(self) -> float:
        """Seconds since."""
        return time.monotonic() - self.wall_began
