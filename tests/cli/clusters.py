"""An API server over objects in memory, on loopback, and a kubeconfig for it: just what commands ask for."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

Raw = dict[str, Any]


class ApiServer:
    """Objects by path; every write raises the resource version, and a stale one is refused."""

    def __init__(self) -> None:
        self.objects: dict[str, Raw] = {}
        self.managers: list[tuple[str, str, str]] = []
        self.answers: dict[str, Raw] = {}
        self.refused: dict[str, int] = {}
        self._version = 0

    def put(self, collection: str, obj: Raw) -> Raw:
        """Store an object as it would be after a write."""
        self._version += 1
        metadata = {"uid": f"uid-{obj['metadata']['name']}", **obj["metadata"], "resourceVersion": str(self._version)}
        namespace = metadata.get("namespace")
        root, _, plural = collection.rpartition("/")
        path = f"{root}/namespaces/{namespace}/{plural}" if namespace else collection
        stored = {**obj, "metadata": metadata}
        self.objects[f"{path}/{metadata['name']}"] = stored
        return stored

    def answer(self, method: str, target: str, body: Raw | None) -> tuple[int, Raw]:
        """What the API server says."""
        parts = urlsplit(target)
        path, query = parts.path, parse_qs(parts.query)
        if path in self.refused:
            return self.refused[path], {"reason": "Refused", "message": "not here"}
        if method != "GET":
            self.managers.append((method, path, query.get("fieldManager", [""])[0]))
        if path in self.answers:
            return 200, self.answers[path]
        if method == "POST" and body is not None:
            return self._created(path, body)
        known = self.objects.get(path)
        if known is not None:
            return self._of(path, known, method, body)
        if method == "GET" and path.rpartition("/")[2].isalpha():
            return 200, {"metadata": {"resourceVersion": "1"}, "items": self._listed(path)}
        return 404, {"reason": "NotFound", "message": f"{path} is not there"}

    def _created(self, path: str, body: Raw) -> tuple[int, Raw]:
        if f"{path}/{body['metadata']['name']}" in self.objects:
            return 409, {"reason": "AlreadyExists", "message": "it is there"}
        return 201, self.put(path, body)

    def _of(self, path: str, known: Raw, method: str, body: Raw | None) -> tuple[int, Raw]:
        if method == "DELETE":
            return 200, self.objects.pop(path)
        if method == "PATCH" and body is not None:
            if body["metadata"].get("resourceVersion") not in (None, known["metadata"]["resourceVersion"]):
                return 409, {"reason": "Conflict", "message": "it is another"}
            changed = {**known, "spec": {**known["spec"], **body.get("spec", {})}}
            return 200, self.put(path.rpartition("/")[0], changed)
        return 200, known

    def _listed(self, path: str) -> list[Raw]:
        root, _, plural = path.rpartition("/")
        return [
            obj
            for place, obj in self.objects.items()
            if place.startswith(f"{root}/") and place.rpartition("/")[0].rpartition("/")[2] == plural
        ]


@contextmanager
def serving(server: ApiServer, folder: Path) -> Iterator[Path]:
    """Serve on loopback; the kubeconfig."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply()

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815  # names of http.server

        def _reply(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, content = server.answer(self.command, self.path, body)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    path = folder / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{http.server_port}"}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    try:
        yield path
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
