"""Have a case decided in the solver's process; this side never imports the solver."""

from typing import cast

from atoll.domain.demand import DemandKey
from atoll.domain.problem import Problem
from atoll.domain.reason import Fault, Reason
from atoll.optimize.case import Case, Decision
from atoll.optimize.worker import SolverWorker

TARGET = "atoll.optimize.decide:answer"
"""What the solver's process calls."""

POSE_SECONDS = 30.0
"""Limit of stage one for each demand, seconds; 2 s cold on an idle machine, answered from memory afterwards."""


async def decide(case: Case, worker: SolverWorker) -> Decision | Fault:
    """Both stages in the solver's process, each with a limit of its own; never raises for what happens there.

    The worker's target must be :data:`TARGET`.
    """
    posed = await worker.call(case, deadline_seconds=POSE_SECONDS * max(1, len(case.demands)))
    if isinstance(posed, Fault):
        return posed
    problem, faults = cast("tuple[Problem, dict[DemandKey, Fault]]", posed)
    outcome = await worker.solve(problem)
    if outcome.allocation is None:
        return outcome.fault or Fault(reason=Reason.SOLVER_FAILED, message="the solver gave no answer")
    return Decision(problem=problem, allocation=outcome.allocation, faults=faults, fault=outcome.fault)
