"""Stands before a decode engine: has each prompt prefilled elsewhere, then lets the engine beside it decode.

Runs by the engine image's Python, beside the engine in the same pod, and needs aiohttp alone, for which both engines
ask.

- **vLLM**, the protocol of its NixlConnector: a request with ``do_remote_decode`` and one token is answered with
  ``kv_transfer_params``, and the engine that is given these fetches the KV. Where prefill cannot be had, the engine
  beside does it: slower, and the request is served.
- **SGLang**, that of its own router: both engines get the same request at once, and with it the address of the one that
  prefills and a number under which they find each other. An engine for decode cannot prefill, so where prefill fails
  another replica is asked, and after that the answer is 503.

Environment: ``ATOLL_PREFILL`` and ``ATOLL_ENGINE`` are base URLs, ``ATOLL_PORT`` is where to listen,
``ATOLL_GRACE_SECONDS`` is how long requests in flight may take after SIGTERM; ``ATOLL_BOOTSTRAP_PORT``, where it is
set, says that the engines are SGLang's and where those that prefill can be met.
"""

import asyncio
import json
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from socket import EAI_AGAIN, SOCK_STREAM, gaierror
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector, web

SPLIT = ("/v1/completions", "/v1/chat/completions")
ASK = {
    "do_remote_decode": True,
    "do_remote_prefill": False,
    "remote_engine_id": None,
    "remote_block_ids": None,
    "remote_host": None,
    "remote_port": None,
}
HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
LONGEST_PROMPT_BYTES = 64 * 2**20
LOOKED_UP_SECONDS = 1.0
"""An answer of the name service is believed for so long."""
TRIES = 2
"""Replicas that are asked to prefill a request, one after the other."""
UNAVAILABLE = 503


def prefill_request(body: dict[str, Any]) -> dict[str, Any]:
    """The same request for one token that nobody sees, whose KV is kept for another engine."""
    left_out = ("stream_options", "min_tokens", "min_completion_tokens")
    asked = {name: value for name, value in body.items() if name not in left_out}
    if "max_completion_tokens" in asked:
        asked["max_completion_tokens"] = 1
    return {**asked, "max_tokens": 1, "stream": False, "kv_transfer_params": ASK}


class Proxy:
    """One decode engine of vLLM and the Service of those that prefill for it."""

    def __init__(self, prefill: str, engine: str) -> None:
        self.prefill, self.engine = prefill, engine

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """Hold the connections while the application runs."""
        endless = ClientTimeout(total=None, sock_connect=5)
        # A new connection for each prefill: a Service shares out connections, not requests.
        one_each = TCPConnector(limit=0, force_close=True)
        async with (
            ClientSession(timeout=endless, connector=TCPConnector(limit=0), auto_decompress=False) as self.to_engine,
            ClientSession(timeout=endless, connector=one_each) as self.to_prefill,
        ):
            yield

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Pass a request on to the engine, with the KV of its prompt where it is one that generates."""
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        if request.method == "POST" and request.path in SPLIT:
            headers.setdefault("X-Request-Id", str(uuid.uuid4()))
            try:
                asked = json.loads(body)
            except ValueError:
                asked = None  # the engine says what is wrong with it
            if isinstance(asked, dict):
                return await self.split(request, body, asked, headers)
        return await self.answer(request, body, headers)

    async def split(
        self, request: web.Request, body: bytes, asked: dict[str, Any], headers: dict[str, str]
    ) -> web.StreamResponse:
        """Have the prompt prefilled, then the engine decode."""
        handed = await self.prefilled(request.path, asked, headers)
        if handed is not None:
            body = json.dumps({**asked, "kv_transfer_params": handed}).encode()
        return await self.answer(request, body, headers)

    async def prefilled(self, path: str, asked: dict[str, Any], headers: dict[str, str]) -> dict[str, Any] | None:
        """Where the KV of the prompt is; nothing where prefill failed or was refused: the engine will say why."""
        plain = {name: value for name, value in headers.items() if name.lower() not in {"content-type", "accept"}}
        try:
            async with self.to_prefill.post(self.prefill + path, json=prefill_request(asked), headers=plain) as found:
                if found.status != 200:
                    return None
                answer = await found.json()
        except (ClientError, TimeoutError, ValueError) as error:
            print(f"prefill failed, the engine beside does it: {error!r}", flush=True)  # noqa: T201  # its log
            return None
        handed = answer.get("kv_transfer_params")
        return handed if isinstance(handed, dict) else None

    async def answer(self, request: web.Request, body: bytes, headers: dict[str, str]) -> web.StreamResponse:
        """The engine's answer, piece by piece as it comes; a client that goes away ends the engine's request."""
        try:
            return await self.passed_on(request, await self.ask(request, body, headers))
        except ClientError as error:
            if request.transport is None or request.transport.is_closing():
                raise
            return refusal(f"the engine is not there: {error!r}")

    async def ask(self, request: web.Request, body: bytes, headers: dict[str, str]) -> ClientResponse:
        """What the engine says, once it begins to."""
        return await self.to_engine.request(
            request.method, self.engine + request.path_qs, data=body, headers=headers, allow_redirects=False
        )

    async def passed_on(self, request: web.Request, found: ClientResponse) -> web.StreamResponse:
        """An engine's answer, to its end."""
        async with found:
            kept = [(name, value) for name, value in found.headers.items() if name.lower() not in HOP_BY_HOP]
            answer = web.StreamResponse(status=found.status, headers=kept)
            await answer.prepare(request)
            async for piece in found.content.iter_any():
                await answer.write(piece)
            await answer.write_eof()
            return answer


def refusal(message: str) -> web.Response:
    """That a request cannot be served here now."""
    return web.json_response({"error": {"message": message}}, status=UNAVAILABLE)


class MeetingProxy(Proxy):
    """One decode engine of SGLang and the replicas that prefill for it, which a headless Service resolves to."""

    def __init__(self, prefill: str, engine: str, bootstrap_port: int) -> None:
        super().__init__(prefill, engine)
        self.bootstrap_port = bootstrap_port
        url = urlsplit(prefill)
        self.host, self.port = url.hostname or "", url.port
        self.found: list[str] = []
        self.looked_up = -LOOKED_UP_SECONDS
        self.busy: Counter[str] = Counter()
        """Prompts that are with each replica, of those that went through here."""

    async def split(
        self, request: web.Request, body: bytes, asked: dict[str, Any], headers: dict[str, str]
    ) -> web.StreamResponse:
        """Ask both engines at once; where the one that prefills fails before the other answers, ask another."""
        failed: set[str] = set()
        for _ in range(TRIES):
            address = await self.chosen(failed)
            if address is None:
                break
            host = f"[{address}]" if ":" in address else address
            meeting = {
                "bootstrap_host": host,
                "bootstrap_port": self.bootstrap_port,
                "bootstrap_room": random.getrandbits(63),  # a name, no secret
            }
            body = json.dumps({**asked, **meeting}).encode()
            prefilling = asyncio.create_task(
                self.prefills(address, f"http://{host}:{self.port}", request, body, headers)
            )
            decoding = asyncio.create_task(self.ask(request, body, headers))
            try:
                await asyncio.wait({prefilling, decoding}, return_when=asyncio.FIRST_COMPLETED)
                if decoding.done() or await prefilling:
                    return await self.passed_on(request, await decoding)
            except ClientError as error:
                if request.transport is None or request.transport.is_closing():
                    raise
                return refusal(f"the engine is not there: {error!r}")
            finally:
                # An engine whose client goes away drops the request.
                await dropped(prefilling, decoding)
            failed.add(address)
        return refusal(f"no replica of {self.host} prefills")

    async def prefills(
        self, address: str, base: str, request: web.Request, body: bytes, headers: dict[str, str]
    ) -> bool:
        """Whether a replica has taken the prompt; where it finds fault with it, so does the engine beside."""
        self.busy[address] += 1
        try:
            async with self.to_prefill.post(base + request.path, data=body, headers=headers) as found:
                await found.read()
                return found.status < 500
        except (ClientError, TimeoutError) as error:
            print(f"prefill failed at {address}: {error!r}", flush=True)  # noqa: T201  # its log
            return False
        finally:
            self.busy[address] -= 1

    async def chosen(self, failed: set[str]) -> str | None:
        """The replica with the fewest prompts from here, of those that did not fail."""
        if time.monotonic() - self.looked_up >= LOOKED_UP_SECONDS:
            try:
                loop = asyncio.get_running_loop()
                answers = await loop.getaddrinfo(self.host, self.port, type=SOCK_STREAM)
                self.found, self.looked_up = sorted({str(address[0]) for *_, address in answers}), time.monotonic()
            except gaierror as error:
                print(f"no address of {self.host}: {error!r}", flush=True)  # noqa: T201  # its log
                if error.errno != EAI_AGAIN:  # that the name service does not answer says nothing about replicas
                    self.found = []
        left = [address for address in self.found if address not in failed]
        return min(left, key=lambda address: (self.busy[address], random.random()), default=None)  # noqa: S311  # a tie


async def dropped(*tasks: "asyncio.Task[Any]") -> None:
    """End what nobody waits for any more; an answer that has begun is closed."""
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, ClientResponse):
            ended.close()


def application(prefill: str, engine: str, bootstrap_port: int | None = None) -> web.Application:
    """All paths; those that generate are split."""
    proxy = Proxy(prefill, engine) if bootstrap_port is None else MeetingProxy(prefill, engine, bootstrap_port)
    # A client that goes away cancels the handler, and so the engine's request.
    app = web.Application(client_max_size=LONGEST_PROMPT_BYTES)
    app.cleanup_ctx.append(proxy.run)
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    return app


if __name__ == "__main__":
    web.run_app(
        application(
            os.environ["ATOLL_PREFILL"],
            os.environ["ATOLL_ENGINE"],
            int(os.environ["ATOLL_BOOTSTRAP_PORT"]) if "ATOLL_BOOTSTRAP_PORT" in os.environ else None,
        ),
        port=int(os.environ["ATOLL_PORT"]),
        shutdown_timeout=float(os.environ["ATOLL_GRACE_SECONDS"]),
        handler_cancellation=True,
        access_log=None,
    )
