"""The leader's loop against a Lease in memory; waiting costs no time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from atoll.cluster.errors import ConflictError, NotFoundError, UnavailableError
from atoll.cluster.lease import LeaseTerms
from atoll.domain.objects import Reference
from atoll.handlers.leader import Leader

Hook = Callable[[str], None]


class LeaseServer:
    """An API server that knows one Lease; ``fail`` is called with each verb and may raise."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.now = 1000.0
        self.fail: Hook = lambda _: None

    def clock(self) -> float:
        return self.now

    async def get(self, _: Reference) -> dict[str, Any] | None:
        self.fail("get")
        return self.lease

    async def create(self, body: dict[str, Any], *, urgent: bool) -> dict[str, Any]:
        assert urgent
        self.fail("create")
        if self.lease is not None:
            raise ConflictError("exists")
        return self._store(body)

    async def apply(self, body: dict[str, Any], *, uid: str, resource_version: str, urgent: bool) -> dict[str, Any]:
        assert urgent
        self.fail("apply")
        seen = {} if self.lease is None else self.lease["metadata"]
        if (seen.get("uid"), seen.get("resourceVersion")) != (uid, resource_version):
            raise ConflictError("changed")
        return self._store(body)

    def edit(self, holder: str) -> None:
        assert self.lease is not None
        self._store({**self.lease, "spec": {**self.lease["spec"], "holderIdentity": holder}})

    @property
    def holder(self) -> str:
        assert self.lease is not None
        return str(self.lease["spec"]["holderIdentity"])

    def _store(self, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.lease = {**body, "metadata": {**body["metadata"], "uid": "u", "resourceVersion": str(self.version)}}
        return self.lease


def _leader(server: LeaseServer, identity: str = "me", lost: list[str] | None = None) -> Leader:
    return Leader(
        server,  # type: ignore[arg-type]
        identity=identity,
        namespace="atoll-system",
        on_loss=(lost if lost is not None else []).append,
        terms=LeaseTerms(),
        clock=server.clock,
    )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> LeaseServer:
    """Each sleep of a loop moves the clock instead."""
    server, real = LeaseServer(), asyncio.sleep

    async def sleep(seconds: float) -> None:
        server.now += seconds
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return server


async def _rounds(leader: Leader, count: int) -> str:
    lost = ""
    for _ in range(count):
        lost = await leader._round()
    return lost


async def test_the_first_contender_leads_and_the_second_waits(server: LeaseServer) -> None:
    first, second = _leader(server), _leader(server, "other")
    await _rounds(first, 1)
    await _rounds(second, 3)
    assert (first.may_write(), second.may_write(), server.holder) == (True, False, "me")


async def test_a_holder_renews_without_looking(server: LeaseServer) -> None:
    leader, verbs = _leader(server), list[str]()
    await _rounds(leader, 1)
    server.fail = verbs.append
    server.now += 2
    await _rounds(leader, 1)
    assert verbs == ["apply"]
    assert leader.seconds_left() == 10


async def test_a_label_put_on_the_lease_by_hand_does_not_lose_it(server: LeaseServer) -> None:
    leader = _leader(server)
    await _rounds(leader, 1)
    server.edit("me")
    server.now += 2
    assert await _rounds(leader, 1) == ""
    assert leader.seconds_left() == 10


async def test_a_renewal_whose_answer_was_lost_is_found_and_goes_on(server: LeaseServer) -> None:
    leader, real = _leader(server), server.apply
    await _rounds(leader, 1)

    async def committed_but_silent(body: dict[str, Any], **given: Any) -> dict[str, Any]:
        await real(body, **given)
        raise UnavailableError("no answer")

    server.apply = committed_but_silent  # type: ignore[method-assign]
    with pytest.raises(UnavailableError):
        await _rounds(leader, 1)
    server.apply = real  # type: ignore[method-assign]
    server.now += 2
    assert await _rounds(leader, 1) == ""
    assert leader.seconds_left() == 10


async def test_writing_stops_while_the_api_server_is_away_and_goes_on_when_nobody_took_over(
    server: LeaseServer,
) -> None:
    leader, lost = _leader(server), list[str]()
    await _rounds(leader, 1)
    server.now += 60
    assert not leader.may_write()
    await _rounds(leader, 1)
    assert leader.may_write()
    assert not lost


async def test_the_loop_ends_with_the_loss_when_another_took_over(server: LeaseServer) -> None:
    lost = list[str]()
    leader = _leader(server, lost=lost)
    await _rounds(leader, 1)
    server.edit("other")
    await asyncio.wait_for(leader.run(), 5)
    assert lost == ["it is held by other"]
    assert not leader.may_write()


async def test_a_released_lease_is_taken_at_the_next_look(server: LeaseServer) -> None:
    first, second = _leader(server), _leader(server, "other")
    await _rounds(first, 1)
    await _rounds(second, 1)
    await first.release()
    assert (first.may_write(), server.holder) == (False, "")
    await _rounds(second, 1)
    assert (second.may_write(), server.holder) == (True, "other")


async def test_it_is_released_also_when_a_renewal_was_cut_off(server: LeaseServer) -> None:
    leader = _leader(server)
    await _rounds(leader, 1)
    server.edit("me")
    await leader.release()
    assert server.holder == ""


async def test_what_another_took_is_not_released(server: LeaseServer) -> None:
    leader = _leader(server)
    await _rounds(leader, 1)
    server.edit("other")
    await leader.release()
    assert server.holder == "other"


async def test_who_does_not_hold_it_releases_nothing(server: LeaseServer) -> None:
    first, second = _leader(server), _leader(server, "other")
    await _rounds(first, 1)
    await second.release()
    assert server.holder == "me"


async def test_errors_are_said_once_and_the_loop_goes_on(server: LeaseServer, caplog: pytest.LogCaptureFixture) -> None:
    failures = iter(range(5))

    def fail(_: str) -> None:
        if next(failures, None) is not None:
            raise UnavailableError("down")

    server.fail = fail
    leader = _leader(server)
    running = asyncio.create_task(leader.run())
    await asyncio.wait_for(leader.acquired(), 5)
    running.cancel()
    assert [record.message for record in caplog.records if "down" in record.message] == [
        "cannot reach the Lease, trying again: down"
    ]


async def test_a_missing_namespace_is_named(server: LeaseServer) -> None:
    def fail(verb: str) -> None:
        if verb == "create":
            raise NotFoundError('namespaces "atoll-system" not found')

    server.fail = fail
    with pytest.raises(NotFoundError, match="create namespace atoll-system first"):
        await _rounds(_leader(server), 1)


async def test_the_time_since_when_the_api_server_answers_starts_anew_after_an_outage(server: LeaseServer) -> None:
    leader = _leader(server)
    await _rounds(leader, 1)
    server.now += 20
    await _rounds(leader, 1)
    assert leader.reachable_since == 1000
    server.now += 40
    assert not leader.reachable()
    await _rounds(leader, 1)
    assert (leader.reachable(), leader.reachable_since) == (True, 1060)


async def test_who_led_and_finds_another_holder_after_the_lease_was_deleted_has_lost_it(server: LeaseServer) -> None:
    leader, lost = _leader(server), ""
    await _rounds(leader, 1)
    server.lease = None

    def faster(verb: str) -> None:
        if verb == "create" and server.lease is None:
            server.fail = lambda _: None
            server._store({"metadata": {}, "spec": {"holderIdentity": "other", "leaseDurationSeconds": 15}})

    server.fail = faster
    for _ in range(3):
        server.now += 2
        lost = lost or await _rounds(leader, 1)
    assert lost == "it is held by other"
    assert not leader.may_write()
