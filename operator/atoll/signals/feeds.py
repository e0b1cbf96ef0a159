"""Price feeds over HTTP: a JSON document, asked for with its ETag, checked field by field."""

from dataclasses import dataclass
from typing import Annotated

import httpx
import msgspec

from atoll.domain.feed import Quote, Quotes
from atoll.domain.gpu import CapacityType
from atoll.domain.reason import Fault, Reason
from atoll.signals.fetch import Answer, FetchError, Server, fetch

SCHEMA_VERSION = 1
_MOST_ITEMS = 20_000
_MOST_PRICE = 1e4
_MOST_TAG = 256

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]


class FeedError(Exception):
    """No good document; carries the fault."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(reason=reason, message=message)


class _Item(msgspec.Struct, rename="camel", kw_only=True):
    instance_type: _Name
    zone: _Name
    capacity_type: CapacityType
    price_per_hour: Annotated[float, msgspec.Meta(gt=0.0, le=_MOST_PRICE)] | None = None
    available_nodes: Annotated[int, msgspec.Meta(ge=0, le=100_000)] | None = None


class _Document(msgspec.Struct, rename="camel", kw_only=True):
    schema_version: int
    offerings: Annotated[list[_Item], msgspec.Meta(max_length=_MOST_ITEMS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A good answer.

    Attributes:
        quotes: of the document; None where it is as it was.
        tag: to ask with the next time; empty for none.
    """

    quotes: Quotes | None
    tag: str


async def read_feed(server: Server, client: httpx.AsyncClient, tag: str) -> Heard:
    """Ask a feed.

    Args:
        server: its URL is the document's.
        client: to ask with.
        tag: of the document that is known; empty for none.

    Raises:
        FeedError: there is no good document.
    """
    headers = {"If-None-Match": tag} if tag else {}
    try:
        answer = await fetch(server, client, "GET", server.url, headers=headers)
    except FetchError as error:
        reason = Reason.INVALID_FEED if error.too_long else Reason.FEED_UNREACHABLE
        raise FeedError(reason, str(error)) from None
    if answer.status == httpx.codes.NOT_MODIFIED and tag:
        return Heard(quotes=None, tag=tag)
    if answer.status != httpx.codes.OK:
        raise FeedError(Reason.FEED_UNREACHABLE, f"{server.url} answered {answer.status}: look at the URL")
    found = answer.headers.get("etag", "")
    return Heard(quotes=quotes_in(answer, server.url), tag=found if len(found) <= _MOST_TAG and found.isascii() else "")


def quotes_in(answer: Answer, url: str) -> Quotes:
    """The quotes of a document; FeedError naming the field where it cannot be used."""
    try:
        document = msgspec.json.decode(answer.content, type=_Document)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FeedError(Reason.INVALID_FEED, f"{url}: {error}: mend the document") from None
    if document.schema_version != SCHEMA_VERSION:
        raise FeedError(Reason.INVALID_FEED, f"{url}: schemaVersion is {document.schema_version}, not {SCHEMA_VERSION}")
    quotes = {}
    for index, item in enumerate(document.offerings):
        key = (item.instance_type, item.zone, item.capacity_type)
        if key in quotes:
            raise FeedError(Reason.INVALID_FEED, f"{url}: offerings[{index}] is given before: remove one")
        quotes[key] = Quote(price_per_hour=item.price_per_hour, nodes=item.available_nodes)
    return quotes
