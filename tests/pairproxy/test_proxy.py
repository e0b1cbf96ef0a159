"""The process before a decode engine of vLLM, on loopback between engines that stand in."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import httpx

from atoll.pairproxy.proxy import application, prefill_request
from pairproxy.engines import HANDED, StandIn, serve


def between(
    talk: Callable[[httpx.AsyncClient], Awaitable[None]],
    *,
    prefill: StandIn | None = None,
    engine: StandIn | None = None,
) -> tuple[StandIn, StandIn]:
    """Talk to a proxy between two engines that stand in."""
    first, second = prefill or StandIn(prefills=True), engine or StandIn(prefills=False)

    async def run() -> None:
        runners = []
        bases = []
        for app in (first.app(), second.app()):
            runner, base = await serve(app)
            runners.append(runner)
            bases.append(base)
        runner, base = await serve(application(bases[0], bases[1]))
        runners.append(runner)
        try:
            async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
                await talk(client)
        finally:
            for each in reversed(runners):
                await each.cleanup()

    asyncio.run(run())
    return first, second


def test_a_prompt_is_prefilled_elsewhere_and_the_engine_is_told_where_its_kv_is() -> None:
    asked = {"model": "m", "prompt": "p", "max_tokens": 9, "stream": True, "stream_options": {"include_usage": True}}

    async def talk(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/completions", json=asked)
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.text == "data: a\n\ndata: b\n\ndata: [DONE]\n\n"

    prefill, engine = between(talk)
    (first,), (second,) = prefill.asked, engine.asked
    assert first == prefill_request(asked)
    assert (first["max_tokens"], first["stream"], "stream_options" in first) == (1, False, False)
    assert first["kv_transfer_params"]["do_remote_decode"] is True
    assert second == {**asked, "kv_transfer_params": HANDED}
    assert prefill.request_ids == engine.request_ids != [""]


def test_the_engine_prefills_itself_where_nobody_else_does() -> None:
    asked = {"model": "m", "messages": [{"role": "user", "content": "p"}]}

    async def talk(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/chat/completions", json=asked)
        assert answer.json() == {"choices": [{"text": "hello"}]}

    _, engine = between(talk, prefill=StandIn(prefills=True, status=503))
    assert engine.asked == [asked]

    async def alone() -> None:
        second = StandIn(prefills=False)
        runner, base = await serve(second.app())
        proxy, front = await serve(application("http://127.0.0.1:9", base))
        try:
            async with httpx.AsyncClient(base_url=front, trust_env=False) as client:
                assert (await client.post("/v1/chat/completions", json=asked)).status_code == 200
        finally:
            await proxy.cleanup()
            await runner.cleanup()
        assert second.asked == [asked]

    asyncio.run(alone())


def test_what_the_engine_says_is_passed_on() -> None:
    async def talk(client: httpx.AsyncClient) -> None:
        assert (await client.get("/health")).status_code == 503
        assert (await client.get("/no-such-path")).status_code == 404
        refused = await client.post("/v1/completions", json={"prompt": 1})
        assert (refused.status_code, refused.json()) == (503, {"error": {"message": "no"}})

    between(talk, engine=StandIn(prefills=False, status=503))


def test_an_engine_that_is_not_there_is_a_503() -> None:
    async def alone() -> None:
        proxy, front = await serve(application("http://127.0.0.1:9", "http://127.0.0.1:9"))
        try:
            async with httpx.AsyncClient(base_url=front, trust_env=False) as client:
                answer = await client.get("/health")
                assert answer.status_code == 503
                assert "not there" in json.loads(answer.text)["error"]["message"]
        finally:
            await proxy.cleanup()

    asyncio.run(alone())
