"""Prices of a pool from what its feed says, and from the last good ones where it says nothing that can be used.

Unknown is not nought and no reason to mask: without a fresh word the price stays what it was, and no limit of nodes
is taken from the feed (scenario R7).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from atoll.domain.feed import FeedReading, PriceFeed, Quote, Quoted, Terms
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import PriceSource
from atoll.domain.reason import Reason
from atoll.reconcile.moments import format_moment

_LISTED = 4


def quoted(feed: PriceFeed, reading: FeedReading | None, pool: Mapping[str, Any], now: datetime) -> Quoted:
    """What is known of a pool's prices.

    Args:
        feed: where they are heard.
        reading: what was heard; None where nobody has asked since the operator started.
        pool: the raw GPUNodePool: its status has the last good prices.
        now: the moment.
    """
    former = {terms: Quote(price_per_hour=price) for terms, price in _former(pool).items()}
    if reading is None:
        return Quoted(quotes=former, reason=Reason.AWAITING_SIGNAL, message="not asked yet")
    age = None if reading.heard_at is None else now - reading.heard_at
    if age is None or age > timedelta(seconds=feed.stale_seconds):
        since = f", heard at {format_moment(reading.heard_at)}" if reading.heard_at else ""
        fault = reading.fault
        reason = fault.reason if fault else Reason.FEED_STALE
        said = fault.message if fault else f"nothing was heard for {feed.stale_seconds:g} s"
        kept = "the last good prices hold" if former else "prices of the catalogue hold"
        return Quoted(quotes=former, reason=reason, message=f"{said}; {kept}{since}")
    heard = _of_pool(reading, pool)
    missing = sorted(f"{zone}/{terms}" for zone, terms in _terms(pool) - heard.keys())
    quotes = {**{terms: quote for terms, quote in former.items() if terms not in heard}, **heard}
    if reading.fault is not None:
        return Quoted(
            quotes=quotes, reason=reading.fault.reason, message=f"{reading.fault.message}; the last good prices hold"
        )
    if missing:
        names = ", ".join(missing[:_LISTED]) + (f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else "")
        return Quoted(
            quotes=quotes,
            reason=Reason.FEED_INCOMPLETE,
            message=f"the feed says nothing of {names}: prices before it, or of the catalogue, hold there",
        )
    return Quoted(quotes=quotes, reason=Reason.PRICED)


def _of_pool(reading: FeedReading, pool: Mapping[str, Any]) -> dict[Terms, Quote]:
    instance = str((pool.get("spec") or {}).get("instanceType", ""))
    return {
        (zone, terms): reading.quotes[instance, zone, terms]
        for zone, terms in _terms(pool)
        if (instance, zone, terms) in reading.quotes
    }


def _terms(pool: Mapping[str, Any]) -> set[Terms]:
    """Offerings that ask a feed: those without a price of their own; none of what nobody can read."""
    found = set()
    for item in (pool.get("spec") or {}).get("offerings") or ():
        try:
            if item.get("price") is None:
                found.add((str(item["zone"]), CapacityType(item["capacityType"])))
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
    return found


def _former(pool: Mapping[str, Any]) -> dict[Terms, float]:
    """The prices of the feed that the status keeps."""
    found = {}
    for item in (pool.get("status") or {}).get("offerings") or ():
        try:
            price = float(item["pricePerHour"])
            if item.get("priceSource") == PriceSource.FEED and isfinite(price) and price > 0.0:
                found[str(item["zone"]), CapacityType(item["capacityType"])] = price
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
    return found
