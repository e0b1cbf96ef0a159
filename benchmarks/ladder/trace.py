"""What a method knew when: answers and bounds over CPU seconds, and the figures that are read off them."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.ladder.answer import Answer, empty, value
from benchmarks.ladder.form import Form
from benchmarks.ladder.packer import packed

MARKS = (1, 5, 30)
"""CPU seconds at which the gap is asked for; of a run that has ended by then, it is the gap that it ended with."""

FEASIBLE_SHARE = 0.25
"""The first feasible answer is the first that is packed and dearer than the last one by no more than this share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that a method found.

    Attributes:
        seconds: CPU time since it began.
        answer: nothing where only the bound is new.
        bound: of the value, US$/h; minus infinity where none is known.
    """

    seconds: float
    answer: Answer | None
    bound: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is known from a moment on.

    Attributes:
        seconds: CPU time since the method began.
        value: of the best packed answer so far, US$/h.
        bound: best so far, at least 0, US$/h.
    """

    seconds: float
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """(value - bound) / value, within 0 and 1; 1 while nothing but the empty answer and no bound is known."""
        return gap_of(self.value, self.bound)


def gap_of(value: float, bound: float) -> float:
    """(value - bound) / value, within 0 and 1."""
    return min(1.0, max(0.0, value - bound) / value) if value > 0.0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Events of one run, judged.

    Attributes:
        steps: what is known over time; the first is the empty answer at no time and without a bound.
        first_feasible_seconds: when the first feasible answer came; nothing where none did.
    """

    steps: tuple[Step, ...]
    first_feasible_seconds: float | None

    def at(self, seconds: float) -> Step:
        """What was known at that moment."""
        return [step for step in self.steps if step.seconds <= seconds][-1]

    def seconds_to(self, gap: float) -> float | None:
        """When the gap first was no more than this; nothing where it never was."""
        return next((step.seconds for step in self.steps if step.gap <= gap), None)


def trace_of(form: Form, events: Sequence[Event], final: Answer) -> Trace:
    """Judge the events of a run: every answer is priced by the file's arrays and packed; one that fails counts not.

    Args:
        form: of the instance.
        events: in the order in which they came.
        final: the answer of the run.
    """
    step = Step(seconds=0.0, value=value(form, empty(form)), bound=0.0)
    steps = [step]
    near = (1.0 + FEASIBLE_SHARE) * value(form, final)
    first = None
    for event in events:
        worth = step.value
        if event.answer is not None and packed(form, event.answer):
            worth = value(form, event.answer)
            if first is None and worth <= near:
                first = event.seconds
        known = Step(seconds=event.seconds, value=min(step.value, worth), bound=max(step.bound, event.bound))
        if (known.value, known.bound) != (step.value, step.bound):
            step = known
            steps.append(step)
    return Trace(steps=tuple(steps), first_feasible_seconds=first)
