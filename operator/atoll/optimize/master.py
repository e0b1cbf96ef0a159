"""The master of column generation: nodes, and one whole plan of each demand, under the packing rows.

``min sum_p c[p] y[p] + sum_j cost[j] z[j]`` over nodes y and whole plans j of single demands, ``sum_j z[j] = 1`` for
each demand, ``sum_j load[j] z[j] <= sum_p slots[p] y[p]`` for each packing row, and for each held level of shortfall
``sum_j penalty[j] z[j] <= most``. Plans are added as columns, fixed and left out; as an integer program it chooses.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import highspy
import numpy as np

from atoll.optimize.cover import Unserved
from atoll.optimize.scarcity import penalty
from atoll.optimize.space import Floats, Ints, Space

SHORT_COST = 1e3
"""Cost of leaving a demand without a plan, or of a held level's excess, in multiples of the most that everything can
cost: never chosen where there is a way without."""

_NONE: Ints = np.array([], dtype=np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class WholePlan:
    """All replicas of one demand.

    Attributes:
        demand: number of the demand.
        replicas: (template, place) of each.
        unserved: share that they do not serve.
    """

    demand: int
    replicas: tuple[tuple[int, int], ...]
    unserved: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A level of shortfall that no plan may exceed.

    Attributes:
        demands: numbers of those whose penalty it sums; nothing else says what they may leave unserved.
        most: of that sum.
    """

    demands: frozenset[int]
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """An integer solution of the master.

    Attributes:
        plans: at most one of each demand.
        nodes: (P,) by supply; over a pooled space the plans need not fit them.
    """

    plans: tuple[WholePlan, ...]
    nodes: Ints


@dataclass(frozen=True, kw_only=True)
class Relaxed:
    """The master's linear relaxation.

    Attributes:
        value: cost.
        prices: of a slot of each packing row, and then of a unit of each held level; at least 0.
        worth: (M,) dual of each demand's row: what a plan of it must cost less than, to be of use.
        taken: (J,) part of each plan.
    """

    value: float
    prices: Floats
    worth: Floats
    taken: Floats


class Master:
    """The master over one space, without plans to begin with."""

    def __init__(self, space: Space, unserved: Sequence[Unserved], held: Sequence[Held], price: Floats) -> None:
        """State it.

        Args:
            space: the whole one or a pooled one.
            unserved: cost of what is not served, by demand; of no account for demands of a held level.
            held: levels of shortfall that are given.
            price: (P,) of a node.
        """
        self.rows = len(space.places) * len(space.rows)
        self.level_of = {demand: number for number, level in enumerate(held) for demand in level.demands}
        self.demands = len(space.demands)
        self.plans: list[WholePlan] = []
        self.loads: list[Floats] = []
        self._space, self._unserved, self._held, self._price = space, unserved, held, price
        self._known: set[tuple[int, tuple[tuple[int, int], ...]]] = set()
        self._first = len(space.supplies) + len(space.demands) + len(held)
        self._highs = self._stated()

    @property
    def room(self) -> Floats:
        """Slots of each packing row when every node is there that can be had."""
        room = np.zeros((len(self._space.places), len(self._space.rows)))
        np.add.at(room, self._space.place_of, self._space.slots * self._space.obtainable[:, None])
        return room.ravel()

    def relaxed(self) -> Relaxed | None:
        """The relaxation's optimum; nothing where what is fixed leaves none, or HiGHS finds none."""
        self._highs.run()
        if self._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        solution = self._highs.getSolution()
        duals = np.array(solution.row_dual)
        demands = slice(self.rows, self.rows + len(self._space.demands))
        return Relaxed(
            value=self._highs.getInfo().objective_function_value,
            prices=np.maximum(0.0, -np.delete(duals, demands)),
            worth=duals[demands],
            taken=np.array(solution.col_value)[self._first :],
        )

    def add(self, plan: WholePlan, at: Relaxed | None) -> bool:
        """Add a plan; false for one that is known, or of no use at these duals, or impossible.

        Args:
            plan: of one demand.
            at: duals; nothing: any plan is of use.
        """
        if (plan.demand, plan.replicas) in self._known:
            return False
        short = self.short(plan.demand, plan.unserved)
        if not np.isfinite(short):
            return False
        menu = self._space.menus[plan.demand]
        load = np.zeros((len(self._space.places), len(self._space.rows)))
        for (line, place), count in Counter(plan.replicas).items():
            load[place] += count * menu.load[line]
        used = np.flatnonzero(load)
        own, counted = self._rows_of(plan.demand, plan.unserved)
        if at is not None:
            worth = float(at.worth[plan.demand])
            reduced = float(load.ravel() @ at.prices[: self.rows]) + short - worth
            if plan.demand in self.level_of:
                reduced += float(at.prices[self.rows + self.level_of[plan.demand]]) * penalty(plan.unserved)
            if reduced > -1e-7 * max(1.0, abs(worth)):
                return False
        self._known.add((plan.demand, plan.replicas))
        self.plans.append(plan)
        self.loads.append(load.ravel())
        rows = np.concatenate((used, own)).astype(np.int32)
        values = np.concatenate((load.ravel()[used], counted))
        self._highs.addCol(short, 0.0, highspy.kHighsInf, len(rows), rows, values)
        return True

    def short(self, demand: int, share: float) -> float:
        """Cost of leaving a share of a demand unserved, outside the held levels."""
        if demand in self.level_of:
            return 0.0
        return float(self._unserved[demand].cost(np.array([share]))[0])

    def limit(self, numbers: Iterable[int], lower: float, upper: float) -> None:
        """Bound how much of some plans is taken: 1 and 1 fixes them, 0 and 0 leaves them out."""
        for number in numbers:
            self._highs.changeColBounds(self._first + number, lower, upper)

    def choose(self, *, seconds: float, nodes: int, gap: float) -> Chosen | None:
        """One plan for each demand and whole nodes, as an integer program; nothing where none is found.

        Args:
            seconds: limit; infinity for none.
            nodes: limit of branch-and-bound nodes; 0 for none.
            gap: at which it may stop, as a share.
        """
        highs, supplies = self._highs, len(self._space.supplies)
        whole = np.concatenate((np.arange(supplies), self._first + np.arange(len(self.plans))))
        self._set_kind(whole, highspy.HighsVarType.kInteger)
        for name, setting in (
            ("presolve", "on"),
            ("time_limit", highs.getRunTime() + seconds),
            ("mip_max_nodes", nodes or highspy.kHighsIInf),
            ("mip_rel_gap", gap),
        ):
            highs.setOptionValue(name, setting)
        highs.run()
        found = highs.getInfo().primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        values = np.rint(np.array(highs.getSolution().col_value))
        highs.setOptionValue("presolve", "off")
        highs.setOptionValue("time_limit", highspy.kHighsInf)
        self._set_kind(whole, highspy.HighsVarType.kContinuous)
        if not found:
            return None
        taken = tuple(plan for plan, value in zip(self.plans, values[self._first :], strict=True) if value)
        return Chosen(plans=taken, nodes=values[:supplies].astype(np.int64))

    def _set_kind(self, columns: Ints, kind: highspy.HighsVarType) -> None:
        self._highs.changeColsIntegrality(len(columns), columns.astype(np.int32), np.full(len(columns), kind))

    def _stated(self) -> highspy.Highs:
        space = self._space
        highs = highspy.Highs()  # type: ignore[no-untyped-call]  # highspy has no annotations there
        for name, setting in (("output_flag", False), ("threads", 1), ("random_seed", 0), ("presolve", "off")):
            highs.setOptionValue(name, setting)
        for _ in range(self.rows):
            highs.addRow(-highspy.kHighsInf, 0.0, 0, _NONE, _NONE.astype(float))
        for _ in space.demands:
            highs.addRow(1.0, 1.0, 0, _NONE, _NONE.astype(float))
        for level in self._held:
            highs.addRow(-highspy.kHighsInf, level.most, 0, _NONE, _NONE.astype(float))
        for number, place in enumerate(space.place_of):
            held = np.flatnonzero(space.slots[number])
            rows = (place * len(space.rows) + held).astype(np.int32)
            most = float(space.obtainable[number])
            highs.addCol(self._price[number], 0.0, most, len(held), rows, -space.slots[number, held])
        demands = range(len(space.demands))
        everything = float(self._price @ space.obtainable) + len(demands) * penalty(1.0)
        for demand in demands:
            cost = self.short(demand, 1.0)
            rows, values = self._rows_of(demand, 1.0)
            if np.isinf(cost):
                cost = SHORT_COST * everything
            highs.addCol(cost, 0.0, highspy.kHighsInf, len(rows), rows, values)
        for number in range(len(self._held)):
            row = np.array([self.rows + len(demands) + number], dtype=np.int32)
            highs.addCol(SHORT_COST * everything, 0.0, highspy.kHighsInf, 1, row, -np.ones(1))
        return highs

    def _rows_of(self, demand: int, unserved: float) -> tuple[Ints, Floats]:
        """Rows of a demand's plan beside packing, and what the plan counts there."""
        rows, values = [self.rows + demand], [1.0]
        if demand in self.level_of:
            rows.append(self.rows + len(self._space.demands) + self.level_of[demand])
            values.append(penalty(unserved))
        return np.array(rows, dtype=np.int32), np.array(values)
