"""The anytime search: levels one after the other, then cost, with HiGHS in slices between an incumbent and a bound."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from atoll.domain.problem import Level
from atoll.optimize.effort import Effort
from atoll.optimize.greedy import greedy, nothing, trimmed
from atoll.optimize.highs import Ending, Outcome, Solver
from atoll.optimize.matrix import Matrix, compile_program
from atoll.optimize.nodes import nodes_for
from atoll.optimize.plan import Plan, fits, level_values, rank_of
from atoll.optimize.pooling import pooled
from atoll.optimize.program.build import FAMILIES, Family, build
from atoll.optimize.program.objective import tie_per_gpu
from atoll.optimize.scarcity import BUDGET, COST, FIX_TOLERANCE, LIMITS, PREFERENCE, shortfall_level
from atoll.optimize.sets import Floats, Sets
from atoll.optimize.start import decision_value, rounded, start_values

SMALL = 1500
"""Columns up to which the whole program is searched at once; beyond, the promising columns come first."""

PROMISING = 1500
PROMISING_SHARE = 1 / 6
"""Columns that the first slice is given, at least and as a share of all: those of least reduced cost per share of
demand. On ladder instance 6,5,1,0 the optimum over 4000 of 25364 columns is 0.5 % from the best known value and is
found in 2 s; over 1500 it is 4.5 % away. At 4000 columns in all, 1500 gave better plans in 5 s than all of them."""

ROOT_SECONDS_PER_COLUMN = 1e-3
"""What the whole program must have at least. HiGHS needs 10 s at 25364 columns before it gives more than the
relaxation, 19 s on a busy machine, and does not look at its limit meanwhile: one that is begun late ends late."""

LEVEL_GAP = 1e-6
"""At which a level above cost counts as minimised, as a share: what is held at it next must not be met by chance."""

BOUND_TOLERANCE = 1e-6
"""Share by which a bound is lowered before it is published: HiGHS proves within tolerances."""


@dataclass(slots=True, kw_only=True)
class Found:
    """What the search has so far.

    Attributes:
        plans: feasible plans, in the order in which they were found.
        bounds: valid lower bound by level.
    """

    plans: list[Plan]
    bounds: dict[str, float] = field(default_factory=dict)

    def raise_bound(self, level: str, bound: float) -> None:
        """Note a lower bound, lowered by its tolerance; one that says nothing is left out."""
        if math.isfinite(bound):
            lowered = max(0.0, bound - BOUND_TOLERANCE * max(1.0, abs(bound)))
            self.bounds[level] = max(self.bounds.get(level, 0.0), lowered)


class Search:
    """One problem's search; ``run`` once."""

    def __init__(
        self,
        sets: Sets,
        effort: Effort,
        families: tuple[Family, ...] = FAMILIES,
        *,
        rounding: bool = True,
        proves: bool = True,
    ) -> None:
        self._sets = sets
        self._rounding = rounding
        self._proves = proves
        self._effort = effort
        self._families = families
        self._matrix: Matrix = compile_program(build(sets, families))
        self._solver = Solver(self._matrix)
        self._lower = self._matrix.lower.copy()
        self._upper = self._matrix.upper.copy()
        self._decision = self._matrix.objectives["decision"]
        self._cost = self._matrix.objectives["cost"]
        self._same = not sets.running and tie_per_gpu(sets) == 0.0

    def run(self, plans: Sequence[Plan]) -> Found:
        """Improve on these plans until the effort is spent or the gap is closed.

        Args:
            plans: feasible ones, at least one.
        """
        found = Found(plans=list(plans))
        names = [shortfall_level(priority) for priority in self._sets.priorities]
        names += [LIMITS, BUDGET, PREFERENCE]
        self._close_levels()
        complete = self._complete_bounds(found)
        if complete:
            found.bounds.update(dict.fromkeys(names, 0.0))
        else:
            self._open_levels(found)
            self._minimise_levels(found)
        self._minimise_cost(found)
        return found

    def best(self, found: Found) -> Plan:
        """The plan of least levels, then of least decision value."""
        return min(found.plans, key=self._rank)

    def _rank(self, plan: Plan) -> tuple[float, ...]:
        values = level_values(self._sets, plan)
        short = values[COST] - float(self._sets.price @ plan.nodes)
        return rank_of({**values, COST: decision_value(self._sets, self._matrix, plan) + short})

    def _close_levels(self) -> None:
        """Allow no shortfall and no broken limit."""
        for name in (
            "breach",
            "over_budget",
            "preference",
            "spot_excess",
            "missing_replicas",
            "missing_domains",
            "exposed",
            "spilled",
        ):
            self._upper[self._matrix.columns[name]] = 0.0
        priced = np.array([wanted.is_priced for wanted in self._sets.demands], dtype=bool)
        self._upper[self._matrix.columns["unserved"][~priced]] = 0.0

    def _open_levels(self, found: Found) -> None:
        """Allow shortfall and broken limits; what was proven without them does not hold any more."""
        self._upper = self._matrix.upper.copy()
        found.bounds.clear()

    def _complete_bounds(self, found: Found) -> bool:
        """Whether there is a plan with no shortfall and no broken limit; one is sought if none is at hand."""
        if not any(self._rank(self.best(found))[:-1]):
            return True
        if self._relax(found, share=0.5).ending is Ending.INFEASIBLE:
            return False
        outcome = self._minimise(self._cost, 0.3, None)
        self._take(found, outcome)
        return not any(self._rank(self.best(found))[:-1])

    def _minimise_levels(self, found: Found) -> None:
        """Shortfall by priority, limits, budget and preference: each minimised in turn and held at what was reached."""
        columns = self._matrix.columns
        levels = [
            (shortfall_level(priority), int(columns["penalty"][number]))
            for number, priority in enumerate(self._sets.priorities)
        ]
        for name, variables in ((LIMITS, "breach"), (BUDGET, "over_budget"), (PREFERENCE, "preference")):
            levels.append((name, int(columns[variables][0])))
        for place, (name, variable) in enumerate(levels):
            value = level_values(self._sets, self.best(found))[name]
            if value > FIX_TOLERANCE:
                objective = np.zeros(len(self._lower))
                objective[variable] = 1.0
                outcome = self._minimise(objective, 0.6 / (len(levels) - place + 1), self.best(found), gap=LEVEL_GAP)
                found.raise_bound(name, outcome.bound)
                self._take(found, outcome)
                value = level_values(self._sets, self.best(found))[name]
            found.bounds.setdefault(name, 0.0)
            self._upper[variable] = value + FIX_TOLERANCE

    def _minimise_cost(self, found: Found) -> None:
        """Relaxation, promising columns, pooled domains for the bound, and the whole program with what time is left."""
        relaxed = self._relax(found, share=0.5)
        if relaxed.values is not None and self._rounding:
            self._round(found, relaxed.values[self._matrix.columns["x"]])
        if self._is_done(found):
            return
        size = len(self._sets.columns)
        if size > SMALL and relaxed.reduced_costs is not None:
            self._take(found, self._minimise(self._decision, 0.45, self.best(found), self._promising(found, relaxed)))
            if not self._proves:
                return
            worth_it = 0.6 * self._effort.remaining > ROOT_SECONDS_PER_COLUMN * size
            pooled_bound = self._pool_bound(found, 0.4 if worth_it else 1.0)
            if self._is_done(found) or (pooled_bound and not worth_it):
                return
        elif not self._same:
            self._take(found, self._minimise(self._decision, 0.5, self.best(found)))
        outcome = self._minimise(self._cost, 1.0, min(found.plans, key=self._pure_rank))
        found.raise_bound(COST, outcome.bound)
        self._take(found, outcome)

    def _round(self, found: Found, x: Floats) -> None:
        """Complete the whole replicas of a relaxation's solution greedily."""
        counts = np.floor(x + 1e-6).astype(np.int64)
        nodes = nodes_for(self._sets, self._sets.load_of(counts))
        if nodes is not None:
            whole = Plan(counts=counts, nodes=nodes, origin="program")
            self._keep(found, greedy(self._sets, start=whole, origin="program"))

    def _pure_rank(self, plan: Plan) -> tuple[float, ...]:
        return (*self._rank(plan)[:-1], level_values(self._sets, plan)[COST])

    def _is_done(self, found: Found) -> bool:
        value = level_values(self._sets, self.best(found))[COST]
        closed = value - found.bounds.get(COST, 0.0) <= self._effort.gap * max(value, 1e-9)
        return (closed and self._same) or self._effort.remaining <= 0.0

    def _relax(self, found: Found, share: float) -> Outcome:
        outcome = self._solver.relax(self._cost, self._lower, self._upper, self._effort.slice(share))
        if outcome.ending is Ending.OPTIMAL:
            found.raise_bound(COST, outcome.bound)
        return outcome

    def _promising(self, found: Found, relaxed: Outcome) -> Floats:
        """Upper bounds that admit only columns of little reduced cost per share, and those of plans at hand."""
        assert relaxed.reduced_costs is not None  # noqa: S101  # the caller has seen to it
        x = self._matrix.columns["x"]
        closed = np.ones(len(x), dtype=bool)
        order = np.argsort(relaxed.reduced_costs[x] / np.minimum(self._sets.share, 1.0), kind="stable")
        closed[order[: max(PROMISING, int(PROMISING_SHARE * len(x)))]] = False
        for plan in found.plans:
            closed[plan.counts > 0] = False
        upper = self._upper.copy()
        upper[x[closed]] = 0.0
        return upper

    def _pool_bound(self, found: Found, share: float) -> bool:
        """Bound of cost from the program with domains pooled, under the same levels; false where that is no smaller."""
        if len({group.domain for group in self._sets.groups}) == 1 or self._families is not FAMILIES:
            return False
        matrix = compile_program(build(pooled(self._sets)))
        upper = matrix.upper.copy()
        for name in ("unserved", "penalty", "breach", "over_budget", "preference"):
            upper[matrix.columns[name]] = self._upper[self._matrix.columns[name]]
        outcome = Solver(matrix).minimise(matrix.objectives["cost"], matrix.lower, upper, self._effort.slice(share))
        found.raise_bound(COST, outcome.bound)
        return True

    def _minimise(
        self,
        objective: Floats,
        share: float,
        start: Plan | None,
        upper: Floats | None = None,
        *,
        gap: float | None = None,
    ) -> Outcome:
        limits = self._effort.slice(share)
        return self._solver.minimise(
            objective,
            self._lower,
            self._upper if upper is None else upper,
            limits if gap is None else replace(limits, gap=gap),
            None if start is None else start_values(self._sets, self._matrix, start),
        )

    def _take(self, found: Found, outcome: Outcome) -> None:
        """Turn a solution into a plan, if it holds up after rounding."""
        if outcome.values is not None:
            self._keep(found, rounded(self._matrix, outcome.values))

    def _keep(self, found: Found, plan: Plan) -> None:
        # Whatever the solver's tolerances let through is sorted out here: a plan fits, or it is none.
        if fits(self._sets, plan):
            found.plans.append(trimmed(self._sets, plan, nothing(self._sets)))


def levels_of(sets: Sets, found: Found, plan: Plan, gap: float) -> tuple[Level, ...]:
    """Value and bound of every level for a plan, cost last.

    Args:
        sets: what the plan is over.
        found: bounds.
        plan: whose values.
        gap: at which cost counts as proven, as a share.
    """
    levels = []
    for name, value in level_values(sets, plan).items():
        bound = min(found.bounds.get(name, 0.0), value)
        tolerance = (gap if name == COST else 10 * FIX_TOLERANCE) * max(1.0, abs(value))
        levels.append(Level(name=name, value=value, bound=bound, proven=value - bound <= tolerance))
    return tuple(levels)
