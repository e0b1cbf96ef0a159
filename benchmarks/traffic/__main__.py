"""The command ``python -m benchmarks.traffic``."""

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from atoll.local.binaries import ensure_binaries
from atoll.local.errors import LocalEnvironmentError
from atoll.local.namespace import enter
from atoll.local.tools import ensure_tool
from benchmarks.ending import INTERRUPTED, end_with
from benchmarks.rows import table
from benchmarks.traffic.bed import POD_CIDR, bed
from benchmarks.traffic.figures import rows_of
from benchmarks.traffic.kinds import MOVES
from benchmarks.traffic.run import Run, Size, run

RESULTS = Path(__file__).resolve().parents[1] / "results"

EXAMPLES = """\
  python -m benchmarks.traffic
  python -m benchmarks.traffic --requests 100000 --moves 40 --losses 10 --speed 12 --locust --json
  python -m benchmarks.traffic --only "node NotReady" --moves 3 --losses 0 --split 0 --utilisation 0 --keep"""

COLUMNS = {
    "figure": "figure",
    "value": "value",
    "unit": "unit",
    "aim": "at most",
    "met": "met",
    "samples": "samples",
    "detail": "detail",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        binaries, coredns = ensure_binaries(), ensure_tool("coredns")
        enter(["-m", "benchmarks.traffic", *(sys.argv[1:] if arguments is None else arguments)], pod_cidr=POD_CIDR)
    except LocalEnvironmentError as error:
        sys.stderr.write(f"benchmarks.traffic: {error}\n")
        return 1
    state = Path(tempfile.mkdtemp(prefix="atoll-traffic-"))
    size = Size(
        requests=options.requests,
        moves=options.moves,
        losses=options.losses,
        split_requests=options.split,
        utilisation_seconds=options.utilisation,
        ttft_pairs=options.ttft,
        locust=options.locust,
    )
    found = None
    try:
        with bed(
            binaries, coredns, state, speed=options.speed, delivery_delay=options.delay, patience=options.patience
        ) as made:
            found = run(made, size, wanted=options.only)
    except KeyboardInterrupt:
        if found is None:  # else the bed was being taken down, and all is measured
            raise
    finally:
        if options.keep:
            sys.stderr.write(f"benchmarks.traffic: logs and outcomes are in {state}\n")
        else:
            shutil.rmtree(state, ignore_errors=True)
    rows = rows_of(found)
    options.results.mkdir(parents=True, exist_ok=True)
    _plot(found, options.results)
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=2, allow_nan=False) + "\n")
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(table(rows, COLUMNS))
    missed = [row["figure"] for row in rows if row["met"] is False]
    aims = sum(row["aim"] is not None for row in rows)
    not_met = f"; not met: {', '.join(missed)}" if missed else ""
    sys.stderr.write(f"benchmarks.traffic: {aims - len(missed)} of {aims} aims met{not_met}\n")
    if found.interrupted:
        sys.stderr.write("benchmarks.traffic: interrupted: figures are of what had been done\n")
        return INTERRUPTED
    return 1 if missed else 0


def _plot(found: Run, folder: Path) -> None:
    try:
        from benchmarks.traffic.plot import plot  # noqa: PLC0415  # slow to load and needed here only
    except ModuleNotFoundError as error:
        sys.stderr.write(f"benchmarks.traffic: no plot: {error}: pip install {error.name}\n")
        return
    plot(found, folder)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.traffic",
        description="Real requests through the real router to stand-in engines while the real operator moves the fleet "
        "on a real control plane, all in a network namespace of its own: what fails, what is late, who gets what.",
        epilog=f"Examples:\n\n{EXAMPLES}\n\nExit codes: 0 every aim met, 1 one was not or nothing ran, 2 usage, "
        "130 interrupted by Ctrl-C or SIGTERM: figures of what had been done are printed; a second Ctrl-C prints none.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [move.name for move in MOVES]
    parser.add_argument("--requests", type=int, default=5000, help="at least, through the moves (5000)")
    parser.add_argument("--moves", type=int, default=6, help="planned moves, of each kind in turn (6)")
    parser.add_argument("--losses", type=int, default=1, help="of each kind without notice (1)")
    parser.add_argument("--only", nargs="*", choices=names, default=(), metavar="MOVE", help=f"of: {', '.join(names)}")
    parser.add_argument("--split", type=int, default=10000, help="requests for shares; 0: no shares (10000)")
    parser.add_argument(
        "--utilisation", type=float, default=60.0, metavar="S", help="seconds to watch templates; 0: not (60)"
    )
    parser.add_argument("--ttft", type=int, default=400, help="pairs of requests for TTFT; 0: none (400)")
    parser.add_argument("--locust", action="store_true", help="let Locust send too, through all moves")
    parser.add_argument("--speed", type=float, default=4.0, help="simulated seconds per second of the engines (4)")
    parser.add_argument(
        "--delay", type=float, default=0.5, help="from a change of the ConfigMap to its files, seconds (0.5)"
    )
    parser.add_argument(
        "--patience", type=float, default=1.5, metavar="FACTOR", help="waits are so many times those of a quiet machine"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of plots (benchmarks/results)")
    parser.add_argument("--keep", action="store_true", help="keep logs and outcomes, and say where")
    parser.add_argument("--json", action="store_true", help="print a JSON list of rows")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    end_with(main, "benchmarks.traffic")
