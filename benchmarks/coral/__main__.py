"""The command ``python -m benchmarks.coral``."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.coral.row import row_of
from benchmarks.coral.setting import read_setting
from benchmarks.ending import end_with
from benchmarks.rows import FileError, command, report

DATA = Path(__file__).resolve().parents[1] / "data" / "coral"
"""The settings that come with the project."""

EXAMPLES = """\
  python -m benchmarks.coral benchmarks/data/coral/extended.json --deadline 5
  python -m benchmarks.coral benchmarks/data/coral --json"""

COLUMNS = {
    "instance": "setting",
    "templates": "templates",
    "value": "$/h",
    "bound": "bound",
    "gap": "gap",
    "coralValue": "Coral's program $/h",
    "coralTheta": "its share served",
    "ok": "not worse",
    "cpuSeconds": "CPU s",
    "coralCpuSeconds": "its CPU s",
    "publishedSeconds": "published s",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = command(
        "coral",
        "Solve Coral's published setting with the product and with Coral's program on the same templates; where nodes "
        "are too few, compare strict priorities with uniform scaling (Coral's way) and with first-come.",
        EXAMPLES,
        deadline=30.0,
    )
    options = parser.parse_args(arguments)
    return report(
        options.files or [DATA],
        lambda path: [row_of(read_setting(each), deadline=options.deadline) for each in files(path)],
        COLUMNS,
        as_json=options.json,
    )


def files(path: Path) -> list[Path]:
    """The settings in a folder, or the path itself where it is none."""
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.json"))
    if not found:
        raise FileError(path, "no JSON files in it", "give a setting as in benchmarks/data/coral")
    return found


if __name__ == "__main__":
    end_with(main, "benchmarks.coral")
