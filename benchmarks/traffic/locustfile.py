"""What a load client that is not ours sends, and how it judges answers: `locust --locustfile` reads this file.

``TRAFFIC_DOORS`` names a file of routers' base URLs, one a line, that others keep; ``TRAFFIC_FAILURES`` one that gets a
line of JSON for each failure.
"""

import json
import os
import random
import time
from pathlib import Path

from locust import HttpUser, constant_pacing, task
from locust.clients import ResponseContextManager
from requests import RequestException

TOKENS = 24

NAMES = ("gpt-oss-20b", "phi-4")
"""Served names that are there all the time."""

_TIMEOUT = (10.0, 60.0)
"""Seconds to connect, and from one piece of an answer to the next."""


class Reader(HttpUser):
    """Asks at most one question a second, three of four streamed."""

    host = "http://routers"  # not asked: each request goes to one of those that there are
    wait_time = constant_pacing(1.0)

    @task(3)
    def stream(self) -> None:
        """A stream is good if its last event is the end."""
        started = time.time()
        with self._ask(stream=True) as answer:
            if answer.status_code != 200:
                answer.failure(_noted("streamed", started, f"status {answer.status_code}"))
                return
            try:
                lines = [line for line in answer.iter_lines() if line]
            except RequestException as error:  # Locust itself would raise it, and count nothing
                answer.failure(_noted("streamed", started, f"cut stream: {type(error).__name__}"))
                return
            if not lines or lines[-1] != b"data: [DONE]":
                answer.failure(_noted("streamed", started, "short stream"))

    @task(1)
    def whole(self) -> None:
        """An answer is good if all its tokens are there."""
        started = time.time()
        with self._ask(stream=False) as answer:
            if answer.status_code != 200:
                answer.failure(_noted("whole", started, f"status {answer.status_code}"))
            elif json.loads(answer.content)["usage"]["completion_tokens"] != TOKENS:
                answer.failure(_noted("whole", started, "short answer"))

    def _ask(self, *, stream: bool) -> ResponseContextManager:
        doors = Path(os.environ["TRAFFIC_DOORS"]).read_text(encoding="ascii").split()
        body = {
            "model": random.choice(NAMES),  # noqa: S311  # no secret
            "messages": [{"role": "user", "content": "so " * 200}],
            "max_tokens": TOKENS,
            "stream": stream,
        }
        found = self.client.post(
            f"{random.choice(doors)}/v1/chat/completions",  # noqa: S311  # no secret
            json=body,
            stream=stream,
            name="streamed" if stream else "whole",
            catch_response=True,
            timeout=_TIMEOUT,
        )
        assert isinstance(found, ResponseContextManager)  # noqa: S101  # by catch_response
        return found


def _noted(kind: str, started: float, why: str) -> str:
    """Note when a request was sent that failed, and why; status 0 is a connection that broke before any answer."""
    with Path(os.environ["TRAFFIC_FAILURES"]).open("a", encoding="ascii") as lines:
        lines.write(json.dumps({"at": started, "name": kind, "why": why}) + "\n")
    return why
