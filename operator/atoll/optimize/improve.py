"""Large-neighbourhood search: some demands at a time are decided anew, exactly, around what all others keep.

The neighbourhoods are guided by the bound: at the prices of its proof, cost minus bound is the sum of what each
demand's plan loses against its best one, of slots left empty, and of nodes that are not worth their price. On ladder
instance 40,10,0,2 three quarters of the gap are losses of demands. So the demand to be freed first is drawn by its
loss, the next ones by what they hold of the GPUs that it would rather have, and the choices offered are those of
least loss, blurred so that no two neighbourhoods are alike.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from atoll.domain.problem import Problem
from atoll.optimize.draft import Draft, draft_of, plan_in
from atoll.optimize.effort import Effort
from atoll.optimize.greedy import nothing, trimmed
from atoll.optimize.highs import Limits, Solver
from atoll.optimize.indexing import sets_over
from atoll.optimize.matrix import Matrix, compile_program
from atoll.optimize.options import Options
from atoll.optimize.plan import Plan, fits, level_values, missing_of, rank_of, unserved
from atoll.optimize.program.build import build
from atoll.optimize.scarcity import COST, FIX_TOLERANCE, LIMITS, PREFERENCE, penalty, shortfall_level
from atoll.optimize.sets import Sets
from atoll.optimize.space import Choice, Floats, Ints, Space
from atoll.optimize.start import decision_value, rounded, start_values
from atoll.optimize.weighing import weighed_sum, weights_of

COLUMNS = 240
"""Choices offered in a neighbourhood; with 100 the search stops early, with 600 each step takes too long."""

SECONDS = 0.5
"""Limit of one neighbourhood."""

GAP = 1e-3
"""At which a neighbourhood may stop, as a share of its cost: most of its time goes into the proof."""

DEMANDS = 5
"""Most demands freed at a time."""

PLACES = 3
"""Further places opened beside those where the freed demands are."""

FAVOURITES = 8
"""Choices of least loss by which a demand's wishes are told."""

LEAST_WEIGHT = 0.002
"""Share of its cost that counts as a demand's loss at least, so that each is freed now and then."""

IDLE = 25
"""Neighbourhoods without a gain after which the draft is taken to be as good as this search makes it."""

LEVEL_VARIABLES = ("penalty", "breach", "over_budget", "preference")
"""Variables of the levels above cost, in the order of ``level_values``."""

ROUND_WORK = 50
"""Nodes of the deterministic budget that one neighbourhood is given."""


class Improvement:
    """The search around one draft; ``step`` as long as there is time."""

    def __init__(
        self, space: Space, problem: Problem, options: Sequence[Options], draft: Draft, *, trades: bool = False
    ) -> None:
        """Prepare.

        Args:
            space: of the problem.
            problem: what is to be decided.
            options: promising choices of each demand.
            draft: a feasible one.
            trades: take what is better by all levels in one sum, too; else only what is better level by level.
        """
        self._trades = trades
        self._space, self._problem, self._options = space, problem, options
        self._weights = weights_of(space)
        self._random = random.Random(0)  # noqa: S311  # a choice of neighbourhoods; the same one every time
        self.draft = draft

    def run(self, effort: Effort, is_closed: Callable[[Draft], bool], *, idle: float = IDLE) -> bool:
        """Free neighbourhoods until the effort is spent, the gap is closed or nothing gets better any more.

        Args:
            effort: time, or a budget of work.
            is_closed: whether a draft is as good as proven best.
            idle: neighbourhoods without a gain after which it ends.

        Returns:
            Whether nothing got better in many neighbourhoods.
        """
        rounds = max(1, effort.nodes // ROUND_WORK) if effort.nodes else 0
        count = useless = 0
        while (count < rounds if rounds else effort.remaining > 0.0) and not is_closed(self.draft):
            count += 1
            before = self.draft
            self.step(
                Limits(seconds=np.inf, nodes=ROUND_WORK, gap=GAP)
                if effort.nodes
                else Limits(seconds=min(SECONDS, effort.remaining), nodes=0, gap=GAP)
            )
            useless = 0 if self.draft is not before else useless + 1
            if useless >= idle:
                return True
        return bool(rounds)

    def step(self, limits: Limits) -> None:
        """Decide one neighbourhood anew."""
        lacking = self._lacking()
        demands = self._demands(lacking)
        places = self._places(demands)
        self.decide(demands, self.choices(demands, places), limits, weighed=bool(lacking.any()))

    def decide(
        self,
        demands: Sequence[int],
        choices: Sequence[Choice],
        limits: Limits,
        *,
        weighed: bool = False,
        proves: bool = False,
    ) -> float:
        """Decide some demands anew among these choices and those that they have.

        Args:
            demands: to be freed.
            choices: offered to them.
            limits: of the search.
            weighed: minimise all levels of which anything lacks in one sum; else cost, with those above it held.
            proves: a bound is asked for, though a program of its own be needed for it.

        Returns:
            A lower bound on the cost of the nodes that these and what shares them are on; minus infinity for none.
        """
        number_of = {demand: number for number, demand in enumerate(demands)}
        current = {choice: count for choice, count in self.draft.counts.items() if choice[0] in number_of}
        offered = list(dict.fromkeys([*choices, *current]))
        space = self._space.only(demands)
        held = self.draft.load(self._space, without=demands)
        sets = sets_over(space, self._problem, [(number_of[m], t, q) for m, t, q in offered], held)
        rest = float(self._space.price @ self.draft.nodes) - float(sets.price @ self.draft.nodes[list(sets.numbers)])
        others = self.draft.gpus(self._space, without=demands)
        quotas = {name: gpus - others[name] for name, gpus in sets.quotas.items()}
        sets = replace(sets, budget=sets.budget - rest, quotas=quotas)
        before = plan_in(
            sets,
            Draft(
                counts={(number_of[m], t, q): count for (m, t, q), count in current.items()},
                nodes=_within(self.draft.nodes, sets.numbers),
            ),
            "program",
        )
        if before is None or not sets.columns:
            return -np.inf
        matrix = compile_program(build(sets))
        upper = matrix.upper.copy()
        values = level_values(sets, before)
        variables = np.concatenate([matrix.columns[name] for name in LEVEL_VARIABLES])
        objective = matrix.objectives["decision"].copy()
        lacking = np.array([value for name, value in values.items() if name != COST])
        if weighed:
            objective[variables] += [self._weights[name] for name in values if name != COST]
            variables, lacking = variables[lacking <= FIX_TOLERANCE], lacking[lacking <= FIX_TOLERANCE]
        upper[variables] = lacking + FIX_TOLERANCE
        cost = matrix.objectives["cost"]
        if proves and not np.array_equal(objective, cost):
            limits = replace(limits, seconds=limits.seconds / 2.0)
        outcome = Solver(matrix).minimise(objective, matrix.lower, upper, limits, start_values(sets, matrix, before))
        bound = outcome.bound if not weighed and np.array_equal(objective, cost) else -np.inf
        if proves and np.isneginf(bound):
            # What a start costs and ties are worth is part of the decision, not of the cost that is bounded.
            bound = Solver(matrix).minimise(cost, matrix.lower, upper, limits, start_values(sets, matrix, before)).bound
        if outcome.values is None:
            return bound
        found = rounded(matrix, outcome.values)
        if fits(sets, found):
            after, trades = trimmed(sets, found, nothing(sets)), weighed and self._trades
            if self._rank(sets, matrix, after, weighed=trades) < self._rank(sets, matrix, before, weighed=trades):
                self._adopt(draft_of(self._space, sets, after), demands, sets.numbers)
        return bound

    def _rank(self, sets: Sets, matrix: Matrix, plan: Plan, *, weighed: bool) -> tuple[float, ...]:
        """Levels above cost, coarsely, and then the decision's value; or all of it in one sum."""
        values = level_values(sets, plan)
        short = values[COST] - float(sets.price @ plan.nodes)  # of shortfall that has a price
        values = {**values, COST: decision_value(sets, matrix, plan) + short}
        return (weighed_sum(values, self._weights),) if weighed else rank_of(values)

    def _adopt(self, part: Draft, demands: Sequence[int], supplies: Sequence[int]) -> None:
        freed = set(demands)
        counts = {choice: count for choice, count in self.draft.counts.items() if choice[0] not in freed}
        counts.update({(demands[m], t, q): count for (m, t, q), count in part.counts.items()})
        nodes = self.draft.nodes.copy()
        nodes[list(supplies)] = part.nodes[list(supplies)]
        self.draft = Draft(counts=counts, nodes=nodes)

    def _demands(self, lacking: Floats) -> list[int]:
        """Demands to be freed: one that loses much, and those that hold what it wants."""
        demands = len(self._space.demands)
        most = min(DEMANDS, demands)
        cost = np.zeros(demands)
        for (demand, line, place), count in self.draft.counts.items():
            cost[demand] += float(self._options[demand].price[line, place]) * count
        least = np.array([own.least for own in self._options])
        loss = np.maximum(cost - least, 0.0) + LEAST_WEIGHT * np.maximum(least, 1e-9)
        first = self._random.choices(range(demands), (lacking if lacking.any() else loss).tolist())[0]
        wanted = self._wanted(first)
        holds = np.full(demands, 0.05)
        for (demand, line, place), count in self.draft.counts.items():
            kind = self._space.places[place].capacity_type
            holds[demand] += count * sum(wanted.get((int(r), kind), 0) for r in self._rows(demand, line))
        freed = [first]
        for _ in range(self._random.randint(min(2, most), most) - 1):
            others = [demand for demand in range(demands) if demand not in freed]
            weights = [float(holds[demand] * (0.3 + loss[demand])) for demand in others]
            freed.append(self._random.choices(others, weights)[0])
        return sorted(freed)

    def _lacking(self) -> Floats:
        """(M,) what each demand lacks in the levels above cost, US$/h by their weights."""
        sets = sets_over(self._space, self._problem, list(self.draft.counts))
        counts = np.array(list(self.draft.counts.values()), dtype=np.int64)
        short, weights = unserved(sets, counts), self._weights
        lacking = np.zeros(len(self._space.demands))
        for number, wanted in enumerate(self._space.demands):
            missing = missing_of(sets, counts, number)
            limits = missing.spot + missing.replicas + missing.domains
            lacking[number] = weights[LIMITS] * limits + weights[PREFERENCE] * missing.spilled
            if not wanted.is_priced:
                lacking[number] += weights[shortfall_level(wanted.priority)] * penalty(float(short[number]))
        return lacking

    def _wanted(self, demand: int) -> dict[tuple[int, object], int]:
        own, wanted = self._options[demand], dict[tuple[int, object], int]()
        for number in np.argsort(own.loss, kind="stable")[:FAVOURITES]:
            kind = self._space.places[int(own.places[number])].capacity_type
            for row in self._rows(demand, int(own.lines[number])):
                wanted[int(row), kind] = wanted.get((int(row), kind), 0) + 1
        return wanted

    def _rows(self, demand: int, line: int) -> list[int]:
        return np.flatnonzero(self._space.menus[demand].load[line]).tolist()

    def _places(self, demands: Sequence[int]) -> set[int]:
        freed = set(demands)
        places = {place for demand, _, place in self.draft.counts if demand in freed}
        others = [place for place in range(len(self._space.places)) if place not in places]
        return places | set(self._random.sample(others, min(PLACES, len(others))))

    def choices(self, demands: Sequence[int], places: Iterable[int]) -> list[Choice]:
        """What to offer to demands that are freed: what loses least at these places, blurred."""
        choices: list[Choice] = []
        for demand in demands:
            own = self._options[demand]
            usable = np.flatnonzero(np.isin(own.places, list(places)))
            blur = self._random.choice((1e-4, 3e-3, 2e-2)) * max(own.least, 1e-9)
            noise = np.array([self._random.expovariate(1.0) for _ in usable])
            order = usable[np.argsort(own.loss[usable] + blur * noise, kind="stable")][: COLUMNS // len(demands)]
            choices += [(demand, int(own.lines[n]), int(own.places[n])) for n in order]
        return choices


def _within(nodes: Ints, numbers: Sequence[int]) -> Ints:
    """The nodes of some supplies, and none of any other."""
    within = np.zeros_like(nodes)
    within[list(numbers)] = nodes[list(numbers)]
    return within
