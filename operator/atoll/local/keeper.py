"""Keeps one process running as a kubelet keeps a container: what ends is started again, after a pause that grows.

A router that crashed comes back, with the configuration that is mounted then, and the rest of the environment goes on.
Every end is remembered and written into the process's own log: it is survived, not hidden.
"""

import threading
import time

from atoll.local.processes import Processes

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
"""A kubelet waits for 10 s at first and for 5 minutes at most; here everything is twenty times and ten times faster."""

_CALM_SECONDS = 60.0
"""After so long without an end the pause is the first one again."""

_POLL_SECONDS = 0.1


class Keeper:
    """Restarts one kept process from `start` to `close`, in a thread of its own."""

    def __init__(self, processes: Processes, name: str) -> None:
        self._processes = processes
        self._name = name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"keeper-{name}", daemon=True)
        self._ends: list[int] = []

    @property
    def ends(self) -> tuple[int, ...]:
        """The exit status of every process that ended by itself so far; a negative one is a signal's number."""
        return tuple(self._ends)

    def start(self) -> None:
        """Begin to watch; the process runs already."""
        self._thread.start()

    def close(self) -> None:
        """Watch no more; the process is left as it is."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause, last = FIRST_PAUSE_SECONDS, time.monotonic()
        while not self._stop.wait(_POLL_SECONDS):
            status = self._processes.ended(self._name)
            if status is None:
                continue
            now = time.monotonic()
            pause = FIRST_PAUSE_SECONDS if now - last > _CALM_SECONDS else pause
            self._ends.append(status)
            self._write(f"ended with status {status}, end {len(self._ends)}; started again in {pause:g} s")
            if self._stop.wait(pause):
                return
            self._processes.restart(self._name)
            pause, last = min(2 * pause, LONGEST_PAUSE_SECONDS), time.monotonic()

    def _write(self, text: str) -> None:
        with self._processes.log(self._name).open("a", encoding="utf-8") as log:
            log.write(f"keeper: {self._name} {text}\n")
