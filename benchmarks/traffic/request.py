"""One request through the router, read to its last byte and judged."""

import json
import time
from dataclasses import dataclass
from typing import Any

import aiohttp

from atoll.local.engines.engine import ANSWERED_BY, TAG

WHOLE = "whole"
"""Outcome of an answer that is complete and right; every other outcome is a failure."""

TRUNCATED = ("cut stream", "short stream", "cut answer", "short answer")
"""Outcomes of an answer that began and did not end as it should."""

_TIMEOUT = aiohttp.ClientTimeout(total=180.0, connect=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked.

    Attributes:
        tag: tells it from all others.
        served_name: field ``model``.
        input_tokens: words of the prompt.
        output_tokens: words that are expected, neither more nor fewer.
        stream: as server-sent events.
    """

    tag: str
    served_name: str
    input_tokens: int
    output_tokens: int
    stream: bool

    def body(self) -> dict[str, Any]:
        """As OpenAI's clients send it."""
        body: dict[str, Any] = {
            "model": self.served_name,
            "messages": [{"role": "user", "content": "so " * self.input_tokens}],
            "max_tokens": self.output_tokens,
        }
        return body | {"stream": True, "stream_options": {"include_usage": True}} if self.stream else body


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a request.

    Attributes:
        tag: of the request.
        served_name: of the request.
        stream: of the request.
        started: when it was sent, Unix time.
        router: that it was sent to.
        engine: pod that answered; empty where nothing told.
        status: of HTTP; 0 where no answer began.
        first: seconds to the first byte of the body; 0 where none came.
        seconds: to the end.
        outcome: ``whole``, or what is wrong.
        tokens: of the answer.
    """

    tag: str
    served_name: str
    stream: bool
    started: float
    router: str
    engine: str = ""
    status: int = 0
    first: float = 0.0
    seconds: float = 0.0
    outcome: str = ""
    tokens: int = 0


async def ask(session: aiohttp.ClientSession, router: str, request: Request) -> Outcome:
    """Send one request and read its answer whole; whatever happens becomes its outcome."""
    found = Outcome(
        tag=request.tag,
        served_name=request.served_name,
        stream=request.stream,
        started=time.time(),
        router=router,
        tokens=request.output_tokens,
    )
    began = time.monotonic()
    try:
        async with session.post(
            f"{router}/v1/chat/completions", json=request.body(), headers={TAG: request.tag}, timeout=_TIMEOUT
        ) as answer:
            found.status, found.engine = answer.status, answer.headers.get(ANSWERED_BY, "")
            read = _read_stream if request.stream and answer.status == 200 else _read_whole
            found.outcome = await read(answer, request, found, began)
    except TimeoutError:
        found.outcome = "no end" if found.status else "no answer"
    except aiohttp.ClientPayloadError:
        found.outcome = "cut stream" if request.stream else "cut answer"
    except (aiohttp.ClientError, OSError) as error:
        cut = "cut stream" if request.stream else "cut answer"
        found.outcome = cut if found.status else f"no answer: {type(error).__name__}"
    found.seconds = time.monotonic() - began
    return found


async def _read_stream(answer: aiohttp.ClientResponse, request: Request, found: Outcome, began: float) -> str:
    words, told, done = 0, None, False
    async for line in answer.content:
        if not found.first:
            found.first = time.monotonic() - began
        if not line.startswith(b"data: "):
            continue
        if line.strip() == b"data: [DONE]":
            done = True
            continue
        event = json.loads(line.removeprefix(b"data: "))
        if event.get("usage"):
            told = event["usage"]["completion_tokens"]
        for choice in event["choices"]:
            words += choice["delta"].get("content", "").count(" ")
    if not done:
        return "cut stream"
    return WHOLE if words == told == request.output_tokens else "short stream"


async def _read_whole(answer: aiohttp.ClientResponse, request: Request, found: Outcome, began: float) -> str:
    body = await answer.read()
    found.first = time.monotonic() - began
    if answer.status != 200:
        return f"status {answer.status}"
    if answer.content_length is not None and len(body) != answer.content_length:
        return "cut answer"
    content = json.loads(body)
    words = content["choices"][0]["message"]["content"].count(" ")
    return WHOLE if words == content["usage"]["completion_tokens"] == request.output_tokens else "short answer"
