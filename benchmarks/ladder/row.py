"""A run as a row: the fields that the command prints."""

from typing import Any

from benchmarks.ladder.answer import empty, shortfall, value
from benchmarks.ladder.form import Form
from benchmarks.ladder.method import Run
from benchmarks.ladder.packer import packed
from benchmarks.ladder.trace import MARKS, gap_of, trace_of

SCHEMA_VERSION = 1
"""Of the rows; rises when a field changes its meaning or goes."""


def row_of(
    form: Form, run: Run, *, method: str, deadline: float, start_seconds: float, peak: float, with_trace: bool
) -> dict[str, Any]:
    """Everything that is published about a run.

    Args:
        form: of the instance.
        run: of the method.
        method: its name.
        deadline: that it was given, CPU seconds.
        start_seconds: CPU time before it began: imports, reading the file, stating the program.
        peak: most memory that the process held, MiB.
        with_trace: whether value and bound over time are wanted.
    """
    answer = empty(form) if run.answer is None else run.answer
    trace = trace_of(form, run.events, answer)
    worth = value(form, answer)
    bound = max(0.0, run.bound)
    first = trace.first_feasible_seconds
    row: dict[str, Any] = {
        "schemaVersion": SCHEMA_VERSION,
        "instance": form.name,
        "method": method,
        "value": worth,
        "bound": bound,
        "gap": gap_of(worth, bound),
        "firstFeasibleSeconds": None if first is None else round(first, 3),
        "gapAtSeconds": {str(mark): trace.at(mark).gap for mark in MARKS},
        "cpuSeconds": round(run.cpu_seconds, 3),
        "wallSeconds": round(run.wall_seconds, 3),
        "startSeconds": round(start_seconds, 3),
        "deadlineSeconds": deadline,
        "peakMemoryMiB": round(peak, 1),
        "nodes": list(answer.nodes),
        "shortfall": shortfall(form, answer).tolist(),
        "packed": packed(form, answer),
    }
    if with_trace:
        row["trace"] = [[round(step.seconds, 3), step.value, step.bound] for step in trace.steps]
    return row
