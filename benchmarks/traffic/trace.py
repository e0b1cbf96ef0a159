"""Azure's arrivals and lengths (2023), for as long as they are wanted and at any rate."""

import csv
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_DATA = Path(__file__).resolve().parents[1] / "data" / "traffic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One request of a trace.

    Attributes:
        gap: to the one before, in means of the trace's gaps: 1 on average.
        input_tokens: of the prompt.
        output_tokens: of the answer.
    """

    gap: float
    input_tokens: int
    output_tokens: int


def arrivals(kind: str) -> Iterator[Arrival]:
    """The trace ``conv`` or ``code`` over and over."""
    with (_DATA / f"azure_{kind}_2023.csv").open(encoding="ascii", newline="") as lines:
        rows = [{name: int(value) for name, value in row.items()} for row in csv.DictReader(lines)]
    mean = sum(row["gap_ms"] for row in rows) / len(rows)
    return itertools.cycle(
        Arrival(
            gap=row["gap_ms"] / mean,
            input_tokens=max(1, row["input_tokens"]),
            output_tokens=max(1, row["output_tokens"]),
        )
        for row in rows
    )
