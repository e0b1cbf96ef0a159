"""Prices and availability that are heard from a feed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from atoll.domain.gpu import CapacityType
from atoll.domain.reason import Fault, Reason

Terms = tuple[str, CapacityType]
"""Zone and capacity type: an offering of one pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFeed:
    """Where a pool's prices are heard.

    Attributes:
        url: of the document.
        interval_seconds: between two questions, seconds.
        stale_seconds: age from which on what was heard is too old, seconds.
    """

    url: str
    interval_seconds: float = 300.0
    stale_seconds: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a feed says of one offering.

    Attributes:
        price_per_hour: US$ per node and hour; None where it does not say.
        nodes: most nodes that can be had now; None where it does not say, which is no limit.
    """

    price_per_hour: float | None = None
    nodes: int | None = None


Quotes = Mapping[tuple[str, str, CapacityType], Quote]
"""By instance type, zone and capacity type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedReading:
    """What was heard of one feed.

    Attributes:
        quotes: of the last good document; empty before the first.
        heard_at: when that, or the word that it still holds, came; None for never.
        fault: why the last question got no good document; None where it got one.
    """

    quotes: Quotes = field(default_factory=dict)
    heard_at: datetime | None = None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """What follows for one pool.

    Attributes:
        quotes: by offering; those that are missing are not known.
        reason: ``Priced``, or why the last good prices are kept.
        message: the same for people, with the mend.
    """

    quotes: Mapping[Terms, Quote]
    reason: Reason
    message: str = ""
