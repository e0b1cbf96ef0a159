"""Stage two: the cheapest nodes and replicas for all demands together, with a proof of how near that is."""

import math
import time
from collections.abc import Callable, Sequence

from atoll.domain.problem import Allocation, Problem
from atoll.optimize.answer import allocation_of
from atoll.optimize.check import check
from atoll.optimize.decomposition import Decomposition
from atoll.optimize.draft import Draft, draft_of, plan_in
from atoll.optimize.early import early, over_few
from atoll.optimize.effort import Effort
from atoll.optimize.indexing import sets_over
from atoll.optimize.known import first_choices, known_plans, proposed_choices
from atoll.optimize.placement import Placed, place
from atoll.optimize.plan import Plan, level_values
from atoll.optimize.residual import residual
from atoll.optimize.scarcity import COST
from atoll.optimize.search import Found, Search
from atoll.optimize.sets import Sets
from atoll.optimize.space import Space, space_of
from atoll.optimize.staying import rank_in, steady

WHOLE = 1500
"""Choices up to which the whole program is searched at once; beyond, the fleet is decomposed by demand."""


TELL_STEP = 0.003
"""Share by which an answer must be better than the one told before."""


class AllocationError(RuntimeError):
    """No allocation passed the check; carries what was wrong with each, by the word for what found it."""

    def __init__(self, faults: dict[str, tuple[str, ...]]) -> None:
        super().__init__("; ".join(f"{origin}: {', '.join(found)}" for origin, found in faults.items()))
        self.faults = faults


def solve(
    problem: Problem,
    *,
    clock: Callable[[], float] = time.monotonic,
    incumbents: Sequence[Allocation] = (),
    tell: Callable[[Allocation], object] = lambda _: None,
) -> Allocation:
    """Decide what runs where.

    Shortfall by priority, soft limits, budget, preference and cost are minimised in this order (design section 5,
    scarcity). What runs is kept unless another plan serves better, or brings more of a demand to preferred capacity
    than the policy's tolerance, or saves more than that and than its own move costs over the horizon (stability).
    With ``policy.work_budget`` the answer depends on the problem alone; without, on how far the search came until
    ``policy.deadline_seconds``.

    Args:
        problem: what is to be decided.
        clock: seconds, monotonic.
        incumbents: known answers to begin with, such as the baseline's; the answer is not worse than they are
            unless what runs is kept.
        tell: is called with a feasible answer before the search begins, and in a large fleet with better ones: of use
            where the search never ends.

    Returns:
        An allocation that passed ``check``.

    Raises:
        AllocationError: nothing passed the check, which is a defect of the solver.
    """
    began = clock()
    effort = Effort.of(problem.policy, clock)
    incumbents = (*incumbents, *_soon(problem, clock, began, tell))
    space = space_of(problem)
    whole = space.size <= WHOLE
    if whole:
        choices = space.choices()
    elif any(not answer.shortfall and not answer.unmet for answer in incumbents):
        choices = proposed_choices(space, problem, incumbents)
    else:
        choices = first_choices(space, problem, incumbents)
    sets = sets_over(space, problem, choices)
    known = known_plans(problem, sets, incumbents)
    found = Found(plans=list(known.plans))
    _tell_at_once(problem, sets, steady(problem, sets, found, known.best, known.stays), clock() - began, tell)
    plans, stays, best, safe = known.plans, known.stays, known.best, known.safe
    if not sets.columns:
        found.bounds.update(level_values(sets, safe))
    elif whole:
        search = Search(sets, effort)
        found = search.run(plans)
        best = search.best(found)
    else:
        telling = _Telling(problem, space, effort, began, tell)
        draft = Decomposition(space, problem, effort, telling).run(found, draft_of(space, sets, best))
        sets, found.plans, stays = _gathered(space, problem, sets, draft, (plans, stays))
        best, safe = min(found.plans, key=lambda plan: rank_in(sets, plan)), found.plans[1]
    candidates = [steady(problem, sets, found, best, stays), best, safe]
    faults: dict[str, tuple[str, ...]] = {}
    for plan in candidates:
        answer = allocation_of(sets, found, plan, effort.gap, clock() - began)
        faults[plan.origin] = check(problem, answer)
        if not faults[plan.origin]:
            return answer
    raise AllocationError(faults)


def _soon(
    problem: Problem, clock: Callable[[], float], began: float, tell: Callable[[Allocation], object]
) -> list[Allocation]:
    """Answers from what runs, told at once: it grown, and where it falls short the best that is found beside it."""
    soon = early(problem) if problem.running else None
    if soon is None:
        return []
    answers = [_tell_at_once(problem, soon.sets, soon.plan, clock() - began, tell)]
    if not soon.is_whole:
        regrown = _regrown(problem, place(soon.sets, soon.kept), clock)
        over = over_few(problem, regrown)
        answers.append(regrown if over is None else _tell_at_once(problem, *over, clock() - began, tell))
    return answers


def _tell_at_once(
    problem: Problem, sets: Sets, plan: Plan, seconds: float, tell: Callable[[Allocation], object]
) -> Allocation:
    """Tell of a plan before any search, if it passes the check."""
    answer = allocation_of(sets, Found(plans=[plan]), plan, problem.policy.accept_gap, seconds)
    if not check(problem, answer):
        tell(answer)
    return answer


def _regrown(problem: Problem, kept: Placed, clock: Callable[[], float]) -> Allocation:
    """What can stay, and the best that is found for the rest beside it."""
    left = residual(problem, kept)
    return left.joined(solve(left.problem, clock=clock))


class _Telling:
    """Tells of drafts as allocations, each a good deal better than the one before."""

    def __init__(
        self,
        problem: Problem,
        space: Space,
        effort: Effort,
        began: float,
        tell: Callable[[Allocation], object],
    ) -> None:
        self._problem, self._space, self._effort, self._began, self._tell = problem, space, effort, began, tell
        self._told = math.inf
        self._bound = -math.inf

    def __call__(self, draft: Draft, found: Found) -> None:
        cost = float(self._space.price @ draft.nodes)
        bound = found.bounds.get(COST, 0.0)
        if cost > (1.0 - TELL_STEP) * self._told and bound <= self._bound:
            return
        sets = sets_over(self._space, self._problem, list(draft.counts))
        plan = plan_in(sets, draft, "program")
        if plan is None:
            return
        answer = allocation_of(sets, found, plan, self._effort.gap, self._effort.clock() - self._began)
        if not check(self._problem, answer):
            self._told, self._bound = cost, bound
            self._tell(answer)


def _gathered(
    space: Space, problem: Problem, sets: Sets, draft: Draft, known: tuple[Sequence[Plan], Sequence[Plan]]
) -> tuple[Sets, list[Plan], list[Plan]]:
    """Sets over all that a draft, known plans and what runs use; the draft and the plans over them."""
    plans, stays = known
    drafts = {id(plan): draft_of(space, sets, plan) for plan in (*plans, *stays)}
    used = {choice for each in (draft, *drafts.values()) for choice in each.counts}
    used |= {sets.columns[running.column].choice for running in sets.running}
    over = sets_over(space, problem, sorted(used))
    moved = {plan: plan_in(over, each, "program") for plan, each in drafts.items()}
    best = plan_in(over, draft, "program")
    return (
        over,
        [plan for plan in (best, *(moved[id(plan)] for plan in plans)) if plan is not None],
        [plan for each in stays if (plan := moved[id(each)]) is not None],
    )
