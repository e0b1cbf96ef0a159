"""The command ``python -m benchmarks.ladder``."""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.ending import end_with
from benchmarks.ladder.start import METHOD_NAMES, BadFileError, RunError, run_child
from benchmarks.ladder.table import table

DATA = Path(__file__).resolve().parents[1] / "data" / "ladder"
"""The instances that come with the project."""

EXAMPLES = """\
examples:
  python -m benchmarks.ladder --deadline 5
      all instances that come with the project, 5 s of CPU each
  python -m benchmarks.ladder benchmarks/data/ladder/i_40_10_0_2.npz --deadline 30 --json
      one instance, as JSON: a list with one object per file
  python -m benchmarks.ladder FILE.npz --deadline 60 --method eliminated --memory-limit 8000
      HiGHS on the product's exact program, with at most 8000 MiB

methods:
  atoll        the product
  eliminated   HiGHS on the product's exact program: no hosting variables, clipped, every domain
  plain        HiGHS on the program with hosting variables
  coral        HiGHS on Coral's program: a replica owns whole nodes

exit status:
  0  every answer is there and packed
  1  a run broke off, or its answer could not be packed
  2  wrong use, or a file that is no instance
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    options = _options(arguments)
    files = options.files or sorted(DATA.glob("*.npz"))
    missing = [file for file in files if not file.is_file()]
    for file in missing:
        sys.stderr.write(f"benchmarks.ladder: {file}: {'is a folder' if file.is_dir() else 'no such file'}\n")
    if missing:
        return 2
    rows, status = [], 0
    for file in files:
        try:
            row = run_child(
                file,
                method=options.method,
                deadline=options.deadline,
                memory=options.memory_limit,
                with_trace=options.trace,
                progress=_progress(file.stem) if sys.stderr.isatty() else None,
            )
        except (BadFileError, RunError) as error:
            _clear()
            sys.stderr.write(f"benchmarks.ladder: {error}\n")
            status = max(status, 2 if isinstance(error, BadFileError) else 1)
            continue
        _clear()
        if not row["packed"]:
            sys.stderr.write(f"benchmarks.ladder: {file}: the answer could not be packed\n")
            status = max(status, 1)
        rows.append(row)
    if options.json:
        json.dump(rows, sys.stdout, indent=1)
        sys.stdout.write("\n")
    elif rows:
        sys.stdout.write(table(rows) + "\n")
    return status


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ladder",
        description="Solve instances of the stage-two program within a deadline and measure answer, bound and cost of "
        "solving. Time is CPU time of all threads and processes, from the problem to the answer.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE.npz", help="instances (default: those of the project)"
    )
    parser.add_argument(
        "--deadline", type=_deadline, default=30.0, metavar="S", help="CPU seconds per instance (default: 30)"
    )
    parser.add_argument("--method", choices=METHOD_NAMES, default="atoll", help="who solves (default: atoll)")
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of a table")
    parser.add_argument("--trace", action="store_true", help="add [seconds, value, bound] over time to the JSON")
    parser.add_argument(
        "--memory-limit",
        type=_mebibytes,
        default=0,
        metavar="MIB",
        help="most address space of a run (default: no limit)",
    )
    return parser.parse_args(arguments)


def _deadline(text: str) -> float:
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: give seconds above 0, such as 30")
    return seconds


def _mebibytes(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: give whole MiB above 0, such as 4000")
    return int(text)


def _progress(name: str) -> Callable[[float, float, float], object]:
    def show(seconds: float, value: float, bound: float) -> None:
        gap = (value - bound) / value if value > 0.0 else 0.0
        line = f"{name}  {seconds:7.2f} s  value {value:.2f}  bound {bound:.2f}  gap {100.0 * gap:.2f} %"
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()

    return show


def _clear() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")


if __name__ == "__main__":
    end_with(main, "benchmarks.ladder")
