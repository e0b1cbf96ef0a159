"""A first answer, before all templates are looked at: what runs, and more of the same where that falls short.

To tell which of hundreds of templates are of use takes longer than 0.1 s in a fleet of 40 served models. Those that run
were of use when they were started, so after a loss they serve again at a price near the best: with a tenth of the
availability of ladder instance 40,10 changed, 1 % above the best known plan.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace

import numpy as np

from atoll.domain.demand import DemandKey
from atoll.domain.problem import Allocation, Problem, ReplicaGroup
from atoll.domain.strategy import Strategy
from atoll.optimize.answer import plan_of
from atoll.optimize.indexing import sets_over
from atoll.optimize.known import choices_of, first_choices, former_plan
from atoll.optimize.plan import Plan, missing_of, unserved
from atoll.optimize.running import grown, running_plan
from atoll.optimize.search import Found
from atoll.optimize.sets import Sets
from atoll.optimize.space import space_of
from atoll.optimize.staying import lacks, rank_in, steady


@dataclass(frozen=True, kw_only=True)
class Early:
    """A first answer.

    Attributes:
        sets: what the plans are over.
        plan: what is stayed with, grown where it falls short.
        kept: replicas that run and can stay, alone.
        is_whole: the plan in force or what can stay serves everything and keeps all limits.
    """

    sets: Sets
    plan: Plan
    kept: Plan
    is_whole: bool


def early(problem: Problem) -> Early | None:
    """The first answer; nothing where nothing runs that can stay.

    Args:
        problem: what is to be decided.
    """
    first = _of_few(problem, ())
    if first is None:
        return None
    still = {first.sets.demands[number].key for number in _lacking(first.sets, first.plan)}
    return (still and _of_few(problem, still)) or first


def over_few(problem: Problem, answer: Allocation) -> tuple[Sets, Plan] | None:
    """An answer as a plan over what runs, ran and is part of it; nothing where it does not fit."""
    groups = (*problem.running, *problem.former, *answer.replicas)
    space = space_of(of_templates(problem, groups))
    sets = sets_over(space, problem, choices_of(space, groups))
    plan = plan_of(sets, answer)
    return None if plan is None else (sets, plan)


def _of_few(problem: Problem, wide: Container[DemandKey]) -> Early | None:
    """The answer of running templates, and of all templates of some demands."""
    groups = (*problem.running, *problem.former)
    narrow = of_templates(problem, groups, wide)
    space = space_of(narrow)
    sets = sets_over(space, narrow, choices_of(space, groups))
    kept = running_plan(sets)
    if kept is not None and (lacking := _lacking(sets, kept)):
        more = (choice for choice in first_choices(space, narrow, ()) if choice[0] in lacking)
        sets = sets_over(space, narrow, list(dict.fromkeys([*choices_of(space, groups), *more])))
        kept = running_plan(sets)
    if kept is None:
        return None
    former = former_plan(sets, problem.former)
    stays = [plan for plan in (former, kept) if plan is not None]
    plans = [*stays, grown(sets, kept)]
    best = min(plans, key=lambda plan: rank_in(sets, plan))
    plan = steady(narrow, sets, Found(plans=plans), best, stays)
    is_whole = any(not lacks(sets, each) and not unserved(sets, each.counts).any() for each in stays)
    return Early(sets=sets, plan=plan, kept=kept, is_whole=is_whole)


def _lacking(sets: Sets, plan: Plan) -> set[int]:
    """Demands that fall short, or whose limits are broken."""
    short = unserved(sets, plan.counts)
    broken = (number for number in range(len(sets.demands)) if any(missing_of(sets, plan.counts, number)))
    return {*np.flatnonzero(short).tolist(), *broken}


def of_templates(problem: Problem, groups: Iterable[ReplicaGroup], wide: Container[DemandKey] = ()) -> Problem:
    """The same with the templates of these replicas alone.

    Args:
        problem: the whole one.
        groups: replicas.
        wide: demands that keep all of their templates.
    """
    own: dict[DemandKey, set[Strategy]] = {}
    for group in groups:
        own.setdefault(group.demand, set()).add(group.strategy)
    rows = (
        row
        if row.key in wide
        else replace(row, templates=tuple(each for each in row.templates if each.strategy in own.get(row.key, ())))
        for row in problem.demands
    )
    return replace(problem, demands=tuple(rows))
