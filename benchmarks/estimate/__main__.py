"""The command ``python -m benchmarks.estimate``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from atoll.reconcile.lead import DEFAULT_LEAD_SECONDS
from benchmarks.ending import end_with
from benchmarks.estimate.curves import STEP_SECONDS, Samples, read_curves
from benchmarks.estimate.plot import plot
from benchmarks.estimate.ways import WAYS, in_place
from benchmarks.rows import Row, report

FOLDER = Path(__file__).resolve().parents[1] / "data" / "estimate"

EXAMPLES = """\
  python -m benchmarks.estimate
  python -m benchmarks.estimate --hours 24 --lead 300 --json
  python -m benchmarks.estimate --halves
  python -m benchmarks.estimate --plot estimate.svg"""

COLUMNS = {
    "curve": "curve",
    "hours": "hours",
    "way": "way",
    "part": "part",
    "underTime": "time under",
    "unserved": "requests unserved",
    "over": "mean over",
    "changes": "changes a day",
}

_DAY_SECONDS = 86_400.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.estimate",
        description="What is planned for by measured demand, on real curves: share of samples above the capacity in "
        "place, share of requests above it, mean capacity over mean demand less 1, and how often another rate is "
        "planned for. Growth takes a start-up time, less takes effect at once.",
        epilog=f"Examples:\n\n{EXAMPLES}\n\nExit codes: 0 done, 1 a file is at fault, 2 usage.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="file of curves (default: the project's)")
    parser.add_argument("--json", action="store_true", help="print a JSON list of rows")
    parser.add_argument("--hours", type=float, default=0.0, help="of each curve, from its start (0: all)")
    parser.add_argument(
        "--lead", type=float, default=DEFAULT_LEAD_SECONDS, metavar="S", help="start-up, s (%(default)g)"
    )
    parser.add_argument("--keep", type=float, default=600.0, metavar="S", help="keep-window, s (%(default)g)")
    parser.add_argument(
        "--halves", action="store_true", help="judge the first half of each curve and the second by themselves"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw two days of the longest curve as SVG")
    options = parser.parse_args(arguments)
    drawn: list[tuple[Samples, list[float]]] = []

    def rows_of(path: Path) -> list[Row]:
        rows: list[Row] = []
        for curve in read_curves(path):
            count = int(options.hours * 3600.0 / STEP_SECONDS) or len(curve.rates)
            rates = curve.rates[:count]
            for way, decide in WAYS.items():
                asked = decide(rates, options.lead, options.keep)
                capacity = in_place(asked, options.lead)
                hours = round(len(rates) * STEP_SECONDS / 3600.0, 1)
                middle = len(rates) // 2
                parts = {"all": slice(None)}
                if options.halves:
                    parts = {"first half": slice(middle), "second half": slice(middle, None)}
                for part, of in parts.items():
                    # Only at a curve's beginning could nothing be in place yet.
                    lead = options.lead if part != "second half" else 0.0
                    found = judged(rates[of], asked[of], capacity[of], lead)
                    rows.append({"curve": curve.name, "hours": hours, "way": way, "part": part, **found})
                if way == "atoll":
                    drawn.append((curve, asked))
        return rows

    status = report(options.files or sorted(FOLDER.glob("*.csv")), rows_of, COLUMNS, as_json=options.json)
    if options.plot is not None and drawn:
        plot(*max(drawn, key=lambda item: len(item[1])), path=options.plot)
    return status


def judged(
    rates: Sequence[float | None], asked: Sequence[float], capacity: Sequence[float], lead_seconds: float
) -> Row:
    """How a way did, from the first moment at which it could have had anything in place."""
    first = int(lead_seconds / STEP_SECONDS) + 1
    seen = [(rate, has) for rate, has in zip(rates[first:], capacity[first:], strict=True) if rate is not None]
    demand = sum(rate for rate, _ in seen)
    changes = sum(before != after for before, after in zip(asked[first:], asked[first + 1 :], strict=False))
    days = len(asked[first:]) * STEP_SECONDS / _DAY_SECONDS
    return {
        "underTime": _share(sum(rate > has for rate, has in seen), len(seen)),
        "unserved": _share(sum(max(0.0, rate - has) for rate, has in seen), demand),
        "over": round(sum(has for _, has in seen) / demand - 1.0, 4) if demand else None,
        "changes": round(changes / days, 1) if days else None,
    }


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 5) if whole else None


if __name__ == "__main__":
    end_with(main, "benchmarks.estimate")
