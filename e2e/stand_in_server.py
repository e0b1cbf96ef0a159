"""What a test answers over HTTP in place of a server of somebody else's, on a free loopback port."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from atoll.local.ports import LOOPBACK

Answer = tuple[int, Mapping[str, str], bytes]
"""Status, headers and content."""


class StandInServer(ABC):
    """Answers every GET, from entering to leaving.

    Attributes:
        url: of what is answered.
    """

    def __init__(self, path: str) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, content = server.answer(self.headers)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 304:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Questions are not news."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name=path, daemon=True)
        self.url = f"http://{LOOPBACK}:{self._server.server_address[1]}{path}"

    @abstractmethod
    def answer(self, asked: Mapping[str, str]) -> Answer:
        """What to answer a question with these headers."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
