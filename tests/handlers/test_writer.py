"""What the cache learns of our own writes, so that the next decision does not write them again."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from atoll.cluster.client import Client
from atoll.domain.objects import RESOURCE_CLAIM_TEMPLATE, Action, Apply, Delete, reference
from atoll.handlers.cache import Cache
from atoll.handlers.leader import Leader
from atoll.handlers.metrics import Metrics
from atoll.handlers.writer import Writer

TEMPLATE: dict[str, Any] = {
    "apiVersion": RESOURCE_CLAIM_TEMPLATE.api_version,
    "kind": RESOURCE_CLAIM_TEMPLATE.name,
    "metadata": {"namespace": "team-a", "name": "chat-gpus-0123456789"},
    "spec": {"spec": {"devices": {}}},
}


class ApiServer:
    """Answers as one does: a new object with its uid and version, a Status for one that is gone."""

    async def create(self, intent: Mapping[str, Any]) -> dict[str, Any]:
        return {**intent, "metadata": {**intent["metadata"], "uid": "one", "resourceVersion": "7"}}

    async def delete(self, _: Delete) -> dict[str, Any]:
        return {"kind": "Status", "status": "Success"}


class Holds:
    """The Lease is ours."""

    def may_write(self) -> bool:
        return True


def after(*writes: Action) -> list[str]:
    """Names of the claim templates that the cache knows after these writes, without any list or watch."""
    cache = Cache()
    writer = Writer(client=cast("Client", ApiServer()), leader=cast("Leader", Holds()), cache=cache, metrics=Metrics())
    asyncio.run(writer.write(writes))
    return [ref.name for ref in cache.view().get(RESOURCE_CLAIM_TEMPLATE.name, {})]


def test_a_claim_template_is_known_as_soon_as_it_is_written() -> None:
    assert after(Apply(intent=TEMPLATE, why="")) == [TEMPLATE["metadata"]["name"]]


def test_a_claim_template_that_was_deleted_is_known_to_be_gone() -> None:
    gone = Delete(target=reference(TEMPLATE), uid="one", resource_version="7", why="")
    assert after(Apply(intent=TEMPLATE, why=""), gone) == []
