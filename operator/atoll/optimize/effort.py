"""How long the search may go on: until a deadline, or through a budget of work."""

from collections.abc import Callable
from dataclasses import dataclass

from atoll.domain.problem import SolvePolicy
from atoll.optimize.highs import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """What is left to spend.

    Attributes:
        clock: seconds, monotonic.
        deadline: on that clock.
        nodes: branch-and-bound nodes per slice; 0 where the clock decides.
        gap: proven gap at which the search ends, as a share.
    """

    clock: Callable[[], float]
    deadline: float
    nodes: int
    gap: float

    @classmethod
    def of(cls, policy: SolvePolicy, clock: Callable[[], float]) -> "Effort":
        """Begin now. With a work budget the clock is never read for a decision (design section 5, deterministic)."""
        return cls(
            clock=clock,
            deadline=clock() + policy.deadline_seconds,
            nodes=policy.work_budget,
            gap=policy.accept_gap,
        )

    @property
    def remaining(self) -> float:
        """Seconds to the deadline; infinity with a work budget."""
        return float("inf") if self.nodes else max(0.0, self.deadline - self.clock())

    def slice(self, share: float) -> Limits:
        """Limits of one call of the solver: a share of what is left."""
        return Limits(seconds=self.remaining * share, nodes=self.nodes, gap=self.gap)
