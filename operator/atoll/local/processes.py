"""Start, watch and end the child processes of the local environment.

Each child leads a session of its own (Ctrl-C in the terminal reaches only us, and we end the children in order), has
a log file, a minimal environment without proxy settings (everything is on loopback) and dies with us even on SIGKILL.
The kernel ties that death to the *thread* that started the child, so all children are started by one thread that
lives as long as this process: callers may use any thread.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from atoll.local import pidfile
from atoll.local.errors import LocalEnvironmentError
from atoll.local.state import StateDirectory

_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="atoll-spawner")
_LAUNCHER = Path(__file__).with_name("launcher.py")
_POLL_SECONDS = 0.05
_LOG_TAIL_BYTES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program to run, as a value, so that a restart runs the very same."""

    name: str
    arguments: tuple[str, ...]
    """The program's absolute path, then its arguments."""
    environment: Mapping[str, str]
    """Additions to the minimal environment."""
    kept: bool = False
    """Somebody starts it again when it ends, so its end is no failure of the environment."""


def tied_to_this_process(*, detached: bool = False) -> list[str]:
    """What to put before a command (absolute path first) so that it dies when the thread that starts it does."""
    parent = 0 if detached else os.getpid()
    return [sys.executable, "-I", "-S", str(_LAUNCHER), str(parent)]


class Processes:
    """The children of one state folder; any thread may start and end them."""

    def __init__(self, state: StateDirectory, *, detached: bool = False) -> None:
        self._state = state
        self._detached = detached
        self._commands: dict[str, Command] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.RLock()

    def refuse_second_environment(self) -> None:
        """Fail if another environment runs in this folder; forget records of processes that have ended."""
        living = [record for record in pidfile.read_records(self._state.processes) if pidfile.runs(record)]
        if living:
            names = ", ".join(f"{record.name} ({record.pid})" for record in living)
            raise LocalEnvironmentError(
                f"state folder {self._state.root}: {names} still run from there; end them with `make down`, "
                "or set ATOLL_LOCAL_DIR to another folder"
            )
        self._state.processes.unlink(missing_ok=True)

    def start(self, command: Command) -> None:
        """Run the command as a child and record its identity before anything else happens."""
        full = [*tied_to_this_process(detached=self._detached), *command.arguments]
        with self._lock, self.log(command.name).open("ab") as log:
            child = _spawn_in_lasting_thread(full, _environment(command), self._state.root, log.fileno())
            self._commands[command.name], self._children[command.name] = command, child
            record = pidfile.record_of(command.name, child.pid)
            if record is not None:
                known = (r for r in pidfile.read_records(self._state.processes) if r.name != command.name)
                pidfile.write_records(self._state.processes, (*known, record))

    def restart(self, name: str) -> None:
        """Start the same command again; ends the old process abruptly if it still runs."""
        self.kill(name)
        self.start(self._commands[name])

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one process and, for SIGKILL and SIGTERM, wait for its end."""
        child = self._child(name)
        if child.poll() is None:
            os.killpg(child.pid, number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            child.wait()

    def end(self, name: str, *, patience_seconds: float = 1.5) -> None:
        """End one child for good."""
        with self._lock:
            self._end([self._child(name)], patience_seconds)
            self._forget((name,))

    def stop_all(self, *, patience_seconds: float = 1.5) -> None:
        """End all children, last started first, those that take longer by force.

        kube-apiserver waits for its clients' watches to end and would take a minute; the data is thrown away anyhow.
        """
        with self._lock:
            self._end(list(self._children.values()), patience_seconds)
            self._forget(tuple(self._children))

    def has(self, name: str) -> bool:
        """Whether a process of that name was started here and not ended for good."""
        return name in self._children

    def pid(self, name: str) -> int:
        """The process id of a running child."""
        return self._child(name).pid

    def ended(self, name: str) -> int | None:
        """The exit status of a child that has ended; a negative one is a signal's number."""
        return self._child(name).poll()

    def check(self) -> None:
        """Fail if a child that nobody keeps has ended by itself, with the end of its log."""
        for name, child in list(self._children.items()):
            if not self._commands[name].kept and child.poll() is not None:
                raise LocalEnvironmentError(
                    f"process {name} ended with status {child.returncode}; log {self.log(name)} ends with:\n"
                    f"{_tail(self.log(name))}"
                )

    def wait_until(self, condition: Callable[[], bool], *, what: str, seconds: float) -> None:
        """Wait until the condition holds; fail at once if a child ends, and after `seconds` in any case."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise LocalEnvironmentError(f"{what}: not so after {seconds:g} s; logs are in {self._state.logs}")
            time.sleep(_POLL_SECONDS)

    def log(self, name: str) -> Path:
        """The log file of a process."""
        return self._state.logs / f"{name}.log"

    def _forget(self, names: tuple[str, ...]) -> None:
        """Take children off the record. Another environment's records in the same folder stay."""
        ended = {self._children.pop(name).pid for name in names}
        left = tuple(each for each in pidfile.read_records(self._state.processes) if each.pid not in ended)
        if left:
            pidfile.write_records(self._state.processes, left)
        else:
            self._state.processes.unlink(missing_ok=True)

    @staticmethod
    def _end(children: list[subprocess.Popen[bytes]], patience_seconds: float) -> None:
        for child in reversed(children):
            _signal(child, signal.SIGTERM)
        deadline = time.monotonic() + patience_seconds
        for child in reversed(children):
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(child, signal.SIGKILL)
                child.wait()

    def _child(self, name: str) -> subprocess.Popen[bytes]:
        if name not in self._children:
            raise LocalEnvironmentError(f"process {name!r} was not started here; there are {sorted(self._children)}")
        return self._children[name]


def _spawn_in_lasting_thread(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, log: int
) -> subprocess.Popen[bytes]:
    spawning = _SPAWNER.submit(_spawn, command, environment, folder, log)
    try:
        return spawning.result()
    except KeyboardInterrupt:  # the child may exist, and nobody else would know it
        _signal(spawning.result(), signal.SIGKILL)
        raise


def _spawn(command: Sequence[str], environment: Mapping[str, str], folder: Path, log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  # our own command line, as a list, without a shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment,
        cwd=folder,
        start_new_session=True,
    )


def _environment(command: Command) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return {"HOME": "/nonexistent", **kept, **command.environment}


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if child.poll() is None:
        os.killpg(child.pid, number)


def _tail(path: Path) -> str:
    return path.read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", errors="replace")
