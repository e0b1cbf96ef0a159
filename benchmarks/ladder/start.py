"""Starts a run in a child process and waits for its row; imports nothing large, for a child inherits the peak."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

METHOD_NAMES = ("atoll", "eliminated", "plain", "coral")
"""Those of ``methods.METHODS``, which would import numpy, Pyomo and HiGHS."""

ROOT = Path(__file__).resolve().parents[2]
"""Where the package ``benchmarks`` is imported from."""


class BadFileError(ValueError):
    """The file is no instance."""


class RunError(RuntimeError):
    """The run ended without a row."""


def run_child(
    file: Path,
    *,
    method: str,
    deadline: float,
    memory: int = 0,
    with_trace: bool = False,
    progress: Callable[[float, float, float], object] | None = None,
) -> dict[str, Any]:
    """One method on one file, in a process of its own with one thread for linear algebra.

    Args:
        file: the instance.
        method: its name.
        deadline: CPU seconds.
        memory: limit of address space, MiB; 0 for none.
        with_trace: add value and bound over time.
        progress: is told CPU seconds, value and bound now and then.

    Raises:
        BadFileError: the file is no instance.
        RunError: the process ended without an answer, such as at the memory limit.
    """
    command = [sys.executable, "-m", "benchmarks.ladder.child", str(file), method, repr(deadline)]
    command += ["--memory", str(memory)] if memory else []
    command += ["--trace"] if with_trace else []
    command += ["--progress"] if progress else []
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(paths)}
    row: dict[str, Any] | None = None
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(  # noqa: S603  # our own module
            command, stdout=subprocess.PIPE, stderr=complaints, text=True, env=environment
        ) as child,
    ):
        assert child.stdout is not None  # noqa: S101  # asked for as a pipe
        try:
            for line in child.stdout:
                message = json.loads(line)
                if progress and "progress" in message:
                    progress(*message["progress"])
                row = message.get("row", row)
            status = child.wait()
            complaints.seek(0)
            complaint = complaints.read().strip()
        except BaseException:
            child.kill()
            raise
    if status == 2:
        raise BadFileError(complaint)
    if status or row is None:
        ended = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
        last = complaint.splitlines()[-1] if complaint else "no message"
        raise RunError(f"{file}: --method {method}: the run broke off ({ended}): {last}")
    return row
