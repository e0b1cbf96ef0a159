"""The process before a decode engine of SGLang: both engines are asked at once, and told where they meet."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from socket import EAI_AGAIN, EAI_NONAME, gaierror
from typing import Any

import httpx
import pytest
from aiohttp import web

from atoll.pairproxy.proxy import application
from pairproxy.engines import serve

BOOTSTRAP_PORT = 8998
ASKED = {"model": "m", "prompt": "p", "max_tokens": 9}


@dataclass(kw_only=True)
class Room:
    """Where a prefill engine and a decode engine find each other by number, as SGLang's do."""

    prefilled: dict[int, asyncio.Event] = field(default_factory=dict)

    def of(self, asked: dict[str, Any]) -> asyncio.Event:
        return self.prefilled.setdefault(asked["bootstrap_room"], asyncio.Event())


@dataclass(kw_only=True)
class Prefill:
    """An engine that prefills."""

    room: Room
    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def completions(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.asked.append(asked)
        if self.status == 200:
            self.room.of(asked).set()
        return web.json_response({"choices": []}, status=self.status)


@dataclass(kw_only=True)
class Decode:
    """An engine that decodes once the prompt was prefilled; it waits for that for ever."""

    room: Room
    refuses: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    left: int = 0
    """Requests whose client went away."""

    async def completions(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.asked.append(asked)
        if self.refuses:
            return web.json_response({"error": {"message": "no such model"}}, status=400)
        try:
            await self.room.of(asked).wait()
        except asyncio.CancelledError:
            self.left += 1
            raise
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for word in ("a", "[DONE]"):
            await answer.write(f"data: {word}\n\n".encode())
        return answer


def served(engine: Prefill | Decode) -> web.Application:
    app = web.Application()
    app.router.add_post("/v1/completions", engine.completions)
    return app


def between(
    talk: Callable[[httpx.AsyncClient], Awaitable[None]],
    decode: Decode,
    *prefills: Prefill,
    lookups: Sequence[gaierror] = (),
) -> None:
    """Talk to a proxy in front of a decode engine, with prefill engines on addresses of their own.

    Args:
        talk: with the proxy.
        decode: the engine beside the proxy.
        prefills: what the headless Service resolves to.
        lookups: how asking for its addresses fails after the first time.
    """

    async def run() -> None:
        runners, port, answers = [], 0, []
        for number, engine in enumerate(prefills):
            runner, base = await serve(served(engine), f"127.0.0.{number + 2}", port)
            runners.append(runner)
            port = httpx.URL(base).port or 0
            answers.append((0, 0, 0, "", (f"127.0.0.{number + 2}", port)))
        failures = list(lookups)

        async def getaddrinfo(host: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
            assert host == "prefill.ns.svc"
            if answers:
                found = list(answers)
                if failures:
                    answers.clear()
                return found
            raise failures[0] if failures else gaierror(EAI_NONAME, "no such name")

        runner, base = await serve(served(decode))
        runners.append(runner)
        asyncio.get_running_loop().getaddrinfo = getaddrinfo  # type: ignore[method-assign]  # in this loop only
        proxy, front = await serve(application(f"http://prefill.ns.svc:{port}", base, BOOTSTRAP_PORT))
        try:
            async with httpx.AsyncClient(base_url=front, trust_env=False) as client:
                await talk(client)
        finally:
            for each in (proxy, *runners):
                await each.cleanup()

    asyncio.run(run())


def test_both_engines_get_the_same_request_and_meet_at_the_one_that_prefills() -> None:
    room = Room()
    prefill, decode = Prefill(room=room), Decode(room=room)

    async def talk(client: httpx.AsyncClient) -> None:
        for _ in range(2):
            answer = await client.post("/v1/completions", json=ASKED)
            assert answer.text == "data: a\n\ndata: [DONE]\n\n"
            assert answer.headers["Content-Type"] == "text/event-stream"

    between(talk, decode, prefill)
    assert prefill.asked == decode.asked
    for asked in decode.asked:
        assert (asked["bootstrap_host"], asked["bootstrap_port"]) == ("127.0.0.2", BOOTSTRAP_PORT)
        assert asked.items() >= ASKED.items()
    assert len({asked["bootstrap_room"] for asked in decode.asked}) == 2


def test_another_replica_prefills_where_one_fails() -> None:
    room = Room()
    broken, sound, decode = Prefill(room=room, status=500), Prefill(room=room), Decode(room=room)

    async def talk(client: httpx.AsyncClient) -> None:
        for _ in range(6):
            assert (await client.post("/v1/completions", json=ASKED)).status_code == 200

    between(talk, decode, broken, sound)
    assert len(sound.asked) == 6
    # What the engine beside was asked for in vain is taken back.
    assert decode.left == len(broken.asked) == len(decode.asked) - 6


def test_no_replica_that_prefills_is_a_503_that_names_them() -> None:
    async def talk(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/completions", json=ASKED)
        assert answer.status_code == 503
        assert answer.json() == {"error": {"message": "no replica of prefill.ns.svc prefills"}}

    between(talk, Decode(room=Room()))
    broken = Prefill(room=Room(), status=503)
    between(talk, Decode(room=Room()), broken)
    assert len(broken.asked) == 1


def test_what_the_engine_beside_refuses_is_passed_on() -> None:
    room = Room()

    async def talk(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/completions", json=ASKED)
        assert (answer.status_code, answer.json()) == (400, {"error": {"message": "no such model"}})
        body = json.dumps([1]).encode()
        assert (await client.post("/v1/completions", content=body)).status_code == 400

    between(talk, Decode(room=room, refuses=True), Prefill(room=room))


@pytest.mark.parametrize(("error", "status"), [(EAI_AGAIN, 200), (EAI_NONAME, 503)])
def test_a_silent_name_service_says_nothing_about_replicas(
    error: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room()
    monkeypatch.setattr("atoll.pairproxy.proxy.LOOKED_UP_SECONDS", 0.0)

    async def talk(client: httpx.AsyncClient) -> None:
        assert (await client.post("/v1/completions", json=ASKED)).status_code == 200
        assert (await client.post("/v1/completions", json=ASKED)).status_code == status

    between(talk, Decode(room=room), Prefill(room=room), lookups=[gaierror(error, "")])
