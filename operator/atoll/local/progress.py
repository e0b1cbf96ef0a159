"""Tell people what a ten-minute build is doing: a live display on a terminal, one line per program elsewhere."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

CONSOLE = Console(stderr=True)
"""Standard error: what the local environment prints for people never mixes with a command's output."""

_FIRST_TIME = "Building the control plane, once per machine: ten minutes or more on two cores"


class Report:
    """Progress over a known number of programs."""

    def __init__(self, programs: int, live: Progress | None) -> None:
        self._programs = programs
        self._done = 0
        self._live = live
        self._total: TaskID | None = live.add_task(_FIRST_TIME, total=programs) if live else None

    def note(self, text: str) -> None:
        """Say something beside the progress."""
        (self._live.console if self._live else CONSOLE).print(text)

    def skip(self, programs: Iterable[str]) -> None:
        """Count programs that turned out to be there."""
        for program in programs:
            self._finish(f"{program}: built by another run")

    @contextmanager
    def building(self, program: str) -> Iterator[None]:
        """Show that a program is being built, and how long it took."""
        started = time.monotonic()
        task = self._live.add_task(f"  {program}", total=None) if self._live else None
        if self._live is None:
            CONSOLE.print(f"building {program} ({self._done + 1} of {self._programs})")
        try:
            yield
        finally:
            if self._live is not None and task is not None:
                self._live.remove_task(task)
        self._finish(f"built {program} in {time.monotonic() - started:.0f} s")

    def _finish(self, text: str) -> None:
        self._done += 1
        self.note(text)
        if self._live is not None and self._total is not None:
            self._live.advance(self._total)


@contextmanager
def shown(programs: int) -> Iterator[Report]:
    """A report over that many programs, live where standard error is a terminal."""
    if not CONSOLE.is_terminal:
        CONSOLE.print(_FIRST_TIME)
        yield Report(programs, None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=CONSOLE) as live:
        yield Report(programs, live)
