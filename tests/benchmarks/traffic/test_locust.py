"""What the load client that is not ours takes for a failure."""

import json
import os
import signal
import sys
from asyncio import Event, create_subprocess_exec
from collections import Counter
from pathlib import Path
from subprocess import DEVNULL, PIPE

import pytest
from aiohttp import web
from benchmarks.traffic.locust_run import FILE, counted

from atoll.local.ports import LOOPBACK, free_ports

ENOUGH = 4
"""Of each kind of answer."""


class Wrong:
    """A router whose streams are good or cut in turn, and whose other answers are good or short."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.enough = Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        kind = "streamed" if asked["stream"] else "whole"
        good = self.answers.total() % 2 == 0
        self.answers[f"{kind} {good}"] += 1
        if len(self.answers) == 4 and min(self.answers.values()) >= ENOUGH:
            self.enough.set()
        if not asked["stream"]:
            return web.json_response({"usage": {"completion_tokens": asked["max_tokens"] - (not good)}})
        stream = web.StreamResponse()
        await stream.prepare(request)
        await stream.write(b"data: {}\n\n")
        if good:
            await stream.write(b"data: [DONE]\n\n")
        elif request.transport is not None:
            request.transport.abort()
        return stream


@pytest.mark.timeout(120)
async def test_cut_streams_and_short_answers_are_failures_with_their_time(tmp_path: Path) -> None:
    wrong, (port,) = Wrong(), free_ports(1)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", wrong.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    doors, failures = tmp_path / "doors", tmp_path / "failures"
    doors.write_text(f"http://{LOOPBACK}:{port}\n")
    process = await create_subprocess_exec(
        *(sys.executable, "-m", "locust", "--locustfile", str(FILE), "--headless", "--json"),
        *("--users", "8", "--spawn-rate", "8", "--stop-timeout", "10", "--loglevel", "ERROR"),
        env={**os.environ, "TRAFFIC_DOORS": str(doors), "TRAFFIC_FAILURES": str(failures)},
        stdout=PIPE,
        stderr=DEVNULL,
    )
    await wrong.enough.wait()
    process.send_signal(signal.SIGTERM)
    told, _ = await process.communicate()
    await runner.cleanup()
    found = counted(told.decode(), failures.read_text().splitlines())
    bad = {kind: wrong.answers[f"{kind} False"] for kind in ("streamed", "whole")}
    assert sum(found.requests.values()) == wrong.answers.total()
    assert found.failures == sum(bad.values())
    assert Counter(why for _, why in found.failed) == {
        "streamed: cut stream: ChunkedEncodingError": bad["streamed"],
        "whole: short answer": bad["whole"],
    }
    assert all(at > 0.0 for at, _ in found.failed)


def test_a_client_that_sent_nothing_is_no_proof() -> None:
    with pytest.raises(RuntimeError, match="sent nothing"):
        counted("[]", [])


def test_a_median_is_of_all_requests_of_a_kind() -> None:
    row = {"name": "whole", "num_requests": 4, "num_failures": 0, "response_times": {"90": 1, "100": 2, "700": 1}}
    assert counted(json.dumps([row]), []).median_seconds == {"whole": 0.1}
