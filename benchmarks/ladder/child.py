"""One run in a process of its own, so that time and memory are its own: ``python -m benchmarks.ladder.child``.

Speaks lines of JSON: ``{"progress": [seconds, value, bound]}`` if wanted, and last ``{"row": ...}``. Exit status 2:
the file is no instance; the reason is on standard error.
"""

import argparse
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, NoReturn, TextIO

PROGRESS_SECONDS = 0.2
"""CPU time between two lines of progress."""


def main() -> NoReturn:
    """Run one method on one file."""
    options = _options()
    if options.memory:
        limit = options.memory << 20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # Whatever a library prints must not get into the answer.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        status = _run(options, answers)
    sys.stderr.flush()
    # A solver that did not end at the deadline may still be running in a thread.
    os._exit(status)


def _run(options: argparse.Namespace, answers: TextIO) -> int:
    # numpy reads the number of threads when it is imported, and the parent has set it by then: one.
    from benchmarks.ladder.instance import InstanceError, read_instance  # noqa: PLC0415  # after the memory limit
    from benchmarks.ladder.methods import METHODS  # noqa: PLC0415
    from benchmarks.ladder.row import row_of  # noqa: PLC0415
    from benchmarks.ladder.spent import cpu_seconds, peak_mebibytes  # noqa: PLC0415

    def say(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message, allow_nan=False) + "\n")
        answers.flush()

    next_line = 0.0

    def hear(seconds: float, value: float, bound: float) -> None:
        nonlocal next_line
        if options.progress and seconds >= next_line and value < float("inf"):
            next_line = seconds + PROGRESS_SECONDS
            say({"progress": [seconds, value, max(0.0, bound)]})

    try:
        instance = read_instance(options.file, deadline_seconds=options.deadline)
    except InstanceError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    run = METHODS[options.method](instance, options.deadline, hear)
    start, peak = cpu_seconds() - run.cpu_seconds, peak_mebibytes()
    say(
        {
            "row": row_of(
                instance.form,
                run,
                method=options.method,
                deadline=options.deadline,
                start_seconds=start,
                peak=peak,
                with_trace=options.trace,
            )
        }
    )
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("method")
    parser.add_argument("deadline", type=float)
    parser.add_argument("--memory", type=int, default=0)
    parser.add_argument("--progress", action="store_true")
    parser.add_argument("--trace", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
