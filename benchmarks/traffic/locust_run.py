"""Locust, a load client that is not ours, beside our own generator through the moves."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from atoll.local.processes import tied_to_this_process
from benchmarks.traffic.bed import Bed

FILE = Path(__file__).with_name("locustfile.py")
"""What it sends."""

_USERS = 8
"""Each waits for its answer and asks at most once a second, so that no more than so many requests/s come of them."""

_STOP_SECONDS = 30.0
"""What is in flight in the end may take so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Locusts:
    """What Locust counted.

    Attributes:
        requests: sent, by kind.
        failures: of all of them, by its own judgement.
        median_seconds: until the first byte of streams, and until the end of other answers, by kind.
        failed: when each failure's request was sent, Unix time, and what was wrong.
    """

    requests: dict[str, int]
    failures: int
    median_seconds: dict[str, float]
    failed: tuple[tuple[float, str], ...] = ()


class LocustProcess:
    """Locust, which sends from now on to whatever router pods take requests."""

    def __init__(self, bed: Bed) -> None:
        """Start it.

        Args:
            bed: whose routers to ask; the load generator says which there are.
        """
        self._failures = bed.folder / "locust-failures.jsonl"
        self._process = subprocess.Popen(  # noqa: S603  # our own file
            [
                *tied_to_this_process(),
                *(sys.executable, "-m", "locust", "--locustfile", str(FILE), "--headless", "--json"),
                *("--users", str(_USERS), "--spawn-rate", str(_USERS), "--stop-timeout", f"{_STOP_SECONDS:.0f}"),
                *("--loglevel", "ERROR"),
            ],
            env={**os.environ, "TRAFFIC_DOORS": str(bed.load.doors), "TRAFFIC_FAILURES": str(self._failures)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def finish(self) -> Locusts:
        """Let it end what is in flight, and tell."""
        try:
            self._process.terminate()
            told, _ = self._process.communicate(timeout=2.0 * _STOP_SECONDS)
        finally:
            self._process.kill()
        lines = self._failures.read_text(encoding="utf-8").splitlines() if self._failures.exists() else []
        return counted(told, lines)


def counted(told: str, failures: list[str]) -> Locusts:
    """What Locust's own summary and its failures come to.

    Args:
        told: its summary, a JSON list of kinds of requests.
        failures: one JSON object a line, as ``locustfile`` writes them.

    Raises:
        RuntimeError: it sent nothing.
    """
    rows = {row["name"]: row for row in json.loads(told)}
    if not rows:
        raise RuntimeError("Locust sent nothing")
    return Locusts(
        requests={name: row["num_requests"] for name, row in rows.items()},
        failures=sum(row["num_failures"] for row in rows.values()),
        median_seconds={name: _median(row["response_times"]) for name, row in rows.items()},
        failed=tuple((each["at"], f"{each['name']}: {each['why']}") for each in map(json.loads, failures)),
    )


def _median(counts: dict[str, int]) -> float:
    """Of times that Locust counts by rounded milliseconds; seconds."""
    total, seen = sum(counts.values()), 0
    for milliseconds, count in sorted((float(each), count) for each, count in counts.items()):
        seen += count
        if 2 * seen >= total:
            return milliseconds / 1000.0
    return 0.0
