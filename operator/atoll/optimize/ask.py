"""Have a case decided in the solver's process; this side never imports the solver."""

from typing import cast

from atoll.domain.demand import DemandKey
from atoll.domain.explanation import Explanation
from atoll.domain.problem import Allocation, Problem
from atoll.domain.reason import Fault, Reason
from atoll.optimize.case import Case, Compare, Decision, Why
from atoll.optimize.worker import SolverWorker

TARGET = "atoll.optimize.decide:answer"
"""What the solver's process calls."""

DEADLINE_SHARE = 0.2
MOST_SECONDS = 2.0
"""Time for the explanation of an answer, and again for its baseline: this share of the deadline, at most so long, s."""

POSE_SECONDS = 30.0
"""Limit of stage one for each demand, seconds; 2 s cold on an idle machine, answered from memory afterwards."""


async def decide(case: Case, worker: SolverWorker) -> Decision | Fault:
    """Both stages in the solver's process, each with a limit of its own; never raises for what happens there.

    An answer is worth having without its explanation: what goes wrong with that is no fault of the decision. The
    worker's target must be :data:`TARGET`.
    """
    posed = await worker.call(case, deadline_seconds=POSE_SECONDS * max(1, len(case.demands)))
    if isinstance(posed, Fault):
        return posed
    problem, faults = cast("tuple[Problem, dict[DemandKey, Fault]]", posed)
    outcome = await worker.solve(problem)
    if outcome.allocation is None:
        return outcome.fault or Fault(reason=Reason.SOLVER_FAILED, message="the solver gave no answer")
    explanation = None
    if case.explain and outcome.fault is None:
        explanation = await _explain(problem, outcome.allocation, worker)
    baseline = None
    if case.compare and outcome.fault is None:
        baseline = await _compare(problem, worker)
    return Decision(
        problem=problem,
        allocation=outcome.allocation,
        faults=faults,
        fault=outcome.fault,
        explanation=explanation,
        baseline=baseline,
    )


async def _compare(problem: Problem, worker: SolverWorker) -> Allocation | None:
    seconds = _seconds(problem)
    found = await worker.call(Compare(problem=problem, seconds=seconds), deadline_seconds=seconds)
    return found if isinstance(found, Allocation) else None


def _seconds(problem: Problem) -> float:
    return min(MOST_SECONDS, DEADLINE_SHARE * problem.policy.deadline_seconds)


async def _explain(problem: Problem, allocation: Allocation, worker: SolverWorker) -> Explanation | None:
    seconds = _seconds(problem)
    why = Why(problem=problem, allocation=allocation, seconds=seconds)
    told = await worker.call(why, deadline_seconds=seconds)
    return told if isinstance(told, Explanation) else None
