"""The command ``python -m benchmarks.bench`` (``make bench``): all comparisons, as JSON, one table file and plots.

Each comparison is a command ``python -m benchmarks.NAME``, run on the instances that come with it; one that is not
there is left out. Every run's rows are kept as ``results/<run>.json`` with the command that made them; the tables and
plots are made from these files, so that a part can be run again alone.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.ending import INTERRUPTED, end_with
from benchmarks.tables import results_page

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One command whose rows are kept.

    Attributes:
        run: name of its file of rows.
        module: of ``benchmarks``, such as ``ladder`` or ``ladder.warm``.
        about: one sentence for the page of results.
        options: of the command, besides ``--json``.
        long_options: the same where all time is given.
    """

    run: str
    module: str
    about: str
    options: tuple[str, ...] = ()
    long_options: tuple[str, ...] | None = None


COMPARISONS = (
    Comparison(
        run="ladder-atoll",
        module="ladder",
        about="The product on instances of its own program.",
        options=("--deadline", "30", "--trace"),
    ),
    Comparison(
        run="ladder-eliminated",
        module="ladder",
        about="HiGHS on the product's exact program, without column generation, placement and neighbourhoods.",
        options=("--method", "eliminated", "--deadline", "60", "--trace"),
        long_options=("--method", "eliminated", "--deadline", "600", "--trace"),
    ),
    Comparison(
        run="ladder-plain",
        module="ladder",
        about="HiGHS on the program with hosting variables.",
        options=("--method", "plain", "--deadline", "60", "--trace"),
        long_options=("--method", "plain", "--deadline", "600", "--trace"),
    ),
    Comparison(
        run="ladder-coral",
        module="ladder",
        about="HiGHS on Coral's program: a replica owns whole nodes.",
        options=("--method", "coral", "--deadline", "30", "--trace"),
        long_options=("--method", "coral", "--deadline", "300", "--trace"),
    ),
    Comparison(
        run="ladder-warm",
        module="ladder.warm",
        about="A tenth of the pools gives other numbers of nodes: 1 s with what still runs, 30 s from nothing.",
        options=("--shortfall-first",),
    ),
    Comparison(run="helix", module="helix", about="Placement of layers on Helix's published instances."),
    Comparison(run="inferno", module="inferno", about="inferno's published instances."),
    Comparison(run="melange", module="melange", about="Melange's published instances, scored by its own rule."),
    Comparison(
        run="stability",
        module="stability",
        about="What noise, a change of availability and scarcity do to a fleet that runs.",
    ),
    Comparison(run="coral", module="coral", about="Coral's published setting."),
    Comparison(
        run="traffic",
        module="traffic",
        about="Requests through the real router while the fleet moves and loses nodes.",
        options=("--requests", "5000", "--moves", "6", "--locust"),
        long_options=(
            *("--requests", "100000", "--moves", "39", "--losses", "5"),
            *("--speed", "12", "--utilisation", "30", "--locust"),
        ),
    ),
    Comparison(
        run="estimate",
        module="estimate",
        about="What measured demand is planned for, on real curves, against simpler rules.",
        options=("--plot", "benchmarks/results/estimate.svg"),
    ),
    Comparison(run="performance", module="performance", about="Estimates of stage one against measurements of others."),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for and write all that is known; the exit status."""
    options = _options(arguments)
    options.results.mkdir(parents=True, exist_ok=True)
    failed = []
    for comparison in COMPARISONS:
        if options.only is not None and comparison.run not in options.only:
            continue
        if not present(comparison.module):
            sys.stderr.write(f"benchmarks.bench: {comparison.run}: not there, left out\n")
            continue
        status = run(comparison, options.results, with_all_time=options.long)
        if status == INTERRUPTED:
            return status
        if status:
            failed.append(comparison.run)
            sys.stderr.write(f"benchmarks.bench: {comparison.run}: exit status {status}\n")
    write_page(options.results)
    return 1 if failed else 0


def present(module: str) -> bool:
    """Whether a module or a package with a command is there."""
    try:
        name = f"benchmarks.{module}"
        spec = find_spec(name)
        return spec is not None and (
            spec.submodule_search_locations is None or find_spec(f"{name}.__main__") is not None
        )
    except ModuleNotFoundError:
        return False


def run(comparison: Comparison, results: Path, *, with_all_time: bool) -> int:
    """Run one comparison and keep its rows; the exit status of its command.

    Args:
        comparison: what to run.
        results: folder to keep the rows in.
        with_all_time: with its long options.
    """
    options = comparison.long_options if with_all_time and comparison.long_options else comparison.options
    words = ["-m", f"benchmarks.{comparison.module}", *options, "--json"]
    shown = " ".join(["python", *words])
    sys.stderr.write(f"benchmarks.bench: {shown}\n")
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    status, told = _ended([sys.executable, *words], environment)
    try:
        rows = json.loads(told)
    except json.JSONDecodeError:
        return status or 1
    kept = {"command": shown, "about": comparison.about, "commit": commit(), "machine": machine(), "rows": rows}
    (results / f"{comparison.run}.json").write_text(json.dumps(kept, indent=1) + "\n")
    return status


def _ended(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Exit status and output of a command; one that is interrupted still tells what it had done."""
    with subprocess.Popen(  # noqa: S603  # our own modules
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment, start_new_session=True
    ) as child:
        try:
            told, _ = child.communicate()
        except KeyboardInterrupt:
            child.send_signal(signal.SIGINT)
            told, _ = child.communicate()
    return child.returncode, told


def write_page(results: Path) -> None:
    """The page of tables and the plots, from all rows that are kept; without matplotlib, no plots."""
    kept: dict[str, Mapping[str, Any]] = {}
    for comparison in COMPARISONS:
        path = results / f"{comparison.run}.json"
        if path.is_file():
            kept[comparison.run] = json.loads(path.read_text())
    drawn: list[str] = []
    try:
        from benchmarks.plots import plots  # noqa: PLC0415  # slow to load and needed for plots only

        drawn = plots({run: each["rows"] for run, each in kept.items()}, results)
    except ModuleNotFoundError as error:
        sys.stderr.write(f"benchmarks.bench: no plots: {error}: pip install {error.name}\n")
    (results / "results.md").write_text(results_page(kept, drawn))


def commit() -> str:
    """Of the working tree, with ``+`` where it was changed since; a question mark without git."""
    command = ("git", "describe", "--always", "--abbrev=10", "--dirty=+")
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)  # noqa: S603  # fixed words
    except (OSError, subprocess.CalledProcessError):
        return "?"
    return done.stdout.strip()


def machine() -> str:
    """What it was run on, in words: processors and Python."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{os.cpu_count()} x {model}, Python {platform.python_version()}"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench", description="Run all comparisons; write rows, tables and plots."
    )
    runs = [comparison.run for comparison in COMPARISONS]
    parser.add_argument("--only", nargs="*", choices=runs, metavar="RUN", help=f"of {', '.join(runs)}; none: page only")
    parser.add_argument("--long", action="store_true", help="give competitors all their time: hours instead of minutes")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder (default: benchmarks/results)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    end_with(main, "benchmarks.bench")
