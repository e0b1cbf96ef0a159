"""The command ``python -m benchmarks.stability``."""

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from atoll.api.manifests import load_manifests
from atoll.cli.decision import offline_supplies, snapshot_of
from atoll.domain.problem import Problem
from atoll.optimize.case import Case
from atoll.optimize.decide import pose
from atoll.optimize.solve import solve
from atoll.performance.estimate import ShippedPerformance
from atoll.simulate.conditions import Conditions
from atoll.simulate.curves import Curve
from atoll.simulate.deciders import WORK_BUDGET
from atoll.simulate.run import Setting
from benchmarks.ending import end_with
from benchmarks.ladder.form import InstanceError, read_form
from benchmarks.ladder.instance import problem_of
from benchmarks.rows import FileError, report
from benchmarks.stability import noise, scarcity, supply

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (
    ROOT / "examples" / "coral-six",
    ROOT / "benchmarks" / "data" / "ladder" / "i_6_5_0_1.npz",
    ROOT / "benchmarks" / "data" / "ladder" / "i_12_5_0_3.npz",
)

START = datetime(2026, 1, 5, 8, tzinfo=UTC)

SCARCE = 0.13
"""Share of the on-demand nodes of a folder that is left, and none on spot, where priorities are compared."""

EXAMPLES = """\
  python -m benchmarks.stability
  python -m benchmarks.stability examples/coral-six --epochs 20 --seeds 2 --json
  python -m benchmarks.stability benchmarks/data/ladder/i_6_5_0_1.npz --change 0.2"""

COLUMNS = {
    "instance": "instance",
    "check": "check",
    "change": "change",
    "way": "way",
    "planChanges": "plan changes",
    "replicas": "replicas",
    "needed": "had to move",
    "moved": "moved",
    "movedByOptimum": "by optimum",
    "value": "US$/h",
    "optimum": "optimum",
    "cost": "costs, share",
    "shortfall": "shortfall",
    "optimumShortfall": "of optimum",
    "served": "served",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stability",
        description="Noise, changes of availability and scarcity: what moves, what has to, and what staying costs. "
        "Answers depend on a work budget, not on the clock: they are the same on every machine.",
        epilog=f"Examples:\n\n{EXAMPLES}\n\nExit codes: 0 done, 1 a file is at fault, 2 usage.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="folder of manifests, or instance of the ladder"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list of rows")
    parser.add_argument("--epochs", type=int, default=100, help="of the fleets with noise (100)")
    parser.add_argument("--noise", type=float, default=0.05, metavar="SHARE", help="standard deviation (0.05)")
    parser.add_argument("--change", type=float, default=0.1, metavar="SHARE", help="of the nodes (0.1)")
    parser.add_argument("--seeds", type=int, default=5, help="draws of the change (5)")
    options = parser.parse_args(arguments)

    def rows_of(path: Path) -> list[supply.Row]:
        found = _of_folder(path, options) if path.is_dir() else _of_changes(path.stem, _ladder(path), options)
        return [{**dict.fromkeys(COLUMNS), **row} for row in found]

    return report(options.files or SHIPPED, rows_of, COLUMNS, as_json=options.json)


def _of_folder(path: Path, options: argparse.Namespace) -> Iterator[supply.Row]:
    """All checks of a folder of manifests."""
    manifests = load_manifests([path], now=START)
    if manifests.faults or not manifests.demands:
        wrong = str(manifests.faults[0]) if manifests.faults else "has no ModelDemand"
        raise FileError(path, wrong, "give a folder of valid manifests")
    snapshot = snapshot_of(manifests, manifests.demands[0].fleet)
    fleet = replace(snapshot.fleet, solve=replace(snapshot.fleet.solve, work_budget=WORK_BUDGET))
    setting = Setting(
        fleet=fleet,
        demands=snapshot.demands,
        curves={key: Curve(times=(0.0,), rates=(item.rate,)) for key, item in snapshot.demands.items()},
        conditions=Conditions(pools=snapshot.pools),
        start=START,
        epochs=options.epochs,
        epoch_seconds=60.0,
    )
    yield noise.row_of(path.name, setting, noise=options.noise, seed=1)
    case = Case(
        demands=tuple(snapshot.demands.values()),
        supplies=offline_supplies(snapshot, START),
        running=(),
        policy=fleet.solve,
    )
    problem, _ = pose(case, ShippedPerformance())
    yield from _of_changes(path.name, problem, options)
    yield from scarcity.rows_of(path.name, _scarce(problem))


def _of_changes(name: str, problem: Problem, options: argparse.Namespace) -> Iterator[supply.Row]:
    before = solve(problem)
    yield supply.row_of(name, f"-{options.change:.0%} of all", before, supply.fewer(problem, options.change))
    for seed in range(options.seeds):
        now = supply.changed(problem, options.change, seed)
        yield supply.row_of(name, f"{options.change:.0%}, seed {seed}", before, now)


def _scarce(problem: Problem) -> Problem:
    """Too few nodes, and every third demand in turn of priority 100, 50 and 0."""
    supplies = tuple(
        replace(row, obtainable=int(row.obtainable * SCARCE + 0.5) if row.capacity_type != "spot" else 0)
        for row in problem.supplies
    )
    demands = tuple(
        replace(row, priority=(100, 50, 0)[number % 3]) for number, row in enumerate(reversed(problem.demands))
    )
    return replace(problem, supplies=supplies, demands=tuple(reversed(demands)))


def _ladder(path: Path) -> Problem:
    """An instance with shortfall before cost, as the operator has it, instead of at a price."""
    try:
        problem = problem_of(read_form(path), deadline_seconds=60.0)
    except (InstanceError, ValueError) as error:
        raise FileError(path, str(error).removeprefix(f"{path}: "), "give an instance of the ladder") from error
    demands = tuple(replace(row, shortfall_price=math.inf) for row in problem.demands)
    return replace(problem, demands=demands, policy=replace(problem.policy, work_budget=WORK_BUDGET))


if __name__ == "__main__":
    end_with(main, "benchmarks.stability")
