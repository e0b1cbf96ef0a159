"""What the API server refuses waits, ever longer, and whoever it concerns is told; nothing else waits."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, cast

import pytest

from atoll.cluster.client import Client
from atoll.cluster.errors import ClusterError, ConflictError, ForbiddenError, InvalidError, UnavailableError
from atoll.domain.objects import FLEET, KINDS, MODEL_DEMAND, POD, Action, Apply, ApplyStatus, Delete, Scale, reference
from atoll.handlers.backoff import LONGEST_SECONDS
from atoll.handlers.cache import Cache
from atoll.handlers.leader import Leader
from atoll.handlers.metrics import Metrics
from atoll.handlers.unwritten import Unwritten
from atoll.handlers.writer import Writer
from atoll.reconcile.drain import unroutable_pod
from atoll.reconcile.observe import observe_pod
from reconcile.worlds import (
    NOW,
    demand_object,
    deployments,
    fleet_object,
    plan,
    planned,
    pods_of,
    pool_object,
    replicas,
    stored,
)

DEMAND, FLEET_OBJECT = stored(demand_object()), stored(fleet_object())
(INTENT,) = deployments(plan(planned(replicas("small"))), DEMAND, pool_object())
(RUNS,) = pods_of(INTENT, "n1")
TARGET = reference(INTENT)
CREATE = Apply(intent=INTENT, why="new")
CONFIG_MAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"namespace": "atoll-system", "name": "atoll-router"},
}


class ApiServer:
    """Refuses all but events, which it keeps."""

    def __init__(self, error: ClusterError | None) -> None:
        self.error = error
        self.asked = 0
        self.events: list[str] = []

    def __getattr__(self, name: str) -> Any:
        async def call(first: Any, **_: Any) -> dict[str, Any]:
            if isinstance(first, Mapping) and first["kind"] == "Event":
                where = first["involvedObject"]
                self.events.append(f"{where['kind']} {where['name']}: {first['reason']}: {first['message']}")
                return {}
            self.asked += 1
            if self.error is not None:
                raise self.error
            return {"kind": "Status"}

        return call


class Holds:
    """The Lease is ours."""

    def may_write(self) -> bool:
        return True


class Desk:
    """A writer, and the time that goes on while it writes."""

    def __init__(self, error: ClusterError | None) -> None:
        self.now, self.server, cache = 1000.0, ApiServer(error), Cache()
        for obj in (DEMAND, FLEET_OBJECT, RUNS):
            cache.upsert(KINDS[obj["kind"]], obj)
        self.writer = Writer(
            client=cast("Client", self.server),
            leader=cast("Leader", Holds()),
            cache=cache,
            metrics=Metrics(),
            unwritten=Unwritten(clock=lambda: self.now),
        )

    async def asks(self, action: Action, *, after: float = 0.0) -> bool:
        """Whether the API server is asked for it after so many seconds."""
        self.now += after
        before = self.server.asked
        await self.writer.write([action])
        return self.server.asked > before


REFUSED = [ForbiddenError("403: exceeded quota"), InvalidError("422: never")]


@pytest.mark.parametrize("error", REFUSED)
async def test_what_is_refused_is_asked_for_ever_more_seldom(error: ClusterError) -> None:
    desk = Desk(error)
    times = [second for second in range(600) if await desk.asks(CREATE, after=1.0)]
    assert len(times) < 25
    assert max(b - a for a, b in pairwise(times)) <= LONGEST_SECONDS + 1.0


async def test_another_wish_for_the_same_object_is_tried_at_once() -> None:
    desk = Desk(ForbiddenError("403"))
    assert await desk.asks(CREATE)
    assert not await desk.asks(CREATE)
    mended = {**INTENT, "spec": {**INTENT["spec"], "replicas": 7}}
    assert await desk.asks(Apply(intent=mended, why="new"))


async def test_what_was_done_after_all_waits_no_more() -> None:
    desk = Desk(ForbiddenError("403"))
    scale = Scale(target=TARGET, uid="u", resource_version="7", replicas=3, why="more")
    assert await desk.asks(scale)
    desk.server.error = None
    assert await desk.asks(scale, after=1.0)
    assert await desk.asks(scale)


async def test_an_api_server_that_is_away_makes_nothing_wait() -> None:
    desk = Desk(UnavailableError("down"))
    assert [await desk.asks(CREATE) for _ in range(3)] == [True] * 3
    assert desk.server.events == []


async def test_a_drain_that_is_refused_waits_although_its_time_differs_at_every_look() -> None:
    desk, pod = Desk(ForbiddenError("403: policy")), observe_pod(RUNS)
    assert await desk.asks(Apply(intent=unroutable_pod(pod, NOW), why="drain", live_uid=pod.uid))
    later = unroutable_pod(pod, NOW.replace(second=1))
    assert not await desk.asks(Apply(intent=later, why="drain", live_uid=pod.uid))
    assert desk.server.events == ["ModelDemand chat: Forbidden: 403: policy"]


async def test_a_status_that_is_refused_waits() -> None:
    desk = Desk(InvalidError("422: unknown field"))
    status = {**DEMAND, "status": {"at": 1}}
    assert await desk.asks(ApplyStatus(intent=status))
    assert not await desk.asks(ApplyStatus(intent={**status, "status": {"at": 2}}))
    assert desk.server.events == ["ModelDemand chat: WriteRefused: 422: unknown field"]


@pytest.mark.parametrize(
    ("action", "told"),
    [
        (CREATE, f"{MODEL_DEMAND.name} chat"),
        (Scale(target=TARGET, uid="u", resource_version="7", replicas=3, why=""), f"{FLEET.name} default"),
        (Delete(target=reference(RUNS), uid="u", resource_version="", why=""), f"{MODEL_DEMAND.name} chat"),
        (Apply(intent=CONFIG_MAP, why="new"), f"{FLEET.name} default"),
    ],
)
async def test_whom_a_refusal_concerns_is_told_once(action: Action, told: str) -> None:
    desk = Desk(ForbiddenError("403: no"))
    for _ in range(5):
        await desk.asks(action, after=LONGEST_SECONDS)
    assert desk.server.events == [f"{told}: Forbidden: 403: no"]


async def test_a_name_that_something_else_has_is_told_of_when_it_stays_taken() -> None:
    desk = Desk(ConflictError('create HTTPRoute team-a/chat: 409 AlreadyExists: "chat" already exists'))
    for _ in range(4):
        assert await desk.asks(CREATE, after=LONGEST_SECONDS)
    assert desk.server.events == []
    assert await desk.asks(CREATE, after=LONGEST_SECONDS)
    (event,) = desk.server.events
    assert event.startswith("ModelDemand chat: WriteRefused: create HTTPRoute team-a/chat: 409 AlreadyExists")
    assert event.endswith("if something else is called so, rename it or the ModelDemand")


async def test_what_is_wished_for_no_more_is_forgotten() -> None:
    desk = Desk(ForbiddenError("403"))
    for number in range(50):
        target = reference(RUNS)
        other = Delete(
            target=type(target)(kind=POD.name, namespace="x", name=f"p{number}"), uid="u", resource_version="", why=""
        )
        await desk.asks(other)
    assert len(desk.writer.unwritten._refused) == 50
    await desk.asks(CREATE, after=12 * LONGEST_SECONDS)
    assert len(desk.writer.unwritten._refused) == 1
