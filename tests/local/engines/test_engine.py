import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from atoll.local.engines.engine import ANSWERED_BY, TAG, Engine, EngineSettings
from atoll.local.engines.tempo import Tempo
from atoll.local.ports import LOOPBACK, free_ports

QUICK = Tempo(peak=100_000.0, half=1.0, prefill=1e9, rated=1000.0)
SLOW = Tempo(peak=40.0, half=1.0, prefill=1e9, rated=20.0)


def settings(tempo: Tempo = QUICK, *, max_sequences: int = 8, shutdown: float = 30.0) -> EngineSettings:
    return EngineSettings(
        pod="phi-4-0",
        address=LOOPBACK,
        port=free_ports(1)[0],
        served_names=("phi-4", "default/phi-4"),
        max_sequences=max_sequences,
        max_context=100,
        keep_alive=60.0,
        shutdown=shutdown,
        chunk_tokens=4,
        tempo=tempo,
    )


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


def url(engine: Engine, path: str = "/v1/chat/completions") -> str:
    return f"http://{LOOPBACK}:{engine.settings.port}{path}"


def body(*, tokens: int = 10, stream: bool = False, model: str = "phi-4") -> dict[str, object]:
    content = {"model": model, "messages": [{"role": "user", "content": "one two three"}], "max_tokens": tokens}
    return {**content, "stream": stream, **({"stream_options": {"include_usage": True}} if stream else {})}


async def test_a_whole_answer_has_all_tokens_and_says_who_gave_it(session: aiohttp.ClientSession) -> None:
    engine = Engine(settings())
    await engine.start()
    async with session.post(url(engine), json=body()) as answer:
        content = await answer.json()
        assert answer.headers[ANSWERED_BY] == "phi-4-0"
    assert content["usage"] == {"prompt_tokens": 3, "total_tokens": 13, "completion_tokens": 10}
    assert content["choices"][0]["message"]["content"].split() == ["so"] * 10
    await engine.stop()


async def test_a_stream_has_all_tokens_the_usage_and_an_end(session: aiohttp.ClientSession) -> None:
    engine = Engine(settings())
    await engine.start()
    async with session.post(url(engine), json=body(stream=True)) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [line.removeprefix("data: ") for line in (await answer.text()).split("\n\n") if line]
    assert events.pop() == "[DONE]"
    chunks = [json.loads(event) for event in events]
    assert chunks[-1]["usage"]["completion_tokens"] == 10
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas).split() == ["so"] * 10
    assert len(deltas) == 1 + 1 + 3 + 1, "who speaks, the first token, 4 + 4 + 1 tokens, the end"
    await engine.stop()


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        pytest.param(body(model="other"), 404, id="another model"),
        pytest.param(body(tokens=98), 400, id="beyond the context"),
        pytest.param(body(tokens=0), 400, id="no tokens"),
    ],
)
async def test_what_cannot_be_answered_is_refused(
    session: aiohttp.ClientSession, asked: dict[str, object], status: int
) -> None:
    engine = Engine(settings())
    await engine.start()
    async with session.post(url(engine), json=asked) as answer:
        assert answer.status == status
        assert "message" in (await answer.json())["error"]
    assert engine.in_flight == {}
    await engine.stop()


async def test_more_requests_than_sequences_queue_and_metrics_say_so(session: aiohttp.ClientSession) -> None:
    engine = Engine(settings(SLOW, max_sequences=1))
    await engine.start()
    asked = [asyncio.create_task(session.post(url(engine), json=body(tokens=4))) for _ in range(3)]
    seen = ""
    while (
        "vllm:num_requests_waiting" not in seen or 'num_requests_waiting{engine="0",model_name="phi-4"} 2.0' not in seen
    ):
        async with session.get(url(engine, "/metrics")) as answer:
            seen = await answer.text()
    assert 'vllm:num_requests_running{engine="0",model_name="phi-4"} 1.0' in seen
    for answer in await asyncio.gather(*asked):
        assert answer.status == 200
    await engine.stop()


async def test_an_engine_that_is_stopped_finishes_what_is_in_flight(session: aiohttp.ClientSession) -> None:
    engine = Engine(settings(SLOW))
    await engine.start()
    asked = await session.post(url(engine), json=body(tokens=20, stream=True))
    await engine.stop()
    assert (await asked.text()).endswith("data: [DONE]\n\n")
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.get(url(engine, "/health"))


async def test_an_engine_that_does_not_finish_in_time_is_cut(session: aiohttp.ClientSession) -> None:
    engine = Engine(settings(replace(SLOW, peak=0.2), shutdown=0.1))
    await engine.start()
    asked = await session.post(url(engine), json=body(tokens=20, stream=True))
    await engine.stop()
    with pytest.raises(aiohttp.ClientError):
        await asked.text()


async def test_an_engine_that_dies_resets_every_connection_and_says_what_was_in_flight(
    session: aiohttp.ClientSession,
) -> None:
    engine = Engine(settings(SLOW))
    await engine.start()
    asked = await session.post(url(engine), json=body(tokens=40, stream=True), headers={TAG: "mine"})
    idle, _ = await asyncio.open_connection(LOOPBACK, engine.settings.port, family=socket.AF_INET)
    assert await engine.die() == ("mine",)
    with pytest.raises(aiohttp.ClientError):
        await asked.text()
    with pytest.raises(ConnectionResetError):
        await idle.read()
    assert engine.in_flight == {}


async def test_an_engine_that_hangs_answers_nothing_and_keeps_what_it_took(session: aiohttp.ClientSession) -> None:
    engine = Engine(settings())
    await engine.start()
    engine.hang()
    asked = asyncio.create_task(session.post(url(engine), json=body(), headers={TAG: "mine"}))
    well = asyncio.create_task(session.get(url(engine, "/health")))
    while not engine.in_flight:  # noqa: ASYNC110  # a dictionary tells nobody
        await asyncio.sleep(0.01)
    done, _ = await asyncio.wait((asked, well), timeout=0.1)
    assert not done
    assert await engine.die() == ("mine",)
    for task in (asked, well):
        with pytest.raises(aiohttp.ClientError):
            await task
