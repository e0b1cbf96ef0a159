"""``python -m benchmarks.performance``: errors of the estimates against measurements, by GPU kind.

TPOT, rate and single layers each have the median and the 90th percentile of |estimate / measurement - 1|, and the bias,
the median of estimate / measurement - 1. rateReached is the share of loads that reached the rate promised with the
margin of the default confidence. Calibrations: kernels alone, as shipped, fitted without the LLM or GPU kind itself.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from atoll.performance.estimate import KernelPerformance, ShippedPerformance
from benchmarks.ending import end_with
from benchmarks.performance.plot import draw
from benchmarks.performance.report import all_errors, evidence, table


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, as JSON or as text; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.performance", description=__doc__)
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw estimates over measurements (needs matplotlib)")
    options = parser.parse_args(arguments)
    known = evidence(KernelPerformance(), ShippedPerformance())
    errors = all_errors(known)
    rows = table(known, errors)
    if options.plot is not None:
        draw(known, errors, options.plot)
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return 0
    fields = list(rows[0])
    sys.stdout.write(" ".join(f"{field:>12.12}" for field in fields) + "\n")
    for row in rows:
        sys.stdout.write(" ".join(f"{'-' if row[field] is None else row[field]!s:>12.12}" for field in fields) + "\n")
    return 0


if __name__ == "__main__":
    end_with(main, "benchmarks.performance")
