"""The process ``python -m atoll.local.engines``: all stand-in engines of one cluster, and a door to break them."""

import argparse
import asyncio
import logging
from pathlib import Path

from aiohttp import web

from atoll.local.engines.standins import StandIns
from atoll.local.follow import client_of
from atoll.local.ports import LOOPBACK


async def serve(kubeconfig: Path, *, control_port: int, speed: float, chunk_tokens: int) -> None:
    """Follow the pods of a cluster until cancelled."""
    async with client_of(kubeconfig) as client:
        standins = StandIns(client=client, speed=speed, chunk_tokens=chunk_tokens)
        runner = web.AppRunner(_control(standins), access_log=None, handle_signals=False)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, control_port).start()
        await standins.run()


def _control(standins: StandIns) -> web.Application:
    """State to read, and deaths to order; each answers the tags of the requests that were in flight."""

    async def state(_: web.Request) -> web.Response:
        return web.json_response(standins.state())

    async def lose(request: web.Request) -> web.Response:
        return web.json_response(await standins.lose_node(request.match_info["node"]))

    async def crash(request: web.Request) -> web.Response:
        pause = float(request.query.get("backSeconds", "2"))
        return web.json_response(await standins.crash(request.match_info["pod"], pause))

    async def hang(request: web.Request) -> web.Response:
        standins.hang(request.match_info["pod"])
        return web.json_response([])

    app = web.Application()
    app.router.add_get("/engines", state)
    app.router.add_post("/nodes/{node}/lose", lose)
    app.router.add_post("/pods/{pod}/crash", crash)
    app.router.add_post("/pods/{pod}/hang", hang)
    return app


def main() -> None:
    """Run the process."""
    parser = argparse.ArgumentParser(prog="python -m atoll.local.engines", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="of the local cluster's administrator")
    parser.add_argument("--control-port", type=int, required=True, help="on loopback: state, and deaths to order")
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds per second (1)")
    parser.add_argument("--chunk-tokens", type=int, default=1, help="tokens in one server-sent event (1)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    asyncio.run(
        serve(
            options.kubeconfig,
            control_port=options.control_port,
            speed=options.speed,
            chunk_tokens=options.chunk_tokens,
        )
    )


if __name__ == "__main__":
    main()
