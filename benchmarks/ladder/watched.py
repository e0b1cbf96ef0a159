"""HiGHS on one program as it comes, with an eye on what it knows when: one thread, no heuristics of ours."""

import threading
from collections.abc import Callable
from typing import Any

import highspy
import numpy as np

from atoll.optimize.matrix import Matrix
from benchmarks.ladder.answer import Answer
from benchmarks.ladder.form import Floats, Ints
from benchmarks.ladder.method import Hear, Run
from benchmarks.ladder.spent import Stopwatch
from benchmarks.ladder.trace import Event

GRACE_SECONDS = 2.0
"""CPU time after the deadline at which HiGHS is left alone: it asks for no interrupt within presolve and the root
relaxation, which can take many times the deadline."""

LOOK_SECONDS = 0.05
"""Time between two looks at the clock."""

BOUND_TOLERANCE = 1e-6
"""Share by which a bound is lowered: HiGHS proves within tolerances."""

_LOOKS = (
    highspy.cb.HighsCallbackType.kCallbackMipInterrupt,
    highspy.cb.HighsCallbackType.kCallbackMipLogging,
    highspy.cb.HighsCallbackType.kCallbackSimplexInterrupt,
)
_SOLUTION = highspy.cb.HighsCallbackType.kCallbackMipImprovingSolution


def run_highs(matrix: Matrix, objective: Floats, deadline: float, read: Callable[[Floats], Answer], hear: Hear) -> Run:
    """Minimise, or come as far as the deadline allows.

    A HiGHS that does not end is left running in a thread of its own, for the process to end.

    Args:
        matrix: the program.
        objective: coefficients to minimise, US$/h.
        deadline: CPU seconds from the call of HiGHS.
        read: from values of the variables to an answer.
        hear: is told of progress.
    """
    highs = _open(matrix, objective)
    found: list[tuple[float, tuple[Ints, Floats] | None, float]] = []
    best = [float("inf"), -float("inf")]
    watch = Stopwatch.start()

    def look(kind: Any, _message: str, out: Any, back: Any, _data: Any) -> None:
        seconds = watch.cpu()
        mip = kind != highspy.cb.HighsCallbackType.kCallbackSimplexInterrupt
        values = None
        if kind == _SOLUTION:
            values = _packed(np.array(out.mip_solution))
            best[0] = out.objective_function_value
        if values is not None or (mip and np.isfinite(out.mip_dual_bound) and out.mip_dual_bound > best[1]):
            best[1] = max(best[1], out.mip_dual_bound)
            found.append((seconds, values, _lowered(best[1])))
            hear(seconds, *best)
        if kind != _SOLUTION and back is not None and seconds >= deadline:
            back.user_interrupt = True

    highs.setCallback(look, None)
    for kind in (*_LOOKS, _SOLUTION):
        highs.startCallback(kind)
    # HiGHS runs without Python's lock.
    worker = threading.Thread(target=highs.run, daemon=True)
    worker.start()
    while worker.is_alive() and watch.cpu() < deadline + GRACE_SECONDS:
        worker.join(LOOK_SECONDS)
    known = list(found)
    cpu, wall = watch.cpu(), watch.wall()
    events = [
        Event(seconds=seconds, answer=None if values is None else read(_spread(values, matrix)), bound=bound)
        for seconds, values, bound in known
    ]
    if worker.is_alive():
        answers = [event.answer for event in events if event.answer is not None]
        bound = events[-1].bound if events else -float("inf")
        answer = answers[-1] if answers else None
        return Run(events=tuple(events), answer=answer, bound=bound, cpu_seconds=cpu, wall_seconds=wall)
    info = highs.getInfo()
    # Where nothing has to be whole, HiGHS solves a linear program, and its value is the bound.
    proven = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    linear = info.objective_function_value if proven else -float("inf")
    bound = _lowered(info.mip_dual_bound if matrix.integer.any() else linear)
    last = None
    if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
        last = read(np.array(highs.getSolution().col_value))
    events.append(Event(seconds=cpu, answer=last, bound=bound))
    return Run(events=tuple(events), answer=last, bound=bound, cpu_seconds=cpu, wall_seconds=wall)


def whole(values: Floats) -> dict[int, int]:
    """Nearest whole numbers of those variables that are not zero."""
    rounded = np.rint(values)
    return {int(number): int(rounded[number]) for number in np.flatnonzero(rounded)}


def _packed(values: Floats) -> tuple[Ints, Floats]:
    """Few of a million variables are not zero, and a run finds a hundred solutions."""
    numbers = np.flatnonzero(values)
    return numbers, values[numbers]


def _spread(packed: tuple[Ints, Floats], matrix: Matrix) -> Floats:
    values = np.zeros(len(matrix.lower))
    values[packed[0]] = packed[1]
    return values


def _lowered(bound: float) -> float:
    return bound - BOUND_TOLERANCE * abs(bound) if np.isfinite(bound) else -float("inf")


def _open(matrix: Matrix, objective: Floats) -> Any:
    program = highspy.HighsLp()
    program.num_col_ = len(matrix.lower)
    program.num_row_ = len(matrix.row_lower)
    program.col_cost_ = objective
    program.col_lower_ = matrix.lower
    program.col_upper_ = matrix.upper
    program.row_lower_ = matrix.row_lower
    program.row_upper_ = matrix.row_upper
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_ = matrix.starts
    program.a_matrix_.index_ = matrix.indices
    program.a_matrix_.value_ = matrix.values
    kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    program.integrality_ = [kinds[int(integer)] for integer in matrix.integer]
    highs = highspy.Highs()  # type: ignore[no-untyped-call]  # highspy has no annotations there
    for name, value in (("output_flag", False), ("threads", 1)):
        highs.setOptionValue(name, value)
    highs.passModel(program)
    return highs
