"""Ever longer waits after faults, spread by chance so that many who wait do not come back together."""

import random
from dataclasses import dataclass

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 60.0


def is_due(due: float, now: float, *, longest: float) -> bool:
    """Whether a moment has come, or is farther away than it was ever set: then the clock was set back.

    Args:
        due: the moment.
        now: by the same clock.
        longest: usual wait, seconds; ``LONGEST_SECONDS`` of a fault may be more.
    """
    return due <= now or due > now + 2.0 * (longest + LONGEST_SECONDS)


@dataclass(slots=True)
class Backoff:
    """One who waits.

    Attributes:
        failures: in a row.
        until: when it is tried again, by the clock of whoever asks, seconds.
    """

    failures: int = 0
    until: float = 0.0

    def is_over(self, now: float) -> bool:
        """Whether to try again; a clock that was set back makes nobody wait longer."""
        return is_due(self.until, now, longest=0.0)

    def failed(self, now: float) -> float:
        """Count a fault; when to try again."""
        wait = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(self.failures, 16))
        self.failures += 1
        self.until = now + wait * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, no secret
        return self.until

    def reset(self) -> None:
        """All is well again."""
        self.failures, self.until = 0, 0.0
