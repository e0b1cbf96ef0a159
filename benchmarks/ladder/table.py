"""Rows as a table for people."""

from collections.abc import Iterable, Mapping
from typing import Any

HEADS = ("instance", "method", "value", "bound", "gap", "first", "1 s", "5 s", "30 s", "CPU", "wall", "MiB", "packed")


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """One row, in the order of the heads: US$/h, shares in percent, seconds."""
    at = row["gapAtSeconds"]
    return (
        row["instance"],
        row["method"],
        f"{row['value']:.2f}",
        f"{row['bound']:.2f}",
        _percent(row["gap"]),
        _seconds(row["firstFeasibleSeconds"]),
        *(_percent(at[mark]) for mark in ("1", "5", "30")),
        _seconds(row["cpuSeconds"]),
        _seconds(row["wallSeconds"]),
        f"{row['peakMemoryMiB']:.0f}",
        "yes" if row["packed"] else "NO",
    )


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Aligned columns under their heads."""
    lines = [HEADS, *(cells(row) for row in rows)]
    widths = [max(len(line[number]) for line in lines) for number in range(len(HEADS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number < 2 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(rows: Iterable[Mapping[str, Any]]) -> str:
    """The same as a Markdown table."""
    lines = [HEADS, ("---", "---", *["---:"] * (len(HEADS) - 2)), *(cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100.0 * share:.2f} %"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f} s"
