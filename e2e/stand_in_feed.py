"""A price feed that a test writes: a JSON document with an entity tag, or whatever else a server may answer."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from atoll.local.ports import LOOPBACK


class Feed:
    """One document on a free loopback port.

    Attributes:
        content: of the document; another one has another tag.
        status: of every answer, where it is not 200.
        answers: how often each status was answered.
    """

    def __init__(self) -> None:
        self.content = b""
        self.status = 200
        self.answers: Counter[int] = Counter()
        feed = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content, status, tag = feed.content, feed.status, f'"{hash(feed.content)}"'
                if status == 200 and self.headers.get("If-None-Match") == tag:
                    content, status = b"", 304
                feed.answers[status] += 1
                self.send_response(status)
                self.send_header("ETag", tag)
                if status != 304:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Questions are not news."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="feed", daemon=True)

    @property
    def url(self) -> str:
        """Of the document."""
        return f"http://{LOOPBACK}:{self._server.server_address[1]}/prices.json"

    def offer(self, *offerings: dict[str, Any]) -> None:
        """A good document."""
        self.content = json.dumps({"schemaVersion": 1, "offerings": offerings}).encode()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
