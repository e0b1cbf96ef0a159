"""The executor against a client that answers as told."""

from collections.abc import Callable
from typing import Any

import pytest

from atoll.cluster.errors import ClusterError, ConflictError, InvalidError, NotFoundError, UnavailableError
from atoll.cluster.events import EventMemory
from atoll.cluster.execute import Outcome, Result, execute
from atoll.domain.objects import Action, Apply, ApplyStatus, Delete, Emit, EventType, Reference, Scale
from atoll.domain.reason import Reason

TARGET = Reference(kind="Deployment", namespace="team", name="x")
INTENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "team", "name": "x"}}
CREATE = Apply(intent=INTENT, why="new")
CHANGE = Apply(intent=INTENT, why="changed", live_uid="u", live_resource_version="7")
SCALE = Scale(target=TARGET, uid="u", resource_version="7", replicas=3, why="more")
NODE = Reference(kind="Node", name="n")
DELETE = Delete(target=TARGET, uid="u", resource_version="7", why="less")
LOST = Delete(target=TARGET, uid="u", resource_version="", why="its node is gone", force=True, absent=NODE)
EMIT = Emit(target=TARGET, uid="u", type=EventType.NORMAL, reason="Planned", message="m")


class FakeClient:
    """Records calls; every call fails with ``error`` if there is one."""

    def __init__(self, error: ClusterError | None = None, *there: Reference) -> None:
        self.calls: list[str] = []
        self.error = error
        self.there = there

    async def exists(self, target: Reference) -> bool:
        if self.error is not None:
            raise self.error
        return target in self.there

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(first: Any, **given: Any) -> dict[str, Any]:
            self.calls.append(f"{name} {given}" if given else name)
            if self.error is not None:
                raise self.error
            return {"kind": first["kind"] if isinstance(first, dict) else "Status"}

        return call


async def _execute(client: FakeClient, *actions: Action, may_write: Callable[[], bool] = lambda: True) -> list[Outcome]:
    return list(await execute(actions, client, may_write=may_write, memory=EventMemory()))  # type: ignore[arg-type]


async def test_each_action_is_the_request_that_says_what_is_meant() -> None:
    client = FakeClient()
    status = ApplyStatus(intent=INTENT, live_uid="u")
    outcomes = await _execute(client, CREATE, CHANGE, status, SCALE, DELETE, EMIT)
    assert {outcome.result for outcome in outcomes} == {Result.DONE}
    assert client.calls == [
        "create",
        "apply {'uid': 'u', 'resource_version': '7'}",
        "apply_status {'uid': 'u'}",
        "scale",
        "delete",
        "create",
    ]


async def test_what_the_api_server_answers_is_handed_on_for_the_cache_if_it_is_the_object() -> None:
    outcomes = await _execute(FakeClient(), CREATE, SCALE, DELETE)
    assert [outcome.obj is not None for outcome in outcomes] == [True, False, False]


@pytest.mark.parametrize("error", [ConflictError("409"), NotFoundError("404")])
async def test_an_object_that_has_moved_on_is_no_fault(error: ClusterError) -> None:
    (outcome,) = await _execute(FakeClient(error), CHANGE)
    assert (outcome.result, outcome.reason) == (Result.STALE, None)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(InvalidError("422"), Reason.WRITE_REFUSED), (UnavailableError("down"), Reason.API_UNAVAILABLE)],
)
async def test_a_failure_says_why_and_stops_nothing_else(error: ClusterError, reason: Reason) -> None:
    client = FakeClient(error)
    outcomes = await _execute(client, CREATE, SCALE, DELETE)
    assert [outcome.result for outcome in outcomes] == [Result.FAILED] * 3
    assert {(outcome.reason, outcome.error) for outcome in outcomes} == {(reason, str(error))}
    assert len(client.calls) == 3


async def test_nothing_is_sent_after_the_lease_has_run_out() -> None:
    client = FakeClient()
    outcomes = await _execute(client, CREATE, SCALE, DELETE, EMIT, may_write=lambda: len(client.calls) < 1)
    assert [outcome.result for outcome in outcomes] == [Result.DONE] + [Result.SKIPPED] * 3
    assert outcomes[1].reason is Reason.LEASE_NOT_HELD
    assert len(client.calls) == 1


async def test_an_event_is_told_once() -> None:
    client = FakeClient()
    outcomes = await _execute(client, EMIT, EMIT)
    assert [outcome.result for outcome in outcomes] == [Result.DONE, Result.SKIPPED]
    assert len(client.calls) == 1


async def test_a_pod_is_not_deleted_for_a_node_that_is_there_after_all() -> None:
    client = FakeClient(None, NODE)
    (kept,) = await _execute(client, LOST)
    assert (kept.result, kept.error) == (Result.STALE, "Deployment team/x is not deleted: Node n is there")
    assert client.calls == []


async def test_a_pod_is_deleted_once_its_node_is_known_to_be_gone() -> None:
    client = FakeClient()
    (gone,) = await _execute(client, LOST)
    assert (gone.result, client.calls) == (Result.DONE, ["delete"])


async def test_a_pod_is_not_deleted_while_nobody_can_tell_whether_its_node_is_there() -> None:
    client = FakeClient(UnavailableError("down"))
    (outcome,) = await _execute(client, LOST)
    assert (outcome.result, client.calls) == (Result.FAILED, [])
