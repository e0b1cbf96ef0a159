"""The search of a large fleet: a bound and whole plans by column generation, then improvement around the best plan.

The whole program of a large fleet is never stated. Column generation bounds it and says which choices are promising;
exact programs are stated over those, for some demands at a time.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from atoll.domain.problem import Problem
from atoll.optimize.cover import at_price
from atoll.optimize.draft import Draft, draft_of, plan_in, within_quotas
from atoll.optimize.effort import Effort
from atoll.optimize.fixing import left_after_fixing
from atoll.optimize.generation import Chosen, Generated, Generation, list_prices
from atoll.optimize.greedy import greedy
from atoll.optimize.highs import Limits
from atoll.optimize.improve import Improvement
from atoll.optimize.options import Options, front, options_of, varied
from atoll.optimize.plan import Plan, level_values, rank_of
from atoll.optimize.scarcity import (
    BREAKS,
    BUDGET,
    COST,
    FIX_TOLERANCE,
    LIMITS,
    PREFERENCE,
    SLOPES,
    shortfall_level,
)
from atoll.optimize.search import Found, Search
from atoll.optimize.sets import sets_over
from atoll.optimize.siting import sited
from atoll.optimize.space import Choice, Floats, Space

EXACT_DOMAINS = 200
"""Demands times places up to which generation tells domains apart: 2 s at 120 (ladder 12,5), 4 s at 800 (40,10)."""

FRONT = 120
"""Choices of each demand that the plan to begin with is made of."""

GENERATION_SHARE = 0.5
"""Most of the time for the bound, as a share."""

CHOICE_SHARE = 0.2
"""Of what is left then, for the integer master, as a share."""

CHOICE_SECONDS = 3.0
"""And at most so long: it is within 0.4 % of the bound by then on the ladder."""

SKETCH_ROUNDS = 12
"""Rounds of generation after which its prices make a fair first plan: within 15 % of the last one on the ladder."""

SITING_SHARE = 0.5
SITING_SECONDS = 3.0
SITING_GAP = 2e-3
"""Of what is left then, for places of pooled plans; most seconds; gap at which it may stop."""

PROVABLE_AT_ONCE = 600
PROVABLE = 2500
"""Choices left by fixing up to which all of them are searched at once, before and after improvement. The example
fleet of six served models keeps 88 of 2322 and is proven in a second; ladder instance 6,5,0,1 keeps 4970 of 24280, and
branch and bound over these comes to no better bound in 17 s."""

LEVELS_SHARE = 0.5
"""Of the time, for shortfall and limits where no plan at hand keeps all, as a share."""

LEVELS_COLUMNS = 3000
LEVELS_PLACES = 12
"""Choices that this is sought over, and places of each template."""


class Decomposition:
    """One problem's search; ``run`` once."""

    def __init__(
        self, space: Space, problem: Problem, effort: Effort, tell: Callable[[Draft, Found], object] = lambda *_: None
    ) -> None:
        """Prepare.

        Args:
            space: of the problem.
            problem: what is to be decided.
            effort: to be spent.
            tell: is called with better and better drafts and the bounds so far.
        """
        self._space, self._problem, self._effort, self._tell = space, problem, effort, tell
        self._pooled = len(space.demands) * len(space.places) > EXACT_DOMAINS

    def run(self, found: Found, draft: Draft) -> Draft:
        """Improve on a draft until the effort is spent or the gap is closed.

        Args:
            found: is given the bounds.
            draft: a feasible one.
        """
        names = [shortfall_level(priority) for priority in self._priorities()]
        if any(self._rank(draft)[:-1]):
            draft = self._complete(draft)
        if any(self._rank(draft)[:-1]):
            draft = self._levels(draft)
        else:
            found.bounds.update(dict.fromkeys([*names, LIMITS, BUDGET, PREFERENCE], 0.0))
        return self._minimise_cost(found, draft)

    def _complete(self, draft: Draft) -> Draft:
        """Seek a plan that serves all and keeps all limits, with the choices of a first few rounds of generation."""
        generation = self._generation(np.ones(len(self._space.demands)), is_first_choice=True)
        generated = generation.run(lambda rounds: rounds < SKETCH_ROUNDS and self._effort.remaining > 0.0)
        return self._begin(draft, options_of(self._space, generated, (), pooled=self._pooled), None)

    def _levels(self, draft: Draft) -> Draft:
        """Shortfall and limits over few choices: what a plan cannot do with these is not proven."""
        choices = list(dict.fromkeys([*draft.counts, *self._few()]))
        sets = sets_over(self._space, self._problem, choices)
        plan = plan_in(sets, draft, "program")
        if plan is None:
            return draft
        kept = 0.0 if self._effort.nodes else (1.0 - LEVELS_SHARE) * self._effort.remaining
        search = Search(sets, replace(self._effort, deadline=self._effort.deadline - kept))
        return draft_of(self._space, sets, search.best(search.run([plan])))

    def _few(self) -> list[Choice]:
        each = max(1, LEVELS_COLUMNS // max(1, len(self._space.demands) * LEVELS_PLACES))
        return varied(self._space, list_prices(self._space), templates=each, places=LEVELS_PLACES)

    def _minimise_cost(self, found: Found, draft: Draft) -> Draft:
        """Bound, promising choices, a plan made of them, and its improvement."""
        generation = self._generation(
            self._needs(draft), is_first_choice=self._values(draft)[PREFERENCE] <= FIX_TOLERANCE
        )
        sketch = generation.run(lambda rounds: rounds < SKETCH_ROUNDS and self._has_more_than(1 - GENERATION_SHARE))
        draft = self._begin(draft, options_of(self._space, sketch, (), pooled=self._pooled), None)
        self._tell(draft, found)
        generated = generation.run(lambda _: self._has_more_than(1 - GENERATION_SHARE))
        found.raise_bound(COST, generated.bound)
        if self._is_closed(found, draft):
            return draft
        chosen = self._choose(generation)
        options = options_of(self._space, generated, () if chosen is None else chosen.plans, pooled=self._pooled)
        draft = self._begin(draft, options, chosen)
        self._tell(draft, found)
        improvement = Improvement(self._space, self._problem, options, draft)
        if self._prove(found, improvement, generated, PROVABLE_AT_ONCE):
            return improvement.draft
        is_stuck = improvement.run(self._effort, lambda draft: self._heard(found, draft))
        if is_stuck and not self._prove(found, improvement, generated, PROVABLE):
            improvement.run(self._effort, lambda draft: self._heard(found, draft), idle=math.inf)
        return improvement.draft

    def _prove(self, found: Found, improvement: Improvement, generated: Generated, most: int) -> bool:
        """Search all that could still be cheaper, if that is not too much; whether it was searched."""
        if self._pooled:
            return False
        value = self._values(improvement.draft)[COST]
        window = value - generated.bound
        needs = self._needs(improvement.draft)
        choices = left_after_fixing(self._space, generated.prices, generated.covers, needs, window)
        if len(choices) > most:
            return False
        everyone = range(len(self._space.demands))
        limits = Limits(seconds=self._effort.remaining, nodes=self._effort.nodes, gap=self._effort.gap)
        bound = improvement.decide(everyone, choices, limits)
        found.raise_bound(COST, min(bound, value))
        return True

    def _generation(self, needs: Floats, *, is_first_choice: bool) -> Generation:
        """Of all plans, or of those that spill over to no second choice of capacity type.

        Where the first choices carry all that is served, plans cost no less without their other replicas.
        """
        relaxed = self._space.within(self._space.first_choice) if is_first_choice else self._space
        relaxed = relaxed.pooled() if self._pooled else relaxed
        costs = tuple(at_price(wanted.shortfall_cost) for wanted in self._space.demands)
        return Generation(relaxed, costs, needs)

    def _has_more_than(self, share: float) -> bool:
        return bool(self._effort.nodes) or self._effort.remaining > share * self._problem.policy.deadline_seconds

    def _heard(self, found: Found, draft: Draft) -> bool:
        """Tell of the draft; whether it is as good as proven best."""
        self._tell(draft, found)
        return self._is_closed(found, draft)

    def _choose(self, generation: Generation) -> Chosen | None:
        seconds = min(CHOICE_SECONDS, CHOICE_SHARE * self._effort.remaining)
        return generation.choose(
            seconds=np.inf if self._effort.nodes else seconds, nodes=self._effort.nodes, gap=self._effort.gap
        )

    def _begin(self, draft: Draft, options: Sequence[Options], chosen: Chosen | None) -> Draft:
        """The best of the draft and of what the integer master says, or else a greedy plan over promising choices."""
        if chosen is None:
            wide = sets_over(self._space, self._problem, list(dict.fromkeys([*draft.counts, *front(options, FRONT)])))
            other = draft_of(self._space, wide, greedy(wide, origin="program"))
        else:
            other = self._completed(self._sited(chosen) if self._pooled else self._as_chosen(chosen), options)
        return min(draft, other, key=self._rank)

    def _as_chosen(self, chosen: Chosen) -> Draft:
        """The integer master's plan, where its places are real ones."""
        counts: dict[Choice, int] = {}
        for plan in chosen.plans:
            for line, place in plan.replicas:
                counts[plan.demand, line, place] = counts.get((plan.demand, line, place), 0) + 1
        return Draft(counts=counts, nodes=chosen.nodes)

    def _sited(self, chosen: Chosen) -> Draft:
        """The integer master's plans at places; what found no room is left out."""
        seconds = min(SITING_SECONDS, SITING_SHARE * self._effort.remaining)
        limits = Limits(seconds=np.inf if self._effort.nodes else seconds, nodes=self._effort.nodes, gap=SITING_GAP)
        return sited(self._space, self._problem, chosen.plans, limits)

    def _completed(self, draft: Draft, options: Sequence[Options]) -> Draft:
        """A draft cut to the quotas, and with what it then lacks of demands and limits, which the master knows not."""
        draft = within_quotas(self._space, draft)
        sets = sets_over(self._space, self._problem, list(dict.fromkeys([*draft.counts, *front(options, FRONT)])))
        plan = plan_in(sets, draft, "program")
        return draft if plan is None else draft_of(self._space, sets, greedy(sets, start=plan, origin="program"))

    def _needs(self, draft: Draft) -> Floats:
        """Share of each demand that any plan serves which is no worse in the levels above cost than this one."""
        values = self._values(draft)
        needs = np.ones(len(self._space.demands))
        for number, wanted in enumerate(self._space.demands):
            if not wanted.is_priced:
                needs[number] -= most_unserved(values[shortfall_level(wanted.priority)])
        return needs

    def _priorities(self) -> list[int]:
        return sorted({wanted.priority for wanted in self._space.demands if not wanted.is_priced})

    def _values(self, draft: Draft) -> dict[str, float]:
        sets = sets_over(self._space, self._problem, list(draft.counts))
        counts = np.array(list(draft.counts.values()), dtype=np.int64)
        plan = Plan(counts=counts, nodes=draft.nodes[list(sets.numbers)], origin="program")
        return level_values(sets, plan)

    def _rank(self, draft: Draft) -> tuple[float, ...]:
        return rank_of(self._values(draft))

    def _is_closed(self, found: Found, draft: Draft) -> bool:
        value = self._values(draft)[COST]
        return value - found.bounds.get(COST, 0.0) <= self._effort.gap * max(value, 1e-9)


def most_unserved(value: float) -> float:
    """The largest unserved share of one demand whose penalty is no more than this."""
    share = below = 0.0
    for limit, slope in zip(BREAKS, SLOPES, strict=True):
        piece = min(limit - below, max(0.0, value) / slope)
        share, value, below = share + piece, value - slope * piece, limit
    return min(1.0, share + FIX_TOLERANCE) if share > 0.0 else 0.0
