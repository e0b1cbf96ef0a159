"""The command ``python -m benchmarks.helix``."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.ending import end_with
from benchmarks.helix.instance import read_instances
from benchmarks.helix.row import row_of
from benchmarks.rows import command, report

DATA = Path(__file__).resolve().parents[1] / "data" / "helix"
"""The instances that come with the project."""

EXAMPLES = """\
  python -m benchmarks.helix benchmarks/data/helix
  python -m benchmarks.helix benchmarks/data/helix/single24_llama70b --json
  python -m benchmarks.helix path/to/ilp_model.lp path/to/throughput_tables.json"""

COLUMNS = {
    "instance": "instance",
    "machines": "nodes",
    "layers": "layers",
    "value": "tokens/s",
    "bound": "bound",
    "gap": "gap",
    "proven": "optimal",
    "published": "Helix",
    "publishedSeconds": "Helix s",
    "ok": "not below",
    "cpuSeconds": "CPU s",
    "meanHops": "hops",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = command(
        "helix",
        "Place a served model's layers on nodes of several kinds for the highest throughput, on the instances that "
        "Helix (ASPLOS'25) published, and prove how near that is. The search ends by itself within seconds: the "
        "deadline is not needed.",
        EXAMPLES,
        deadline=60.0,
    )
    options = parser.parse_args(arguments)
    return report(
        options.files or [DATA],
        lambda path: [row_of(instance) for instance in read_instances(path)],
        COLUMNS,
        as_json=options.json,
    )


if __name__ == "__main__":
    end_with(main, "benchmarks.helix")
