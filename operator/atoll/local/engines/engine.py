"""One stand-in engine: an HTTP server on a pod's address, its queue, its batch and its death."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from atoll.local.engines import messages
from atoll.local.engines.tempo import Tempo

TAG = "x-atoll-load"
"""Header by which a load generator finds its request again among those in flight on an engine."""

ANSWERED_BY = "x-atoll-engine"
"""Header of every answer: the pod that made it."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_BACKLOG = 2048
"""Connections that wait to be taken, as uvicorn's default, which vLLM has."""

_LARGEST_BODY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What a pod says about its engine.

    Attributes:
        pod: its name.
        address: of the pod.
        port: of the HTTP server.
        served_names: accepted in the field ``model``.
        max_sequences: that run at one time; further ones queue.
        max_context: prompt and answer together, tokens.
        keep_alive: an idle connection is closed after so long, seconds.
        shutdown: requests in flight may take so long once it is told to stop, seconds.
        chunk_tokens: tokens in one server-sent event, as vLLM's ``--stream-interval``.
        tempo: how fast tokens come.
    """

    pod: str
    address: str
    port: int
    served_names: tuple[str, ...]
    max_sequences: int
    max_context: int
    keep_alive: float
    shutdown: float
    chunk_tokens: int
    tempo: Tempo


class Engine:
    """Serves from ``start`` to ``stop`` (finishes what is in flight), ``hang`` or ``die`` (resets every connection)."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self._slots = asyncio.Semaphore(settings.max_sequences)
        self._running = 0
        self._waiting = 0
        self.requests = 0
        """Answered in full."""
        self.tokens = 0
        """Made in full answers and in part."""
        self.in_flight: dict[int, str] = {}
        """Tags of the requests taken and not answered in full yet."""
        self._number = 0
        self._awake = asyncio.Event()
        self._awake.set()
        self._runner: web.AppRunner | None = None
        self._measures = _Measures(settings.served_names[0])

    async def start(self) -> None:
        """Listen on the pod's address."""
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/v1/completions", self._complete)
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,
            keepalive_timeout=self.settings.keep_alive,
            shutdown_timeout=self.settings.shutdown,
        )
        await runner.setup()
        address, port = self.settings.address, self.settings.port
        await web.TCPSite(runner, address, port, reuse_address=True, backlog=_BACKLOG).start()
        self._runner = runner

    async def stop(self) -> None:
        """As on SIGTERM: take nothing new, finish what is in flight within the shutdown time, cut the rest."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def die(self) -> tuple[str, ...]:
        """As on SIGKILL or the loss of the node: reset every connection; tags of what was in flight."""
        lost = tuple(self.in_flight.values())
        runner, self._runner = self._runner, None
        if runner is None:
            return lost
        for site in tuple(runner.sites):
            await site.stop()
        for connection in tuple(runner.server.connections if runner.server else ()):
            transport = connection.transport
            if transport is not None:
                held = transport.get_extra_info("socket")
                held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                transport.abort()
        await runner.cleanup()
        return lost

    def hang(self) -> None:
        """As with a GPU that does not come back: connections stay, new ones are taken, and nothing is answered."""
        self._awake.clear()

    async def _health(self, _: web.Request) -> web.Response:
        await self._awake.wait()
        return web.Response()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._measures.text(running=self._running, waiting=self._waiting))

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response(messages.models(self.settings.served_names, self.settings.max_context))

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = messages.parse(await request.read())
        except ValueError as error:
            return web.json_response(messages.error(str(error), 400), status=400)
        if asked.served_name not in self.settings.served_names:
            message = f"The model `{asked.served_name}` does not exist."
            return web.json_response(messages.error(message, 404), status=404)
        if asked.prompt_tokens + asked.max_tokens > self.settings.max_context:
            message = f"This model's maximum context length is {self.settings.max_context} tokens."
            return web.json_response(messages.error(message, 400), status=400)
        async with self._taken(request.headers.get(TAG, "")) as number, self._running_sequence():
            answer = messages.Answer(asked, identity=f"chatcmpl-{self.settings.pod}-{number}", created=int(time.time()))
            try:
                response = await (self._stream(request, answer) if asked.stream else self._whole(answer))
            except ConnectionResetError:
                return web.Response()  # nobody is there any more to read it
            self._measures.finished(asked.prompt_tokens, asked.max_tokens)
            self.requests += 1
            return response

    async def _stream(self, request: web.Request, answer: messages.Answer) -> web.StreamResponse:
        headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            ANSWERED_BY: self.settings.pod,
        }
        response = web.StreamResponse(headers=headers)
        # vLLM's headers come with the first event.
        async for tokens in self._token_groups(answer.asked):
            if not response.prepared:
                await response.prepare(request)
                await response.write(answer.first_event())
            await response.write(answer.event(tokens))
        await response.write(answer.last_events())
        await response.write_eof()
        return response

    async def _whole(self, answer: messages.Answer) -> web.Response:
        async for _ in self._token_groups(answer.asked):
            pass
        return web.json_response(answer.whole(), headers={ANSWERED_BY: self.settings.pod})

    async def _token_groups(self, asked: messages.Asked) -> AsyncIterator[int]:
        """Numbers of tokens as they come: the first alone, then so many as one event holds."""
        tempo, made = self.settings.tempo, 0
        due = time.monotonic() + tempo.first_token_seconds(asked.prompt_tokens)
        while made < asked.max_tokens:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._awake.wait()
            tokens = min(self.settings.chunk_tokens if made else 1, asked.max_tokens - made)
            made += tokens
            self.tokens += tokens
            yield tokens
            due += min(self.settings.chunk_tokens, asked.max_tokens - made) / tempo.tokens_per_second(self._running)

    @asynccontextmanager
    async def _taken(self, tag: str) -> AsyncIterator[int]:
        self._number += 1
        number = self._number
        self.in_flight[number] = tag
        try:
            yield number
        finally:
            del self.in_flight[number]

    @asynccontextmanager
    async def _running_sequence(self) -> AsyncIterator[None]:
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._slots.release()


class _Measures:
    """Metrics under vLLM's names (vllm/v1/metrics/loggers.py)."""

    def __init__(self, served_name: str) -> None:
        self._registry = CollectorRegistry()
        self._labels = {"model_name": served_name, "engine": "0"}
        self._running = self._gauge("vllm:num_requests_running", "Requests in execution batches.")
        self._waiting = self._gauge("vllm:num_requests_waiting", "Requests waiting to be processed.")
        self._prompt = self._counter("vllm:prompt_tokens", "Prefill tokens processed.")
        self._generation = self._counter("vllm:generation_tokens", "Generation tokens processed.")
        self._success = Counter(
            "vllm:request_success",
            "Successfully processed requests.",
            (*self._labels, "finished_reason"),
            registry=self._registry,
        ).labels(**self._labels, finished_reason="length")

    def finished(self, prompt_tokens: int, generation_tokens: int) -> None:
        """Count one answer."""
        self._prompt.inc(prompt_tokens)
        self._generation.inc(generation_tokens)
        self._success.inc()

    def text(self, *, running: int, waiting: int) -> bytes:
        """The page."""
        self._running.set(running)
        self._waiting.set(waiting)
        return generate_latest(self._registry)

    def _gauge(self, name: str, about: str) -> Gauge:
        return Gauge(name, about, tuple(self._labels), registry=self._registry).labels(**self._labels)

    def _counter(self, name: str, about: str) -> Counter:
        return Counter(name, about, tuple(self._labels), registry=self._registry).labels(**self._labels)
