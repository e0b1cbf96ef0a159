"""Whether requests are as long as a demand declares them.

It is told, and nothing is planned by it: a correction would move replicas by a measurement, and what was declared is
what objectives were weighed against (decision 41).
"""

import math
from collections.abc import Container
from dataclasses import dataclass

from atoll.domain.workload import Lengths, SeenLengths, Workload

FACTOR = 1.5
"""Times longer or shorter than declared from which on lengths differ."""

AGREED = 1.25
"""Times within which they agree again: between the two it stays as it was."""

FEWEST_REQUESTS = 200.0

_SURE = 3.0
"""Standard errors of the mean by which it must lie off what is declared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How measured lengths compare with declared ones.

    Attributes:
        input_ratio: mean prompt measured over declared.
        output_ratio: mean answer measured over declared.
        off: ``input`` and ``output``, those that differ.
    """

    input_ratio: float
    output_ratio: float
    off: tuple[str, ...]


NAMES = ("input", "output")
"""Of prompts' and answers' lengths."""


def drift(declared: Workload, seen: SeenLengths | None, *, differed: Container[str]) -> Drift | None:
    """How measured lengths compare with declared ones; None where too few requests tell.

    Args:
        declared: shape of the requests as planned for.
        seen: as measured lately.
        differed: which were told to differ before.
    """
    if seen is None or seen.requests < FEWEST_REQUESTS:
        return None
    pairs = (("input", declared.input, seen.input), ("output", declared.output, seen.output))
    return Drift(
        input_ratio=seen.input / declared.input.mean,
        output_ratio=seen.output / declared.output.mean,
        off=tuple(
            name
            for name, lengths, mean in pairs
            if _is_off(lengths, mean, seen.requests, AGREED if name in differed else FACTOR)
        ),
    )


def _is_off(declared: Lengths, mean: float, requests: float, factor: float) -> bool:
    error = _SURE * declared.cv * declared.mean / math.sqrt(requests)
    return not declared.mean / factor <= mean <= declared.mean * factor and abs(mean - declared.mean) > error
