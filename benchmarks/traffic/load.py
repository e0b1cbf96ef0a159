"""The open-loop load generator, a process of its own: requests come when the trace says, however late answers are.

It reads one JSON object a line: ``{"rates": {"phi-4": 20.0}}`` sets requests/s by served name, ``{"count": true}`` asks
for progress, ``{"stop": true}`` or the end of input lets what is in flight finish, writes every outcome as a line of
JSON and ends; with ``{"stop": true, "within": 10}``, what has no answer within so many seconds is left out. Where to
send comes from the router's EndpointSlices, as kube-proxy has it; a file has it for other clients.
"""

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from atoll.local.follow import client_of, follow
from benchmarks.traffic.request import WHOLE, Outcome, Request, ask
from benchmarks.traffic.trace import Arrival, arrivals

SLICES = "/apis/discovery.k8s.io/v1/namespaces/atoll-system/endpointslices"
ROUTER_SERVICE = "kubernetes.io/service-name=atoll-router"

STREAMED = 0.7
"""Share of the requests that are streamed."""

LONGEST_CONTEXT = 12_000
"""Longer requests of the trace are left out: prompt and answer together, tokens."""

_TRACES = ("conv", "code")


@dataclass(slots=True, kw_only=True)
class Load:
    """Requests to all served names at their present rates.

    Attributes:
        traces: kind of trace by served name.
        rates: requests/s by served name; 0 pauses.
        routers: base URLs that take requests now.
        outcomes: of all requests that ended.
        doors: file of ``routers``, one a line, for other clients; None for none.
    """

    traces: dict[str, str]
    doors: Path | None = None
    rates: dict[str, float] = field(default_factory=dict)
    routers: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    _sent: int = 0
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _slices: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def run(self, kubeconfig: Path, commands: asyncio.StreamReader) -> None:
        """Send until told to stop, then wait for every answer."""
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60.0)
        async with client_of(kubeconfig) as client, aiohttp.ClientSession(connector=connector) as session:
            tasks = [asyncio.create_task(self._follow_routers(client))]
            tasks += [
                asyncio.create_task(self._send(session, name, kind, number))
                for number, (name, kind) in enumerate(sorted(self.traces.items()))
            ]
            within = await self._obey(commands)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._end(within)

    async def _end(self, within: float | None) -> None:
        """Wait for answers, for so many seconds or until all are there."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=within)
        for each in late:
            each.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _obey(self, commands: asyncio.StreamReader) -> float | None:
        """Until told to stop; for how many seconds answers are then waited for, None for all of them."""
        while line := await commands.readline():
            asked = json.loads(line)
            if asked.get("stop"):
                within: float | None = asked.get("within")
                return within
            if "rates" in asked:
                self.rates = asked["rates"]
                changed, self._changed = self._changed, asyncio.Event()
                changed.set()
            if asked.get("count"):
                failed = sum(each.outcome != WHOLE for each in self.outcomes)
                counted = {"sent": self._sent, "ended": len(self.outcomes), "failed": failed}
                sys.stdout.write(json.dumps(counted) + "\n")
                sys.stdout.flush()
        return None

    async def _follow_routers(self, client: Any) -> None:
        async for item, there in follow(client, SLICES, selector=ROUTER_SERVICE):
            name = item["metadata"]["name"]
            if there:
                self._slices[name] = item
            else:
                self._slices.pop(name, None)
            self.routers = [url for each in self._slices.values() for url in _ready(each)]
            if self.doors is not None:
                new = self.doors.with_suffix(".new")
                new.write_text("".join(f"{url}\n" for url in self.routers), encoding="ascii")
                new.replace(self.doors)  # who reads it sees the old or the new one, whole

    async def _send(self, session: aiohttp.ClientSession, name: str, kind: str, number: int) -> None:
        """Requests of one served name, each a task of its own."""
        chance, loop = random.Random(number), asyncio.get_running_loop()  # noqa: S311  # the same requests in each run
        due = loop.time()
        for count, arrival in enumerate(_fitting(kind)):
            left = arrival.gap
            while left > 0.0:  # of a gap, as far as it has not passed at the rates there were
                changed, rate = self._changed, self.rates.get(name, 0.0)
                now = max(due, loop.time()) if rate <= 0.0 else due
                try:
                    wait = None if rate <= 0.0 else max(0.0, now + left / rate - loop.time())
                    await asyncio.wait_for(changed.wait(), wait)
                except TimeoutError:
                    due, left = now + left / rate, 0.0
                else:
                    passed = loop.time() - now
                    left -= passed * rate
                    due = loop.time()
            stream = chance.random() < STREAMED
            request = Request(
                tag=f"{name}-{count}",
                served_name=name,
                input_tokens=arrival.input_tokens,
                output_tokens=arrival.output_tokens,
                stream=stream,
            )
            if not self.routers:
                continue  # before the first router there is nobody to ask
            self._sent += 1
            task = asyncio.create_task(self._ask(session, chance.choice(self.routers), request))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _ask(self, session: aiohttp.ClientSession, router: str, request: Request) -> None:
        self.outcomes.append(await ask(session, router, request))


def _fitting(kind: str) -> Iterator[Arrival]:
    return (each for each in arrivals(kind) if each.input_tokens + each.output_tokens <= LONGEST_CONTEXT)


def _ready(item: dict[str, Any]) -> list[str]:
    port = next((port["port"] for port in item.get("ports") or () if port.get("name") == "http"), 8080)
    return [
        f"http://{address}:{port}"
        for endpoint in item.get("endpoints") or ()
        if endpoint.get("conditions", {}).get("ready") is not False
        for address in endpoint["addresses"]
    ]


async def _run(load: Load, kubeconfig: Path) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await load.run(kubeconfig, reader)


def main() -> None:
    """Run the process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.traffic.load", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="of the local cluster's administrator")
    parser.add_argument("--out", type=Path, required=True, help="file of outcomes, one JSON object a line")
    parser.add_argument("--doors", type=Path, help="file to keep the routers' base URLs in")
    parser.add_argument("models", nargs="+", metavar="NAME=TRACE", help=f"served name and one of {', '.join(_TRACES)}")
    options = parser.parse_args()
    load = Load(traces=dict(each.rsplit("=", 1) for each in options.models), doors=options.doors)
    asyncio.run(_run(load, options.kubeconfig))
    lines = (json.dumps(asdict(each)) for each in sorted(load.outcomes, key=lambda each: each.started))
    options.out.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


if __name__ == "__main__":
    main()
