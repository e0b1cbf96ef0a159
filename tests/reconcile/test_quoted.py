"""Prices of a pool by what its feed says, and when it says nothing that can be used."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atoll.api.pools import parse_gpu_node_pool
from atoll.domain.feed import FeedReading, PriceFeed, Quote, Quoted
from atoll.domain.gpu import CapacityType
from atoll.domain.objects import GPU_NODE_POOL, NODE
from atoll.domain.pool import PriceSource
from atoll.domain.reason import Fault, Reason
from atoll.reconcile.observe import observe
from atoll.reconcile.quoted import quoted
from atoll.reconcile.supply import supplies

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
URL = "http://prices.test/feed.json"
FEED = PriceFeed(url=URL, stale_seconds=3600.0)
SPOT, DEMAND = CapacityType.SPOT, CapacityType.ON_DEMAND
TYPE = "p4d.24xlarge"
BOTH = {
    (TYPE, "us-east-2a", SPOT): Quote(price_per_hour=9.0, nodes=2),
    (TYPE, "us-east-2a", DEMAND): Quote(price_per_hour=20.0),
}
AWAY = Fault(reason=Reason.FEED_UNREACHABLE, message="no answer")


def pool(*former: float, own: float | None = None) -> dict[str, Any]:
    """A pool whose status keeps a price of the feed for its spot offering."""
    offerings = [{"zone": "us-east-2a", "capacityType": terms, "maxNodes": 5} for terms in ("spot", "on-demand")]
    if own is not None:
        offerings[1]["price"] = own
    kept = [
        {"zone": "us-east-2a", "capacityType": "spot", "pricePerHour": price, "priceSource": "Feed"} for price in former
    ]
    return {
        "apiVersion": "atoll.dev/v1alpha1",
        "kind": "GPUNodePool",
        "metadata": {"name": "a100", "uid": "u", "resourceVersion": "1"},
        "spec": {
            "gpu": {"kind": "A100-40GB", "count": 8},
            "instanceType": TYPE,
            "cloud": "aws",
            "region": "us-east-2",
            "feed": {"url": URL},
            "offerings": offerings,
        },
        "status": {"offerings": kept},
    }


def heard(age: float = 0.0, fault: Fault | None = None, quotes: Any = BOTH) -> FeedReading:
    return FeedReading(quotes=quotes, heard_at=NOW - timedelta(seconds=age), fault=fault)


@pytest.mark.parametrize(
    ("reading", "reason", "price", "nodes"),
    [
        (heard(), Reason.PRICED, 9.0, 2),
        (heard(600.0, AWAY), Reason.FEED_UNREACHABLE, 9.0, 2),
        (heard(7200.0, AWAY), Reason.FEED_UNREACHABLE, 8.0, None),
        (heard(7200.0), Reason.FEED_STALE, 8.0, None),
        (FeedReading(fault=AWAY), Reason.FEED_UNREACHABLE, 8.0, None),
        (None, Reason.AWAITING_SIGNAL, 8.0, None),
        (heard(quotes={}), Reason.FEED_INCOMPLETE, 8.0, None),
    ],
)
def test_r7_the_last_good_price_holds_and_nothing_is_masked(
    reading: FeedReading | None, reason: Reason, price: float, nodes: int | None
) -> None:
    found = quoted(FEED, reading, pool(8.0), NOW)
    assert found.reason is reason
    assert found.quotes["us-east-2a", SPOT] == Quote(price_per_hour=price, nodes=nodes)


def test_what_the_feed_does_not_say_is_named() -> None:
    found = quoted(FEED, heard(quotes={key: quote for key, quote in BOTH.items() if key[2] is SPOT}), pool(), NOW)
    assert "says nothing of us-east-2a/on-demand" in found.message
    assert quoted(FEED, heard(quotes=BOTH), pool(own=1.0), NOW) == Quoted(
        quotes={("us-east-2a", SPOT): BOTH[TYPE, "us-east-2a", SPOT]}, reason=Reason.PRICED
    ), "an offering with a price of its own asks nobody"


@pytest.mark.parametrize("status", [None, {}, {"offerings": [{}]}, {"offerings": [{"pricePerHour": "x"}]}])
def test_a_status_that_nobody_can_read_has_no_prices(status: Any) -> None:
    assert quoted(FEED, None, {**pool(), "status": status}, NOW).quotes == {}


def test_the_price_of_the_pool_is_its_own_then_the_feeds_then_the_catalogues() -> None:
    quotes = {("us-east-2a", SPOT): Quote(price_per_hour=9.0)}
    spot, on_demand = parse_gpu_node_pool(pool(), quotes=quotes).offerings
    assert (spot.price_per_hour, spot.price_source) == (9.0, PriceSource.FEED)
    assert on_demand.price_source is PriceSource.CATALOGUE
    own = parse_gpu_node_pool(pool(own=1.0), quotes={("us-east-2a", DEMAND): Quote(price_per_hour=9.0)}).offerings[1]
    assert (own.price_per_hour, own.price_source) == (1.0, PriceSource.FIXED)


def test_a_feed_limits_what_can_be_had_but_not_what_is_there() -> None:
    node = {
        "metadata": {
            "labels": {
                "topology.kubernetes.io/zone": "us-east-2a",
                "node.kubernetes.io/instance-type": TYPE,
                "karpenter.sh/capacity-type": "spot",
            }
        },
        "status": {"allocatable": {"nvidia.com/gpu": "8"}, "conditions": [{"type": "Ready", "status": "True"}]},
    }
    nodes = [{**node, "metadata": {**node["metadata"], "name": f"n{number}"}} for number in range(3)]

    def obtainable(count: int, reading: FeedReading | None) -> int:
        feeds = {} if reading is None else {URL: reading}
        objects = {GPU_NODE_POOL: [pool(8.0)], NODE: nodes[:count]}
        seen = observe(objects, router_versions={}, now=NOW, feeds=feeds)
        return next(row.obtainable for row in supplies(seen, NOW) if row.capacity_type is SPOT)

    assert [obtainable(0, heard()), obtainable(3, heard()), obtainable(0, None)] == [2, 3, 5]
