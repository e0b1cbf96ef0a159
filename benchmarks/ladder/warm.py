"""The command ``python -m benchmarks.ladder.warm``: how soon a running fleet is answered for when supply changes.

An instance is solved; then a share of its pools gives other numbers of nodes, and what found its place on nodes that
are gone is lost. The changed instance is solved with what is left as what runs, and again from nothing.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from atoll.domain.problem import Problem
from benchmarks.ending import end_with
from benchmarks.ladder.answer import Answer, value
from benchmarks.ladder.atoll_method import run_problem
from benchmarks.ladder.change import changed, kept_count, left_of, replica_count
from benchmarks.ladder.form import Form, InstanceError, read_form
from benchmarks.ladder.instance import problem_of
from benchmarks.ladder.method import Run
from benchmarks.ladder.packer import packed
from benchmarks.ladder.trace import trace_of
from benchmarks.rows import FileError, command, report, seconds

DATA = Path(__file__).resolve().parents[1] / "data" / "ladder"
"""The instances that come with the project."""

EXAMPLES = """\
  python -m benchmarks.ladder.warm
  python -m benchmarks.ladder.warm FILE.npz --change 0.3 --seed 7 --warm 2 --json"""

COLUMNS = {
    "instance": "instance",
    "lostReplicas": "lost",
    "runningReplicas": "running",
    "firstFeasibleSeconds": "first, s",
    "warmValue": "warm, US$/h",
    "coldValue": "cold, US$/h",
    "overCold": "over cold, %",
    "warmCpuSeconds": "warm CPU, s",
    "coldCpuSeconds": "cold CPU, s",
    "packed": "packed",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = command(
        "ladder.warm",
        "Solve instances again after a change of availability, with what still runs and from nothing.",
        EXAMPLES,
        deadline=30.0,
    )
    parser.add_argument("--warm", type=seconds, default=1.0, metavar="S", help="CPU seconds with what runs (1)")
    parser.add_argument("--change", type=float, default=0.1, metavar="SHARE", help="of the pools (0.1)")
    parser.add_argument("--seed", type=int, default=0, help="of the change (0)")
    parser.add_argument(
        "--shortfall-first",
        action="store_true",
        help="serve as much as can be before cost counts, as the operator does, not by the file's penalties",
    )
    options = parser.parse_args(arguments)
    if not 0.0 < options.change <= 1.0:
        parser.error(f"--change {options.change:g} is no share: give one above 0 and up to 1")

    def rows_of(path: Path) -> Sequence[dict[str, Any]]:
        try:
            form = read_form(path)
            problem_of(form, deadline_seconds=options.deadline)
        except (InstanceError, ValueError) as error:
            raise FileError(path, str(error).removeprefix(f"{path}: "), "give an instance of the ladder") from error
        return [
            row_of(
                form,
                change=options.change,
                seed=options.seed,
                cold=options.deadline,
                warm=options.warm,
                shortfall_first=options.shortfall_first,
            )
        ]

    return report(options.files or sorted(DATA.glob("*.npz")), rows_of, COLUMNS, as_json=options.json)


def row_of(form: Form, *, change: float, seed: int, cold: float, warm: float, shortfall_first: bool) -> dict[str, Any]:
    """Solve, change, solve warm and cold.

    Args:
        form: of the instance.
        change: share of the pools that give other numbers of nodes.
        seed: of the change.
        cold: CPU seconds for the plan that runs, and for the answer from nothing.
        warm: CPU seconds for the answer from what runs: ``warmValue`` is what is known by then, ``warmEndValue`` what
            the search ends with, a little later.
        shortfall_first: no price makes up for what is not served; values are by the file's penalties all the same.
    """
    _, runs = run_problem(form, _problem(form, shortfall_first), cold, _hear_not)
    now = changed(form, change, seed)
    left = left_of(now, runs, seed)
    problem = replace(_problem(now, shortfall_first), running=left, former=runs.replicas)
    warm_run, warm_answer = run_problem(now, problem, warm, _hear_not)
    cold_run, _ = run_problem(now, _problem(now, shortfall_first), cold, _hear_not)
    known = trace_of(now, warm_run.events, _answer(warm_run))
    warm_value, cold_value = known.at(warm).value, _value(now, cold_run)
    return {
        "instance": form.name,
        "changedPools": int((now.obtainable != form.obtainable).sum()),
        "lostReplicas": replica_count(runs.replicas) - replica_count(left),
        "runningReplicas": replica_count(left),
        "stoppedReplicas": replica_count(left) - kept_count(left, warm_answer.replicas),
        "firstFeasibleSeconds": _rounded(known.first_feasible_seconds),
        "warmValue": warm_value,
        "warmBound": known.at(warm).bound,
        "warmEndValue": _value(now, warm_run),
        "warmCpuSeconds": round(warm_run.cpu_seconds, 3),
        "coldValue": cold_value,
        "coldBound": max(0.0, cold_run.bound),
        "coldCpuSeconds": round(cold_run.cpu_seconds, 3),
        "coldFirstFeasibleSeconds": _rounded(trace_of(now, cold_run.events, _answer(cold_run)).first_feasible_seconds),
        "overCold": 100.0 * (warm_value / cold_value - 1.0) if cold_value > 0.0 else 0.0,
        "packed": all(run.answer is not None and packed(now, run.answer) for run in (warm_run, cold_run)),
    }


def _problem(form: Form, shortfall_first: bool) -> Problem:
    """Any saving is worth a move: the speed of the search is what is measured, not how steady its answers are."""
    problem = problem_of(form, deadline_seconds=1.0)
    demands = tuple(replace(row, shortfall_price=math.inf) for row in problem.demands)
    return replace(
        problem,
        demands=demands if shortfall_first else problem.demands,
        policy=replace(problem.policy, saving_tolerance=0.0),
    )


def _value(form: Form, run: Run) -> float:
    return value(form, _answer(run))


def _answer(run: Run) -> Answer:
    assert run.answer is not None  # noqa: S101  # the product always has an answer
    return run.answer


def _rounded(of_seconds: float | None) -> float | None:
    return None if of_seconds is None else round(of_seconds, 3)


def _hear_not(*_: float) -> None:
    """Progress is not shown."""


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    end_with(main, "benchmarks.ladder.warm")
