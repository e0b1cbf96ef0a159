"""The search of a large fleet: a bound and whole plans by column generation, then improvement around the best plan.

The whole program of a large fleet is never stated. Column generation bounds it and says which choices are promising;
exact programs are stated over those, for some demands at a time.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from atoll.domain.demand import Loss
from atoll.domain.problem import Problem
from atoll.optimize.cover import at_price, penalised
from atoll.optimize.diving import dive
from atoll.optimize.draft import Draft, draft_of, plan_in, within_quotas
from atoll.optimize.effort import Effort
from atoll.optimize.fixing import left_after_fixing
from atoll.optimize.generation import Generated, Generation, list_prices
from atoll.optimize.greedy import greedy
from atoll.optimize.highs import Limits
from atoll.optimize.improve import Improvement
from atoll.optimize.indexing import sets_over
from atoll.optimize.master import Chosen, Held
from atoll.optimize.options import Options, front, options_of, varied
from atoll.optimize.plan import Plan, level_values, rank_of
from atoll.optimize.scarcity import BUDGET, COST, FIX_TOLERANCE, LIMITS, PREFERENCE, shortfall_level
from atoll.optimize.search import Found, Search
from atoll.optimize.siting import sited
from atoll.optimize.space import Choice, Floats, Space
from atoll.optimize.weighing import unserved_of, weighed_sum, weights_of

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

PATIENT = 8.0
SOON_DOMAINS = 1500
NEAR = 0.015
SOON_SECONDS = 1.2
"""Where more seconds than these are left, and demands times places are more than this: how near master and bound are,
as a share, when a plan is made of what there is, and how long its choice and its places may take. Ladder 100,30 is
within 2 % then after 5 s instead of 8; with fewer demands or places generation ends soon enough."""

PROVABLE_AT_ONCE = 600
PROVABLE = 2500
"""Choices left by fixing up to which all of them are searched at once, before and after improvement. The example
fleet of six served models keeps 88 of 2322 and is proven in a second; ladder instance 6,5,0,1 keeps 4970 of 24280, and
branch and bound over these comes to no better bound in 17 s."""

LEVELS_SHARE = 0.5
"""Of the time, for a plan that falls short less, where no plan at hand serves all and keeps all limits, as a share."""

FEW_COLUMNS = 3000
FEW_PLACES = 12
FEW_SHARE = 0.15
"""Choices over which all levels are then searched exactly, places of each template, and most of the time for it."""

SCARCE_DOMAINS = 1000
SCARCE_ROUNDS = 60
SCARCE_SHARE = 0.4
"""Where no plan at hand serves all: demands times places up to which generation tells domains apart, its rounds, and
the time for them, and then for the dive, as a share of what is left of it."""

BOUNDS_SHARE = 0.3
"""Of what is left then, for bounds of shortfall."""


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
        self._weights = weights_of(space)

    def run(self, found: Found, draft: Draft) -> Draft:
        """Improve on a draft until the effort is spent or the gap is closed.

        Args:
            found: is given the bounds.
            draft: a feasible one.
        """
        if self._lacks(draft):
            draft = self._complete(draft)
        if self._lacks(draft):
            self._bound_levels(found, draft)
        else:
            names = [shortfall_level(priority) for priority in self._priorities()]
            found.bounds.update(dict.fromkeys([*names, LIMITS, BUDGET, PREFERENCE], 0.0))
        after = self._minimise_cost(found, draft)
        if not self._is_within(after, draft):
            found.bounds.pop(COST, None)
            found.raise_bound(COST, self._cost_of(after).run(lambda rounds: rounds < SKETCH_ROUNDS).bound)
        return after

    def _is_within(self, draft: Draft, levels: Draft) -> bool:
        """Whether a draft lacks no more in any level above cost: then bounds made for these levels hold for it."""
        after, before = self._values(draft), self._values(levels)
        return all(after[name] <= before[name] + FIX_TOLERANCE for name in before if name != COST)

    def _lacks(self, draft: Draft) -> bool:
        return any(self._rank(draft)[:-1])

    def _complete(self, draft: Draft) -> Draft:
        """Seek a plan that serves all and keeps all limits, or lacks least: with all levels in one sum."""
        space = self._space
        effort = self._until((1.0 - LEVELS_SHARE) * self._effort.remaining)
        pooled = len(space.demands) * len(space.places) > SCARCE_DOMAINS
        relaxed = space.pooled() if pooled else space
        generation = Generation(relaxed, unserved_of(space, self._weights), np.ones(len(space.demands)))
        sketch = generation.run(lambda rounds: rounds < SKETCH_ROUNDS and effort.remaining > 0.0)
        draft = self._begin(draft, options_of(space, sketch, (), pooled=pooled), None, pooled=pooled)
        safe = draft
        if self._lacks(draft):
            safe = draft = self._over_few(draft, self._until((1.0 - FEW_SHARE) * self._effort.remaining))
        if not self._lacks(draft):
            return draft
        kept = (1.0 - SCARCE_SHARE) * effort.remaining
        generation.run(lambda rounds: rounds < SCARCE_ROUNDS and (bool(effort.nodes) or effort.remaining > kept))
        kept = (1.0 - SCARCE_SHARE) * effort.remaining
        chosen = dive(
            generation,
            lambda: bool(effort.nodes) or effort.remaining > kept,
            seconds=np.inf if effort.nodes else min(CHOICE_SECONDS, effort.remaining),
            nodes=effort.nodes,
        )
        generated = generation.run(lambda _: False)
        options = options_of(space, generated, () if chosen is None else chosen.plans, pooled=pooled)
        draft = self._begin(draft, options, chosen, pooled=pooled, trades=True)
        improvement = Improvement(space, self._problem, options, draft, trades=True)
        improvement.run(effort, lambda each: not self._lacks(each))
        return min(improvement.draft, safe, key=self._rank)

    def _over_few(self, draft: Draft, effort: Effort) -> Draft:
        """All levels exactly, but over few choices; among them what limits make a demand look for."""
        each = max(1, FEW_COLUMNS // max(1, len(self._space.demands) * FEW_PLACES))
        few = varied(self._space, list_prices(self._space), templates=each, places=FEW_PLACES)
        sets = sets_over(self._space, self._problem, list(dict.fromkeys([*draft.counts, *few])))
        plan = plan_in(sets, draft, "program")
        if plan is None:
            return draft
        search = Search(sets, effort, proves=False)
        return draft_of(self._space, sets, search.best(search.run([plan])))

    def _bound_levels(self, found: Found, draft: Draft) -> None:
        """Bound what each priority must fall short of, given what those above it do."""
        left = [priority for priority in self._priorities() if self._values(draft)[shortfall_level(priority)] > 0.0]
        for number, priority in enumerate(left):
            share = BOUNDS_SHARE * self._effort.remaining / (len(left) - number)
            effort = self._until(self._effort.remaining - share)
            generated = self._level(draft, priority).run(_until_spent(effort))
            found.raise_bound(shortfall_level(priority), generated.bound)

    def _level(self, draft: Draft, priority: int) -> Generation:
        """Nodes cost nothing here; demands of lower priority are not asked, those of higher keep what they have."""
        space = self._space
        costs = [penalised(1.0) if wanted.priority == priority else at_price(np.inf) for wanted in space.demands]
        needs = np.array([float(not wanted.is_priced and wanted.priority >= priority) for wanted in space.demands])
        held = [each for each in self._held(draft) if all(space.demands[m].priority > priority for m in each.demands)]
        relaxed = space.pooled() if self._pooled else space
        return Generation(relaxed, costs, needs, held=held, price=np.zeros(len(space.supplies)))

    def _until(self, kept: float) -> Effort:
        """The effort, but for so many seconds of it."""
        return replace(self._effort, deadline=self._effort.deadline - (0.0 if self._effort.nodes else kept))

    def _held(self, draft: Draft) -> list[Held]:
        """What each priority falls short of with a draft, where it does."""
        values, held = self._values(draft), []
        for priority in self._priorities():
            value = values[shortfall_level(priority)]
            if value > FIX_TOLERANCE:
                own = [
                    m for m, each in enumerate(self._space.demands) if each.priority == priority and not each.is_priced
                ]
                held.append(Held(demands=frozenset(own), most=value + FIX_TOLERANCE))
        return held

    def _minimise_cost(self, found: Found, draft: Draft) -> Draft:
        """Bound, promising choices, a plan made of them, and its improvement."""
        generation, levels = self._cost_of(draft), draft
        kept = (1.0 - GENERATION_SHARE) * self._effort.remaining
        sketch = generation.run(lambda rounds: rounds < SKETCH_ROUNDS and self._has_more_than(kept))
        draft = self._begin(draft, options_of(self._space, sketch, (), pooled=self._pooled), None, pooled=self._pooled)
        found.raise_bound(COST, sketch.bound)
        self._tell(draft, found)
        is_large = len(self._space.demands) * len(self._space.places) > SOON_DOMAINS
        if is_large and not self._effort.nodes and self._effort.remaining > PATIENT:
            near = generation.run(lambda _: self._has_more_than(kept) and generation.apart > NEAR)
            found.raise_bound(COST, near.bound)
            draft = self._soon(generation, near, draft)
            self._tell(draft, found)
        generated = generation.run(lambda _: self._has_more_than(kept))
        found.raise_bound(COST, generated.bound)
        if self._is_closed(found, draft):
            return draft
        chosen = self._choose(generation, self._effort)
        options = options_of(self._space, generated, () if chosen is None else chosen.plans, pooled=self._pooled)
        draft = self._begin(draft, options, chosen, pooled=self._pooled)
        self._tell(draft, found)
        improvement = Improvement(self._space, self._problem, options, draft)
        if self._is_within(draft, levels) and self._prove(found, improvement, generated, PROVABLE_AT_ONCE):
            return improvement.draft
        is_stuck = improvement.run(self._effort, lambda draft: self._heard(found, draft))
        is_provable = is_stuck and self._is_within(improvement.draft, levels)
        if is_stuck and not (is_provable and self._prove(found, improvement, generated, PROVABLE)):
            improvement.run(self._effort, lambda draft: self._heard(found, draft), idle=math.inf)
        return improvement.draft

    def _soon(self, generation: Generation, near: Generated, draft: Draft) -> Draft:
        """A fair plan of what is generated so far, where there is time to go on afterwards."""
        chosen = generation.master.choose(seconds=SOON_SECONDS, nodes=0, gap=NEAR)
        options = options_of(self._space, near, () if chosen is None else chosen.plans, pooled=self._pooled)
        return self._begin(draft, options, chosen, pooled=self._pooled, seconds=SOON_SECONDS)

    def _prove(self, found: Found, improvement: Improvement, generated: Generated, most: int) -> bool:
        """Search all that could still be cheaper, if that is not too much; whether it was searched."""
        if self._pooled or not generated.covers:
            return False
        value = self._values(improvement.draft)[COST]
        choices = left_after_fixing(self._space, generated, value - generated.bound)
        if len(choices) > most:
            return False
        everyone = range(len(self._space.demands))
        limits = Limits(seconds=self._effort.remaining, nodes=self._effort.nodes, gap=self._effort.gap)
        bound = improvement.decide(everyone, choices, limits, proves=True)
        found.raise_bound(COST, min(bound, value))
        return True

    def _cost_of(self, draft: Draft) -> Generation:
        """Column generation of cost, over plans that lack no more in any level than this draft does."""
        held, values = self._held(draft), self._values(draft)
        return self._generation(
            held,
            is_first_choice=values[PREFERENCE] <= FIX_TOLERANCE,
            hardened=not held and values[LIMITS] <= FIX_TOLERANCE,
        )

    def _generation(self, held: Sequence[Held], *, is_first_choice: bool, hardened: bool) -> Generation:
        """Of all plans, or of those that spill over to no second choice of capacity type.

        Where the first choices carry all that is served, plans cost no less without their other replicas. And of those
        that survive what they are to, if they are ``hardened``.
        """
        relaxed = self._space.within(self._space.first_choice) if is_first_choice else self._space
        relaxed = relaxed.pooled() if self._pooled else relaxed
        costs = tuple(at_price(wanted.shortfall_cost) for wanted in self._space.demands)
        return Generation(relaxed, costs, self._needs() if hardened else np.ones(len(costs)), held=held)

    def _needs(self) -> Floats:
        """Share that replicas of each demand carry together at least, where none is short and all limits are kept.

        What is outside each of n zones carries the share s, so all zones carry n / (n - 1) s; what is left without the
        largest replica carries s, so all carry that and the smallest besides (design section 5, ``survive``).
        """
        needs = np.ones(len(self._space.demands))
        for number, (wanted, menu) in enumerate(zip(self._space.demands, self._space.menus, strict=True)):
            placement, usable = wanted.placement, menu.allowed.any(axis=1)
            zones = len({self._space.places[q].domain for q in np.flatnonzero(menu.allowed.any(axis=0))})
            if wanted.is_priced or placement.steps or not usable.any():
                continue
            if placement.survive is Loss.ZONE and zones > 1:
                needs[number] = max(1.0, placement.survive_share * zones / (zones - 1))
            elif placement.survive is Loss.REPLICA:
                needs[number] = max(1.0, placement.survive_share + float(menu.share[usable].min()))
        return needs

    def _has_more_than(self, kept: float) -> bool:
        return bool(self._effort.nodes) or self._effort.remaining > kept

    def _heard(self, found: Found, draft: Draft) -> bool:
        """Tell of the draft; whether it is as good as proven best."""
        self._tell(draft, found)
        return self._is_closed(found, draft)

    def _choose(self, generation: Generation, effort: Effort) -> Chosen | None:
        seconds = min(CHOICE_SECONDS, CHOICE_SHARE * effort.remaining)
        return generation.master.choose(seconds=np.inf if effort.nodes else seconds, nodes=effort.nodes, gap=effort.gap)

    def _begin(
        self,
        draft: Draft,
        options: Sequence[Options],
        chosen: Chosen | None,
        *,
        pooled: bool,
        trades: bool = False,
        seconds: float = SITING_SECONDS,
    ) -> Draft:
        """The best of the draft and of what the integer master says, or else a greedy plan over promising choices."""
        if chosen is None:
            wide = sets_over(self._space, self._problem, list(dict.fromkeys([*draft.counts, *front(options, FRONT)])))
            other = draft_of(self._space, wide, greedy(wide, origin="program"))
        else:
            other = self._completed(self._sited(chosen, seconds) if pooled else self._as_chosen(chosen), options)
        if trades:
            return min(draft, other, key=lambda each: weighed_sum(self._values(each), self._weights))
        return min(draft, other, key=self._rank)

    def _as_chosen(self, chosen: Chosen) -> Draft:
        """The integer master's plan, where its places are real ones."""
        counts: dict[Choice, int] = {}
        for plan in chosen.plans:
            for line, place in plan.replicas:
                counts[plan.demand, line, place] = counts.get((plan.demand, line, place), 0) + 1
        return Draft(counts=counts, nodes=chosen.nodes)

    def _sited(self, chosen: Chosen, seconds: float) -> Draft:
        """The integer master's plans at places, as far as these have room."""
        seconds = min(seconds, SITING_SHARE * self._effort.remaining)
        limits = Limits(seconds=np.inf if self._effort.nodes else seconds, nodes=self._effort.nodes, gap=SITING_GAP)
        return sited(self._space, self._problem, chosen.plans, limits)

    def _completed(self, draft: Draft, options: Sequence[Options]) -> Draft:
        """A draft cut to the quotas, and with what it then lacks of demands and limits, which the master knows not."""
        draft = within_quotas(self._space, draft)
        sets = sets_over(self._space, self._problem, list(dict.fromkeys([*draft.counts, *front(options, FRONT)])))
        plan = plan_in(sets, draft, "program")
        return draft if plan is None else draft_of(self._space, sets, greedy(sets, start=plan, origin="program"))

    def _priorities(self) -> list[int]:
        return sorted({wanted.priority for wanted in self._space.demands if not wanted.is_priced}, reverse=True)

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


def _until_spent(effort: Effort) -> Callable[[int], bool]:
    return lambda _: bool(effort.nodes) or effort.remaining > 0.0
