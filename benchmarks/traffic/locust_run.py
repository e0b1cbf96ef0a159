"""Locust, a load client that is not ours, beside our own generator through one move."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from atoll.local.processes import tied_to_this_process
from benchmarks.traffic.bed import Bed

T = TypeVar("T")

_FILE = Path(__file__).with_name("locustfile.py")
_USERS = 8
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Locusts:
    """What Locust counted.

    Attributes:
        requests: sent.
        failures: of these, by its own judgement.
    """

    requests: int
    failures: int


def beside(bed: Bed, move: Callable[[Bed], T]) -> tuple[Locusts, T]:
    """Let Locust send through one router pod while a move is made; what both came to."""
    router = bed.path.router_pods.running[0]
    process = subprocess.Popen(  # noqa: S603  # our own file
        [
            *tied_to_this_process(),
            *(sys.executable, "-m", "locust", "--locustfile", str(_FILE), "--host", f"http://{router.address}:8080"),
            *("--headless", "--users", str(_USERS), "--spawn-rate", str(_USERS), "--json", "--stop-timeout", "30"),
            *("--loglevel", "ERROR"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        made = move(bed)
        process.terminate()
        told, _ = process.communicate(timeout=_PATIENCE_SECONDS)
    finally:
        process.kill()
    rows = json.loads(told)
    requests, failures = (sum(row[each] for row in rows) for each in ("num_requests", "num_failures"))
    return Locusts(requests=requests, failures=failures), made
