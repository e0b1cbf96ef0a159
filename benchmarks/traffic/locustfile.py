"""What a load client that is not ours sends, and how it judges answers: `locust --locustfile` reads this file."""

import json

from locust import HttpUser, constant, task
from locust.clients import ResponseContextManager

TOKENS = 24


class Reader(HttpUser):
    """Asks one question after another, three of four streamed."""

    wait_time = constant(0.05)

    @task(3)
    def stream(self) -> None:
        """A stream is good if its last event is the end."""
        with self._ask(stream=True) as answer:
            lines = [line for line in answer.iter_lines() if line]
            if answer.status_code != 200 or not lines or lines[-1] != b"data: [DONE]":
                answer.failure(f"status {answer.status_code}, {len(lines)} events, no end")

    @task(1)
    def whole(self) -> None:
        """An answer is good if all its tokens are there."""
        with self._ask(stream=False) as answer:
            made = json.loads(answer.content)["usage"]["completion_tokens"] if answer.status_code == 200 else 0
            if made != TOKENS:
                answer.failure(f"status {answer.status_code}, {made} tokens")

    def _ask(self, *, stream: bool) -> ResponseContextManager:
        body = {
            "model": "gpt-oss-20b",
            "messages": [{"role": "user", "content": "so " * 200}],
            "max_tokens": TOKENS,
            "stream": stream,
        }
        name = "streamed" if stream else "whole"
        found = self.client.post("/v1/chat/completions", json=body, stream=stream, name=name, catch_response=True)
        assert isinstance(found, ResponseContextManager)  # noqa: S101  # by catch_response
        return found
