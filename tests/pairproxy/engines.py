"""Engines that stand in on loopback, and say what they were asked."""

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

HANDED = {"remote_engine_id": "p", "remote_block_ids": [3], "remote_host": "10.0.0.7", "remote_port": 5600}


@dataclass(kw_only=True)
class StandIn:
    """An engine that notes what it is asked."""

    prefills: bool
    asked: list[dict[str, Any]] = field(default_factory=list)
    request_ids: list[str] = field(default_factory=list)
    status: int = 200

    async def completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        self.request_ids.append(request.headers.get("X-Request-Id", ""))
        if self.status != 200:
            return web.json_response({"error": {"message": "no"}}, status=self.status)
        if self.prefills:
            return web.json_response({"choices": [], "kv_transfer_params": HANDED})
        if not body.get("stream"):
            return web.json_response({"choices": [{"text": "hello"}]})
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for word in ("a", "b", "[DONE]"):
            await answer.write(f"data: {word}\n\n".encode())
        return answer

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/completions", self.completions)
        app.router.add_post("/v1/chat/completions", self.completions)
        app.router.add_get("/health", self.health)
        return app

    async def health(self, _: web.Request) -> web.Response:
        return web.Response(status=self.status)


async def serve(app: web.Application, address: str = "127.0.0.1", port: int = 0) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, address, port)
    await site.start()
    return runner, f"http://{address}:{runner.addresses[0][1]}"
