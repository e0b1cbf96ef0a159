"""A token bucket: the operator may burst, but never floods an API server that others need too."""

from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """Tokens come at a steady rate up to a burst; each write takes one.

    Attributes:
        rate: tokens per second.
        burst: most tokens that wait.
    """

    rate: float = 20.0
    burst: float = 40.0
    _tokens: float = 40.0
    _filled_at: float | None = None
    _blocked_until: float = 0.0

    def __post_init__(self) -> None:
        self._tokens = self.burst

    def take(self, now: float) -> float:
        """Take a token, possibly one of the future; answers the seconds to wait before using it."""
        if self._filled_at is not None:
            self._tokens = min(self.burst, self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self.rate, self._blocked_until - now)

    def block(self, now: float, seconds: float) -> None:
        """Hold all writes for a while, because the API server asked for it."""
        self._blocked_until = max(self._blocked_until, now + seconds)
