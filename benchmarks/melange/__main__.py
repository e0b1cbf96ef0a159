"""The command ``python -m benchmarks.melange``."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.ending import end_with
from benchmarks.melange.instance import MEASURED, read_instances
from benchmarks.melange.row import row_of
from benchmarks.rows import command, report

EXAMPLES = """\
  python -m benchmarks.melange benchmarks/data/melange/measured.json
  python -m benchmarks.melange path/to/example.json --json"""

COLUMNS = {
    "instance": "instance",
    "buckets": "buckets",
    "value": "by slices",
    "proven": "optimal",
    "divisible": "divisible",
    "bound": "bound",
    "gap": "gap",
    "published": "Melange",
    "ok": "not dearer",
    "cpuSeconds": "CPU s",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = command(
        "melange",
        "Share request sizes among GPU types for the lowest price: by Melange's own slice rule, compared with the "
        "answers of its solver, and with buckets that a router by size can divide, which is the bound.",
        EXAMPLES,
        deadline=30.0,
    )
    options = parser.parse_args(arguments)
    files: list[Path] = options.files or [MEASURED]
    return report(
        files,
        lambda path: [row_of(instance, deadline=options.deadline) for instance in read_instances(path)],
        COLUMNS,
        as_json=options.json,
    )


if __name__ == "__main__":
    end_with(main, "benchmarks.melange")
