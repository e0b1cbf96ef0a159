import asyncio
import json
import os
from collections import Counter
from typing import Any

import aiohttp
from aiohttp import web
from benchmarks.traffic.load import Load
from benchmarks.traffic.request import WHOLE, Request, ask

from atoll.local.engines.engine import Engine, EngineSettings
from atoll.local.engines.tempo import Tempo
from atoll.local.ports import LOOPBACK, free_ports

QUICK = Tempo(peak=1e7, half=1.0, prefill=1e9, rated=1000.0)


def engine() -> Engine:
    return Engine(
        EngineSettings(
            pod="code-0",
            address=LOOPBACK,
            port=free_ports(1)[0],
            served_names=("code",),
            max_sequences=64,
            max_context=16_384,
            keep_alive=60.0,
            shutdown=5.0,
            chunk_tokens=16,
            tempo=QUICK,
        )
    )


def address(of: Engine) -> str:
    return f"http://{LOOPBACK}:{of.settings.port}"


async def test_requests_of_a_trace_are_answered_whole_and_a_pause_sends_nothing() -> None:
    served, load = engine(), Load(traces={"code": "code"})
    load.routers = [address(served)]
    await served.start()
    reading, writing = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading)
    )

    def say(content: dict[str, Any]) -> None:
        os.write(writing, (json.dumps(content) + "\n").encode())

    async with aiohttp.ClientSession() as session:
        sending = asyncio.create_task(load._send(session, "code", "code", 0))
        obeying = asyncio.create_task(load._obey(reader))
        say({"rates": {"code": 200.0}})
        while len(load.outcomes) < 60:  # noqa: ASYNC110  # a list tells nobody
            await asyncio.sleep(0.01)
        say({"rates": {}})
        while load.rates:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)
        sent = load._sent
        say({"stop": True})
        await obeying
        assert load._sent == sent
        sending.cancel()
        await asyncio.gather(*load._running)
    transport.close()
    os.close(writing)
    await served.stop()
    assert Counter(each.outcome for each in load.outcomes) == {WHOLE: sent}
    assert {each.stream for each in load.outcomes} == {True, False}
    assert all(0.0 < each.first <= each.seconds for each in load.outcomes)
    assert {each.engine for each in load.outcomes} == {"code-0"}


async def test_who_is_told_to_stop_soon_leaves_out_what_has_no_answer() -> None:
    load = Load(traces={})
    late = asyncio.create_task(asyncio.sleep(600.0))
    load._running.add(late)
    reader = asyncio.StreamReader()
    reader.feed_data(b'{"stop": true, "within": 0.05}\n')
    await load._end(await load._obey(reader))
    assert late.cancelled()
    assert load.outcomes == []


def request(*, stream: bool) -> Request:
    return Request(tag="t", served_name="code", input_tokens=3, output_tokens=4, stream=stream)


async def judged(reply: bytes, *, stream: bool, status: int = 200) -> str:
    """What is said of an answer."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=reply, status=status)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner, port = web.AppRunner(app), free_ports(1)[0]
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    async with aiohttp.ClientSession() as session:
        found = await ask(session, f"http://{LOOPBACK}:{port}", request(stream=stream))
    await runner.cleanup()
    return found.outcome


def event(words: str, usage: int | None = None) -> bytes:
    content: dict[str, Any] = {"choices": [{"delta": {"content": words}}]}
    if usage:
        content["usage"] = {"completion_tokens": usage}
    return b"data: " + json.dumps(content).encode() + b"\n\n"


async def test_a_stream_is_whole_only_with_every_token_and_its_end() -> None:
    end = b"data: [DONE]\n\n"
    assert await judged(event("so so ") + event("so so ", 4) + end, stream=True) == WHOLE
    assert await judged(event("so so ") + event("so so ", 4), stream=True) == "cut stream"
    assert await judged(event("so so ", 4) + end, stream=True) == "short stream"
    assert await judged(b"", stream=True) == "cut stream"
    assert await judged(b"{}", stream=True, status=503) == "status 503"


async def test_an_answer_is_whole_only_with_every_token() -> None:
    def body(words: str) -> bytes:
        return json.dumps({"choices": [{"message": {"content": words}}], "usage": {"completion_tokens": 4}}).encode()

    assert await judged(body("so so so so "), stream=False) == WHOLE
    assert await judged(body("so so "), stream=False) == "short answer"
    assert await judged(b"{}", stream=False, status=404) == "status 404"


async def test_nobody_there_and_a_connection_that_is_cut_are_told_apart() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.transport.abort()

    (port,) = free_ports(1)
    async with aiohttp.ClientSession() as session:
        url = f"http://{LOOPBACK}:{port}"
        assert (await ask(session, url, request(stream=False))).outcome == "no answer: ClientConnectorError"
        server = await asyncio.start_server(cut, LOOPBACK, port)
        assert (await ask(session, url, request(stream=False))).outcome == "cut answer"
        assert (await ask(session, url, request(stream=True))).outcome == "cut stream"
        server.close()
