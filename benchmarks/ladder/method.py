"""What a method is: from an instance and a deadline to a run."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.ladder.answer import Answer
from benchmarks.ladder.instance import Instance
from benchmarks.ladder.trace import Event

Hear = Callable[[float, float, float], object]
"""Is told of progress: CPU seconds, value and bound in US$/h, as the method itself reckons them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a method.

    Attributes:
        events: what it found when, in this order.
        answer: its last word; nothing where it found none.
        bound: its last bound, US$/h; minus infinity where it found none.
        cpu_seconds: that it took, of all threads and processes.
        wall_seconds: likewise, by the clock on the wall.
    """

    events: tuple[Event, ...]
    answer: Answer | None
    bound: float
    cpu_seconds: float
    wall_seconds: float


Method = Callable[[Instance, float, Hear], Run]
"""Solves an instance within a deadline in CPU seconds.

The product's time counts from the problem to the answer. A competitor's counts from the call of HiGHS: that it takes
Pyomo time to state its program is not held against it.
"""
