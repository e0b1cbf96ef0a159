"""Stands before a decode engine: has each prompt prefilled elsewhere, then lets the engine beside it decode.

Runs by the engine image's Python, beside vLLM in the same pod, and needs aiohttp alone, which vLLM itself asks for. The
protocol is that of vLLM's NixlConnector: a request with ``do_remote_decode`` and one token is answered with
``kv_transfer_params``, and the engine that is given these fetches the KV. Where prefill cannot be had, the engine
beside does it: slower, and the request is served.

Environment: ``ATOLL_PREFILL`` and ``ATOLL_ENGINE`` are base URLs, ``ATOLL_PORT`` is where to listen,
``ATOLL_GRACE_SECONDS`` is how long requests in flight may take after SIGTERM.
"""

import json
import os
import uuid
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web

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


def prefill_request(body: dict[str, Any]) -> dict[str, Any]:
    """The same request for one token that nobody sees, whose KV is kept for another engine."""
    left_out = ("stream_options", "min_tokens", "min_completion_tokens")
    asked = {name: value for name, value in body.items() if name not in left_out}
    if "max_completion_tokens" in asked:
        asked["max_completion_tokens"] = 1
    return {**asked, "max_tokens": 1, "stream": False, "kv_transfer_params": ASK}


class Proxy:
    """One decode engine and the Service of those that prefill for it."""

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
            async with self.to_engine.request(
                request.method, self.engine + request.path_qs, data=body, headers=headers, allow_redirects=False
            ) as found:
                kept = [(name, value) for name, value in found.headers.items() if name.lower() not in HOP_BY_HOP]
                answer = web.StreamResponse(status=found.status, headers=kept)
                await answer.prepare(request)
                async for piece in found.content.iter_any():
                    await answer.write(piece)
                await answer.write_eof()
                return answer
        except ClientError as error:
            if request.transport is None or request.transport.is_closing():
                raise
            return web.json_response({"error": {"message": f"the engine is not there: {error!r}"}}, status=503)


def application(prefill: str, engine: str) -> web.Application:
    """All paths; those that generate are split."""
    proxy = Proxy(prefill, engine)
    # A client that goes away cancels the handler, and so the engine's request.
    app = web.Application(client_max_size=LONGEST_PROMPT_BYTES)
    app.cleanup_ctx.append(proxy.run)
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    return app


if __name__ == "__main__":
    web.run_app(
        application(os.environ["ATOLL_PREFILL"], os.environ["ATOLL_ENGINE"]),
        port=int(os.environ["ATOLL_PORT"]),
        shutdown_timeout=float(os.environ["ATOLL_GRACE_SECONDS"]),
        handler_cancellation=True,
        access_log=None,
    )
