"""What a price feed may answer: quotes, the word that nothing has changed, or a fault that names the field."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.feed import Quote
from atoll.domain.gpu import CapacityType
from atoll.domain.reason import Reason
from atoll.signals.feeds import FeedError, Heard, quotes_in, read_feed
from atoll.signals.fetch import Answer, Server

URL = "http://prices.test/feed.json"
ITEM = {"instanceType": "p5.48xlarge", "zone": "us-east-2a", "capacityType": "spot", "pricePerHour": 31.5}


def document(*items: dict[str, Any], version: int = 1) -> bytes:
    return json.dumps({"schemaVersion": version, "offerings": items}).encode()


def read(reply: Callable[[httpx.Request], httpx.Response], tag: str = "") -> Heard:
    async def ask() -> Heard:
        async with httpx.AsyncClient(transport=httpx.MockTransport(reply)) as client:
            return await read_feed(Server(url=URL), client, tag)

    return asyncio.run(ask())


def test_a_document_is_asked_for_again_by_its_tag() -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        if request.headers.get("If-None-Match") == '"7"':
            return httpx.Response(304)
        content = document(ITEM, {**ITEM, "zone": "us-east-2b", "pricePerHour": None, "availableNodes": 0})
        return httpx.Response(200, content=content, headers={"ETag": '"7"'})

    first = read(reply)
    assert first.quotes == {
        ("p5.48xlarge", "us-east-2a", CapacityType.SPOT): Quote(price_per_hour=31.5),
        ("p5.48xlarge", "us-east-2b", CapacityType.SPOT): Quote(nodes=0),
    }
    assert read(reply, first.tag) == Heard(quotes=None, tag='"7"')


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (document({**ITEM, "pricePerHour": -1}), r"`$.offerings[0].pricePerHour`"),
        (document({**ITEM, "pricePerHour": 0}), r"`$.offerings[0].pricePerHour`"),
        (document(ITEM, {**ITEM, "zone": 3}), r"`$.offerings[1].zone`"),
        (document({**ITEM, "capacityType": "gift"}), r"`$.offerings[0].capacityType`"),
        (document({**ITEM, "availableNodes": -1}), r"`$.offerings[0].availableNodes`"),
        (document(ITEM, ITEM), "offerings[1] is given before"),
        (document(version=2), "schemaVersion is 2, not 1"),
        (b"{}", "schemaVersion"),
        (b"<html>", "malformed"),
        (b'{"schemaVersion":1,"offerings":[{"pricePerHour":NaN}]}', "malformed"),
    ],
)
def test_a_document_that_cannot_be_used_names_the_field(content: bytes, says: str) -> None:
    with pytest.raises(FeedError) as raised:
        read(lambda _: httpx.Response(200, content=content))
    assert raised.value.fault.reason is Reason.INVALID_FEED
    assert says in raised.value.fault.message
    assert raised.value.fault.message.startswith(URL)


@pytest.mark.parametrize("status", [304, 404, 500, 302])
def test_another_status_is_no_document(status: int) -> None:
    with pytest.raises(FeedError, match=f"answered {status}") as raised:
        read(lambda _: httpx.Response(status))
    assert raised.value.fault.reason is Reason.FEED_UNREACHABLE


def test_a_document_that_is_too_long_is_refused() -> None:
    with pytest.raises(FeedError, match="more than 1 MiB"):
        read(lambda _: httpx.Response(200, content=b" " * (2 << 20)))


@given(st.binary(max_size=200))
def test_any_bytes_are_quotes_or_a_fault(content: bytes) -> None:
    with suppress(FeedError):
        assert quotes_in(Answer(status=200, headers={}, content=content), URL) == {}
