"""Range queries of Prometheus: one series of samples on a grid, or a fault that says what is wrong."""

import math
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from atoll.domain.reason import Fault, Reason
from atoll.signals.fetch import Answer, FetchError, Server, fetch

Samples = tuple[tuple[float, float], ...]
"""Unix seconds and values, oldest first; values as they were answered, NaN and infinities too."""

_SHOWN = 300

_OF_QUERY = {"timeout", "canceled", "execution"}
"""Error types of Prometheus that are about one query."""


class QueryError(Exception):
    """No samples; carries the fault.

    Attributes:
        fault: for the demand that was asked for.
        of_server: every other question would end like this.
    """

    def __init__(self, fault: Fault, *, of_server: bool) -> None:
        super().__init__(str(fault))
        self.fault = fault
        self.of_server = of_server


class _Series(msgspec.Struct):
    values: list[tuple[float, str]]
    metric: dict[str, str] = {}


class _Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: Any


class _Reply(msgspec.Struct, rename="camel"):
    status: str
    data: _Data | None = None
    error_type: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The moments that a query is evaluated at, Unix seconds: from ``begin`` to ``end`` by ``step``, both included."""

    begin: float
    end: float
    step: float


def grid(*, now: float, window: float, step: float) -> Grid:
    """The last window on a grid that does not move with ``now``: asked again, a moment has the same value."""
    end = math.floor(now / step) * step
    return Grid(begin=end - (math.ceil(window / step) - 1) * step, end=end, step=step)


async def query_range(server: Server, client: httpx.AsyncClient, query: str, over: Grid) -> Samples:
    """Samples of a query that gives one series; none where it gives no series.

    Raises:
        QueryError: it could not be asked, was refused, or gives anything but one series of numbers.
    """
    form = {
        "query": query,
        "start": f"{over.begin:.3f}",
        "end": f"{over.end:.3f}",
        "step": f"{over.step:g}",
        "timeout": f"{max(1.0, server.seconds / 2.0):g}s",
    }
    try:
        answer = await fetch(server, client, "POST", f"{server.url.rstrip('/')}/api/v1/query_range", form=form)
    except FetchError as error:
        reason = Reason.INVALID_SIGNAL if error.too_long else Reason.SIGNAL_UNREACHABLE
        raise QueryError(Fault(reason=reason, message=str(error)), of_server=error.of_server) from None
    return samples_in(answer, server.url, over)


def samples_in(answer: Answer, url: str, over: Grid) -> Samples:
    """The samples of an answer; QueryError where it holds none that are one series."""
    try:
        reply = msgspec.json.decode(answer.content, type=_Reply)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        reply = None
    if answer.status in {httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY} and reply is not None:
        raise _invalid(f"Prometheus refuses the query ({reply.error[:_SHOWN]}): mend it")
    if answer.status != httpx.codes.OK:
        mend = {401: "look at the token", 403: "look at the token", 404: "look at the URL"}
        raise QueryError(
            Fault(
                reason=Reason.SIGNAL_UNREACHABLE,
                message=f"{url} answered {answer.status}: {mend.get(answer.status, 'look at the server')}",
            ),
            # A query that takes Prometheus too long is a 503, too, and no reason to ask nothing else.
            of_server=reply is None or reply.error_type not in _OF_QUERY,
        )
    if reply is None or reply.data is None or reply.data.result_type != "matrix":
        raise QueryError(
            Fault(
                reason=Reason.SIGNAL_UNREACHABLE, message=f"{url} does not answer as Prometheus does: look at the URL"
            ),
            of_server=True,
        )
    return _one_series(reply.data.result, over)


def _one_series(result: Any, over: Grid) -> Samples:
    try:
        series = msgspec.convert(result, list[_Series])
        if len(series) > 1:
            labels = ", ".join(sorted({name for each in series for name in each.metric})) or "none"
            raise _invalid(f"the query gives {len(series)} series by {labels}: wrap it in sum(...)")
        samples = tuple((at, float(value)) for each in series for at, value in each.values)
    except (msgspec.ValidationError, ValueError):
        raise _invalid("the query gives no plain numbers: it must give requests/s, no histogram or text") from None
    if any(not over.begin - over.step <= at <= over.end + over.step for at, _ in samples):
        raise _invalid("the answer has samples of other times than were asked for: times must be Unix seconds")
    return samples


def _invalid(message: str) -> QueryError:
    return QueryError(Fault(reason=Reason.INVALID_SIGNAL, message=message), of_server=False)
