"""What all comparisons with published systems print: one row for each instance, as JSON or as a table for people."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

SCHEMA_VERSION = 1
"""Of a row; a field that changes its meaning or goes away raises it."""

Row = Mapping[str, Any]


class FileError(ValueError):
    """A file cannot be used; the message names the file, what is wrong and the mend."""

    def __init__(self, path: Path, wrong: str, mend: str) -> None:
        super().__init__(f"{path}: {wrong}: {mend}")


def command(name: str, about: str, examples: str, *, deadline: float) -> argparse.ArgumentParser:
    """The options that every comparison has.

    Args:
        name: of the package, such as ``helix``.
        about: one sentence.
        examples: command lines, one a line.
        deadline: default, seconds for each instance.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=about,
        epilog=f"Examples:\n\n{examples}\n\nExit codes: 0 done, 1 a file is at fault, 2 usage.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="file or folder of an instance (default: those of the project)",
    )
    parser.add_argument(
        "--deadline", type=seconds, default=deadline, metavar="S", help="most seconds for each instance (%(default)g)"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list with one row for each instance")
    return parser


def seconds(text: str) -> float:
    """A positive, finite number of seconds, with or without ``s``."""
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        value = -1.0
    if not 0.0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: give seconds above 0, such as 30")
    return value


def report(
    files: Sequence[Path],
    rows_of: Callable[[Path], Sequence[Row]],
    columns: Mapping[str, str],
    *,
    as_json: bool,
    out: TextIO | None = None,
) -> int:
    """Work through the files and print; the exit code: 0, or 1 when a file was at fault.

    Args:
        files: of the command line.
        rows_of: rows of one file; raises ``FileError``.
        columns: of the table: heading by field.
        as_json: JSON instead of the table.
        out: standard output unless given.
    """
    rows: list[Row] = []
    faults = 0
    for path in files:
        try:
            rows += [{"schemaVersion": SCHEMA_VERSION, **row} for row in rows_of(path)]
        except FileError as error:
            faults += 1
            print(f"error: {error}", file=sys.stderr)  # noqa: T201  # a command's errors go to standard error
    stream = out or sys.stdout
    if as_json:
        stream.write(json.dumps(rows, indent=2, allow_nan=False) + "\n")
    elif rows:
        Console(file=stream, width=None if stream.isatty() else 200).print(table(rows, columns))
    return 1 if faults else 0


def table(rows: Sequence[Row], columns: Mapping[str, str]) -> Table:
    """One line for each row.

    Args:
        rows: one at least.
        columns: heading by field.
    """
    made = Table(box=None, header_style="bold")
    for field, heading in columns.items():
        made.add_column(heading, justify="left" if isinstance(rows[0].get(field), str) else "right")
    for row in rows:
        made.add_row(*(_cell(field, row.get(field)) for field in columns))
    return made


def _cell(field: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if field == "gap":
            return f"{value:.2%}"
        return f"{value:.2f}" if abs(value) < 1e5 else f"{value:.0f}"
    return str(value)
