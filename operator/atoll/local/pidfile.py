"""Which processes are ours, said so that nobody else's is ever ended.

A process id alone is reused by the kernel; the pair of id and start time is not while the machine is up, and the boot
id tells machines' lives apart. `make down` after a crash ends exactly what still matches.
"""

import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

_STATE_FIELD = 0
_START_FIELD = 19
"""Positions in `/proc/<pid>/stat` after the closing parenthesis of the command name (fields 3 and 22 of proc(5))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """One process that the local environment started."""

    name: str
    pid: int
    start_ticks: int
    """Clock ticks after boot at which it started, from /proc: with `pid` its identity."""
    boot_id: str
    """Which life of the machine the ticks count from."""


def boot_id() -> str:
    """The identity of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks after boot; None if there is none or it is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[_STATE_FIELD] in ("Z", "X") else int(fields[_START_FIELD])


def record_of(name: str, pid: int) -> ProcessRecord | None:
    """The record of a process that runs now; None if it has ended already."""
    ticks = start_ticks(pid)
    return None if ticks is None else ProcessRecord(name=name, pid=pid, start_ticks=ticks, boot_id=boot_id())


def runs(record: ProcessRecord) -> bool:
    """Whether this very process still runs, not another one under its number."""
    return record.boot_id == boot_id() and start_ticks(record.pid) == record.start_ticks


def read_records(path: Path) -> tuple[ProcessRecord, ...]:
    """What was started, in the order of starting; empty where nothing was."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    return msgspec.json.decode(content, type=tuple[ProcessRecord, ...])


def write_records(path: Path, records: tuple[ProcessRecord, ...]) -> None:
    """Replace the file at once, so that a reader or a crash never sees half of it."""
    draft = path.with_suffix(f".{os.getpid()}.draft")
    draft.write_bytes(msgspec.json.encode([asdict(record) for record in records]))
    draft.replace(path)


def signal_group(record: ProcessRecord, number: signal.Signals) -> None:
    """Signal the process group that the record leads (every child has its own session), if it is still that process."""
    if runs(record):
        try:
            os.killpg(record.pid, number)
        except ProcessLookupError:
            return


def end_all(records: tuple[ProcessRecord, ...], *, patience_seconds: float) -> tuple[str, ...]:
    """Ask all to end, wait, then kill what is left. Returns the names of those that ran."""
    living = [record for record in records if runs(record)]
    names = tuple(record.name for record in living)
    for record in reversed(living):
        signal_group(record, signal.SIGTERM)
    _await_end(living, patience_seconds)
    for record in living:
        signal_group(record, signal.SIGKILL)
    _await_end(living, patience_seconds)
    return names


def _await_end(records: list[ProcessRecord], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(runs(record) for record in records) and time.monotonic() < deadline:
        time.sleep(0.02)
