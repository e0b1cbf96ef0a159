"""What the API server may answer instead of an object, as one exception type per thing to do about it."""

from atoll.domain.reason import Reason


class ClusterError(Exception):
    """A request to the API server did not give what was asked for; the message names the object.

    Attributes:
        reason: for conditions, events, logs and metrics.
    """

    reason = Reason.API_UNAVAILABLE


class ConflictError(ClusterError):
    """409: it exists already, or it is no longer the one that was seen. Read again, then decide again."""


class NotFoundError(ClusterError):
    """404, or its namespace is going. Read again, then decide again."""


class ForbiddenError(ClusterError):
    """403: a permission, quota or admission policy is in the way."""

    reason = Reason.FORBIDDEN


class UnauthorizedError(ClusterError):
    """401: the credentials are not accepted."""

    reason = Reason.FORBIDDEN


class InvalidError(ClusterError):
    """400 or 422: the API server will never take this object as it is."""

    reason = Reason.WRITE_REFUSED


class TooLargeError(ClusterError):
    """The object is beyond our own or the API server's limit; sending it again will not help."""

    reason = Reason.OBJECT_TOO_LARGE


class ThrottledError(ClusterError):
    """429: come back later.

    Attributes:
        retry_after: the API server's wish, seconds.
    """

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnavailableError(ClusterError):
    """No answer, or 5xx: whether a write took place is unknown until the object is read again."""
