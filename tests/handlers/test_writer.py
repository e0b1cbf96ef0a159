"""What the cache learns of our own writes, so that the next decision does not write them again."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from atoll.cluster.client import Client
from atoll.cluster.errors import UnavailableError
from atoll.cluster.execute import Result
from atoll.domain.objects import RESOURCE_CLAIM_TEMPLATE, Action, Apply, ApplyStatus, Delete, reference
from atoll.handlers.cache import Cache
from atoll.handlers.leader import Leader
from atoll.handlers.metrics import Metrics
from atoll.handlers.pruned import Pruned
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


FLEET: dict[str, Any] = {
    "apiVersion": "atoll.dev/v1alpha1",
    "kind": "Fleet",
    "metadata": {"name": "default", "uid": "one", "resourceVersion": "1"},
    "spec": {},
}


class Older:
    """An API server whose definition of a Fleet knows neither ``status.costs`` nor messages of conditions."""

    def __init__(self) -> None:
        self.asked = 0
        self.unknown = {"costs"}

    async def create(self, intent: Mapping[str, Any]) -> dict[str, Any]:
        """As it was sent, but for what is said of GPUs."""
        return {**intent, "metadata": {**intent["metadata"], "uid": "two", "resourceVersion": "3"}, "spec": {}}

    async def apply_status(self, intent: Mapping[str, Any], *, uid: str) -> dict[str, Any]:
        """Refused whole, as by Kubernetes 1.36, where a field is unknown."""
        self.asked += 1
        status = intent["status"]
        wrong = [f".status.{key}" for key in status if key in self.unknown]
        wrong += ['.status.conditions[type="Ready"].message'] * any("message" in item for item in status["conditions"])
        if wrong and self.unknown:
            said = "\n  ".join(f"{path}: field not declared in schema" for path in wrong)
            raise UnavailableError(f"apply status of Fleet default: 500: failed to create typed patch object: {said}")
        return {
            **FLEET,
            "metadata": {**FLEET["metadata"], "uid": uid, "resourceVersion": f"{self.asked + 1}"},
            "status": status,
        }


def status(cost: float, *, demands: int = 1) -> ApplyStatus:
    conditions = [{"type": "Ready", "message": f"{cost}"}]
    fields = {"demands": demands, "costs": [{"level": "x", "cost": cost}], "conditions": conditions}
    intent = {**FLEET, "metadata": {"name": "default"}, "status": fields}
    return ApplyStatus(intent=intent, live_uid="one")


class Hours:
    """A clock that is put forward by hand, seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def older() -> tuple[Writer, Older, Hours]:
    server, cache, clock = Older(), Cache(), Hours()
    cache.observe_write(FLEET)
    holds = cast("Leader", Holds())
    pruned = Pruned(clock=clock)
    client = cast("Client", server)
    return Writer(client=client, leader=holds, cache=cache, metrics=Metrics(), pruned=pruned), server, clock


def test_a_field_that_the_api_server_does_not_take_is_written_once() -> None:
    writer, server, _ = older()
    for cost in (1.0, 2.0, 3.0):
        outcomes = asyncio.run(writer.write([status(cost)]))
        assert all(outcome.result is Result.DONE for outcome in outcomes)
    assert server.asked == 2, "once whole, and once without what is unknown"
    assert writer.pruned.fields() == ("Fleet status.conditions[].message", "Fleet status.costs")


def test_what_the_api_server_keeps_is_written_all_the_same() -> None:
    writer, server, _ = older()
    for demands in (1, 2, 2):
        asyncio.run(writer.write([status(1.0, demands=demands)]))
    assert server.asked == 3


def test_a_dropped_field_is_tried_again_after_an_hour() -> None:
    writer, server, clock = older()
    asyncio.run(writer.write([status(1.0)]))
    clock.now += 3601.0
    asyncio.run(writer.write([status(1.0)]))
    asyncio.run(writer.write([status(1.0)]))
    assert server.asked == 4


def test_definitions_that_were_upgraded_are_noticed_then() -> None:
    writer, server, clock = older()
    asyncio.run(writer.write([status(1.0)]))
    server.unknown = set()
    clock.now += 3601.0
    asyncio.run(writer.write([status(1.0)]))
    assert server.asked == 3
    assert writer.pruned.fields() == ()
    assert "costs" in next(iter(writer.cache.view()["Fleet"].values()))["status"]


def test_objects_of_other_kinds_are_written_whatever_comes_back() -> None:
    writer, _, _ = older()
    asyncio.run(writer.write([status(1.0)]))
    asyncio.run(writer.write([Apply(intent=TEMPLATE, why="")]))
    assert len(writer.cache.view()[RESOURCE_CLAIM_TEMPLATE.name]) == 1
    assert all(name.startswith("Fleet ") for name in writer.pruned.fields())
