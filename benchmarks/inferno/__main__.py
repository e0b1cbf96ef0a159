"""The command ``python -m benchmarks.inferno``."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.ending import end_with
from benchmarks.inferno.instance import read_instance
from benchmarks.inferno.row import row_of
from benchmarks.rows import command, report

DATA = Path(__file__).resolve().parents[1] / "data" / "inferno"
"""The instances that come with the project."""

EXAMPLES = """\
  python -m benchmarks.inferno benchmarks/data/inferno/small benchmarks/data/inferno/large
  python -m benchmarks.inferno benchmarks/data/inferno/large --deadline 5 --json"""

COLUMNS = {
    "instance": "instance",
    "servers": "servers",
    "value": "cost",
    "bound": "bound",
    "gap": "gap",
    "proven": "optimal",
    "published": "published",
    "oneAccelerator": "one accelerator each",
    "ok": "not dearer",
    "cpuSeconds": "CPU s",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = command(
        "inferno",
        "Choose accelerators and replicas for inference servers, on the instances of llm-inferno/sample-data with "
        "inferno's own queueing model, and compare with the published solutions.",
        EXAMPLES,
        deadline=30.0,
    )
    options = parser.parse_args(arguments)
    return report(
        options.files or [DATA / "small", DATA / "large"],
        lambda path: [row_of(read_instance(each), deadline=options.deadline) for each in folders(path)],
        COLUMNS,
        as_json=options.json,
    )


def folders(path: Path) -> list[Path]:
    """The instances below a folder, or the path itself where it is one (or nothing)."""
    below = sorted(each.parent for each in path.glob("*/server-data.json"))
    return below or [path]


if __name__ == "__main__":
    end_with(main, "benchmarks.inferno")
