"""Requests/s from what routers have counted, at two moments.

Counters are of one process: they begin at nought with it and are gone with it. So each router's growth is taken by
itself, and a sum is made only where it is known for all: a router that does not answer, or that has counted for an
unknown time, makes no sample, never a smaller one.
"""

from collections import defaultdict
from collections.abc import Mapping

from atoll.domain.signal import RouterCounts

_SLACK_SECONDS = 10.0
"""Envoy renews its uptime every five seconds, and an answer takes a while."""


def begun_rates(before: Mapping[str, RouterCounts], now: Mapping[str, RouterCounts], since: float) -> dict[str, float]:
    """Requests/s that began since the last look, by demand.

    A router that is gone takes what it had counted since with it: a request counts once or not at all. What a counter
    lost counts as nothing: a gauge of requests in flight may fall a moment before the request is counted as ended.

    Args:
        before: what each router had counted at the last look, by URL; those of routers that are gone do not matter.
        now: what each router that takes requests has counted; all of them.
        since: when the last look was, Unix seconds.

    Raises:
        UnknownSinceError: a router was there before the last look, and nobody knows what it had counted then.
    """
    rates: defaultdict[str, float] = defaultdict(float)
    for url, counts in now.items():
        known = before.get(url)
        if known is not None and started(counts) <= started(known) + _SLACK_SECONDS:
            former, elapsed = known.requests, counts.at - known.at
        elif started(counts) >= since - _SLACK_SECONDS:
            former, elapsed = {}, counts.at - since
        else:
            raise UnknownSinceError(url)
        if elapsed <= 0.0:
            raise UnknownSinceError(url)
        for demand, count in counts.requests.items():
            rates[demand] += max(0.0, count - former.get(demand, 0.0)) / elapsed
    return dict(rates)


class UnknownSinceError(ValueError):
    """A router's counters cannot be told from what it counted before."""


def started(counts: RouterCounts) -> float:
    """When a router was started, Unix seconds."""
    return counts.at - counts.uptime_seconds
