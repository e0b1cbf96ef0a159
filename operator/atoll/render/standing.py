"""What pods that run keep, because to have it otherwise is no reason to move them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atoll.render import names

CONTAINER = "engine"
START_FACTOR = 2.0
"""A start that takes so many times as long as expected has failed."""

STARTUP_PERIOD = 10
"""Between two startup probes, seconds."""

_SHORTEST_START_BUDGET = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The parts of a pod template that pods may have differently and be as good.

    Attributes:
        start_budget: a start that takes longer has failed, seconds.
        protection: keys of :data:`names.PROTECTION` that pods are made with; the others are given to pods that run.
    """

    start_budget: int
    protection: frozenset[str] = frozenset(names.PROTECTION)


def start_budget_seconds(expected_seconds: float) -> int:
    """How long a start may take before it has failed: 2 x the expected start, rounded up to 300 s x a power of two.

    The steps are coarse because the budget is part of the pod template: a slightly better estimate must not give every
    Deployment a new name.
    """
    budget = _SHORTEST_START_BUDGET
    while budget < START_FACTOR * expected_seconds:
        budget *= 2
    return budget


def standing_of(template: Mapping[str, Any]) -> Standing | None:
    """Of a pod template that the API server holds, of a replica's first stage; None where it has no startup probe."""
    annotations = template.get("metadata", {}).get("annotations") or {}
    for container in template.get("spec", {}).get("containers") or ():
        probe = container.get("startupProbe") or {}
        if container.get("name") == CONTAINER and "failureThreshold" in probe:
            return Standing(
                start_budget=int(probe["failureThreshold"]) * STARTUP_PERIOD,
                protection=frozenset(names.PROTECTION) & annotations.keys(),
            )
    return None
