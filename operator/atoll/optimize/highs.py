"""HiGHS, driven directly: one program, many slices with other bounds, objectives and limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import highspy
import numpy as np

from atoll.optimize.matrix import Matrix
from atoll.optimize.sets import Floats, Ints

FEASIBILITY = 1e-7
"""Tolerance on rows and bounds; ten times finer than what the check allows."""


class Ending(Enum):
    """How a slice ended."""

    OPTIMAL = auto()
    INFEASIBLE = auto()
    LIMIT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a slice may do.

    Attributes:
        seconds: wall-clock time; infinity for none.
        nodes: branch-and-bound nodes; 0 for no limit.
        gap: relative gap at which it may stop.
    """

    seconds: float
    nodes: int = 0
    gap: float = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a slice found.

    Attributes:
        ending: how it ended.
        values: of all variables; nothing where no solution was found.
        objective: of the values; infinity without.
        bound: valid lower bound of the objective; minus infinity where none is known.
        reduced_costs: of all variables; of linear relaxations only.
    """

    ending: Ending
    values: Floats | None
    objective: float
    bound: float
    reduced_costs: Floats | None = None


class Solver:
    """One program in HiGHS; single thread and fixed seed, so the same calls give the same answers."""

    def __init__(self, matrix: Matrix) -> None:
        program = highspy.HighsLp()
        program.num_col_ = len(matrix.lower)
        program.num_row_ = len(matrix.row_lower)
        program.row_lower_ = matrix.row_lower
        program.row_upper_ = matrix.row_upper
        program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        program.a_matrix_.start_ = matrix.starts
        program.a_matrix_.index_ = matrix.indices
        program.a_matrix_.value_ = matrix.values
        program.integrality_ = [
            highspy.HighsVarType.kInteger if integer else highspy.HighsVarType.kContinuous for integer in matrix.integer
        ]
        self._program = program

    def relax(self, objective: Floats, lower: Floats, upper: Floats, limits: Limits) -> Outcome:
        """Solve the linear relaxation.

        Args:
            objective: coefficients to minimise.
            lower: of each variable.
            upper: of each variable.
            limits: how much it may do.
        """
        highs = self._open(objective, lower, upper, limits)
        highs.setOptionValue("solve_relaxation", True)
        highs.run()
        status = highs.getModelStatus()
        if status == highspy.HighsModelStatus.kOptimal:
            solution = highs.getSolution()
            value = highs.getInfo().objective_function_value
            return Outcome(
                ending=Ending.OPTIMAL,
                values=np.array(solution.col_value),
                objective=value,
                bound=value,
                reduced_costs=np.array(solution.col_dual),
            )
        ending = Ending.INFEASIBLE if status in _INFEASIBLE else Ending.LIMIT
        return Outcome(ending=ending, values=None, objective=np.inf, bound=-np.inf)

    def minimise(
        self,
        objective: Floats,
        lower: Floats,
        upper: Floats,
        limits: Limits,
        start: Mapping[int, float] | None = None,
    ) -> Outcome:
        """Solve the integer program, or come as far as the limits allow.

        Args:
            objective: coefficients to minimise.
            lower: of each variable.
            upper: of each variable.
            limits: how much it may do.
            start: values of (at least) the integer variables of a known solution.
        """
        highs = self._open(objective, lower, upper, limits)
        if start:
            numbers: Ints = np.fromiter(start.keys(), dtype=np.int32, count=len(start))
            highs.setSolution(len(start), numbers, np.fromiter(start.values(), dtype=float, count=len(start)))
        highs.run()
        status = highs.getModelStatus()
        if status in _INFEASIBLE:
            return Outcome(ending=Ending.INFEASIBLE, values=None, objective=np.inf, bound=np.inf)
        info = highs.getInfo()
        if (
            start
            and status == highspy.HighsModelStatus.kOptimal
            and not (info.mip_node_count or info.simplex_iteration_count)
        ):
            # Presolve alone, with a start, has taken it for the optimum where there was a better one (HiGHS 1.15).
            return self.minimise(objective, lower, upper, limits)
        found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        ending = Ending.OPTIMAL if status == highspy.HighsModelStatus.kOptimal else Ending.LIMIT
        return Outcome(
            ending=ending,
            values=np.array(highs.getSolution().col_value) if found else None,
            objective=info.objective_function_value if found else np.inf,
            bound=info.mip_dual_bound,
        )

    def _open(self, objective: Floats, lower: Floats, upper: Floats, limits: Limits) -> Any:
        """A new instance for every slice: HiGHS counts some of its time limits over the life of an instance."""
        highs = highspy.Highs()  # type: ignore[no-untyped-call]  # highspy has no annotations there
        for name, value in (
            ("output_flag", False),
            ("threads", 1),
            ("random_seed", 0),
            ("primal_feasibility_tolerance", FEASIBILITY),
            ("dual_feasibility_tolerance", FEASIBILITY),
            ("mip_feasibility_tolerance", FEASIBILITY),
            ("time_limit", max(limits.seconds, 0.0)),
            ("mip_max_nodes", limits.nodes if limits.nodes > 0 else highspy.kHighsIInf),
            ("mip_rel_gap", limits.gap),
        ):
            highs.setOptionValue(name, value)
        self._program.col_cost_ = objective
        self._program.col_lower_ = lower
        self._program.col_upper_ = upper
        highs.passModel(self._program)
        return highs


_INFEASIBLE = (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible)
