"""A real Prometheus on loopback, in a folder of its own: scrapes what it is told to, answers PromQL, takes rules."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

from atoll.local.ports import LOOPBACK, free_ports
from atoll.local.processes import Command, Processes
from atoll.local.state import StateDirectory
from atoll.local.tools import ensure_tool

_PROCESS = "prometheus"
_READY_SECONDS = 60.0
_TIMEOUT_SECONDS = 15.0


class Prometheus:
    """One server. A context manager: leaving it ends the server, its data stay in the folder."""

    def __init__(
        self,
        folder: Path,
        *,
        targets: Mapping[str, Iterable[str]],
        rules: Iterable[Path] = (),
        scrape_seconds: int = 1,
    ) -> None:
        """Prepare; the server is built if it is not there yet, and not started.

        Args:
            folder: for its configuration, data and log.
            targets: URLs of metrics pages, by name of the job.
            rules: files of recording and alerting rules.
            scrape_seconds: between two scrapes, and between two evaluations of rules.
        """
        state = StateDirectory(root=folder)
        state.create()
        self._processes = Processes(state)
        self._folder = folder
        self._binary = ensure_tool("prometheus")
        (self._port,) = free_ports(1)
        self._configuration = folder / "prometheus.yml"
        self._configuration.write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": f"{scrape_seconds}s", "evaluation_interval": f"{scrape_seconds}s"},
                    "rule_files": [str(path) for path in rules],
                    "scrape_configs": [_job(name, url) for name, urls in targets.items() for url in urls],
                }
            ),
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._processes.stop_all()

    @property
    def url(self) -> str:
        """Where it answers, the same after it was stopped and started."""
        return f"http://{LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Start it and wait until it answers queries."""
        self._processes.start(
            Command(
                name=_PROCESS,
                arguments=(
                    str(self._binary),
                    f"--config.file={self._configuration}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address={LOOPBACK}:{self._port}",
                    "--log.level=warn",
                ),
                environment={},
            )
        )
        self._processes.wait_until(self._is_ready, what=f"Prometheus ready at {self.url}", seconds=_READY_SECONDS)

    def stop(self) -> None:
        """End it; ``start`` takes up its data again."""
        self._processes.end(_PROCESS)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an instant query gives now, each with ``metric`` and ``value``."""
        found = self.get("query", query=expression)
        return list(found["result"])

    def get(self, endpoint: str, **parameters: str) -> dict[str, Any]:
        """The ``data`` of an endpoint below ``/api/v1``, such as ``rules``; an AssertionError with what it said."""
        answer = httpx.get(
            f"{self.url}/api/v1/{endpoint}", params=parameters, timeout=_TIMEOUT_SECONDS, trust_env=False
        )
        assert answer.status_code == httpx.codes.OK, f"{endpoint} {parameters}: {answer.text}"
        return dict(answer.json()["data"])

    def _is_ready(self) -> bool:
        try:
            answer = httpx.get(f"{self.url}/-/ready", timeout=_TIMEOUT_SECONDS, trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK


def _job(name: str, url: str) -> dict[str, Any]:
    found = httpx.URL(url)
    return {
        "job_name": f"{name}-{found.port}",
        "scheme": found.scheme,
        "metrics_path": found.path,
        "static_configs": [{"targets": [f"{found.host}:{found.port}"], "labels": {"job": name}}],
    }
