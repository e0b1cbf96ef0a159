"""Plans that are known before any search, and what they are made of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from atoll.domain.problem import Allocation, Problem, ReplicaGroup
from atoll.domain.strategy import Strategy
from atoll.optimize.answer import plan_of
from atoll.optimize.generation import list_prices
from atoll.optimize.greedy import greedy
from atoll.optimize.options import varied
from atoll.optimize.plan import Plan
from atoll.optimize.running import grown, running_plan
from atoll.optimize.sets import Sets
from atoll.optimize.space import Choice, Domain, Place, Space
from atoll.optimize.staying import rank_in

FIRST_TEMPLATES = 8
FIRST_PLACES = 12
"""Templates of each demand, and places of each of them, that the first plan of a large fleet is made of."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """Plans before any search: a greedy one, what runs and that grown, the plan in force, and incumbents."""

    safe: Plan
    kept: Plan | None
    former: Plan | None
    plans: list[Plan]
    best: Plan

    @property
    def stays(self) -> list[Plan]:
        """What may be stayed with: the plan in force, then what runs."""
        return [plan for plan in (self.former, self.kept) if plan is not None]


def known_plans(problem: Problem, sets: Sets, incumbents: Sequence[Allocation]) -> Known:
    """All that is known.

    Args:
        problem: for the plan in force.
        sets: what plans are over.
        incumbents: known answers, such as the baseline's.
    """
    safe, kept, former = greedy(sets), running_plan(sets), former_plan(sets, problem.former)
    proposed = (former, *(plan_of(sets, answer) for answer in incumbents))
    plans = [
        safe,
        *([] if kept is None else [kept, grown(sets, kept)]),
        *(plan for plan in proposed if plan is not None),
    ]
    return Known(
        safe=safe, kept=kept, former=former, plans=plans, best=min(plans, key=lambda plan: rank_in(sets, plan))
    )


def first_choices(space: Space, problem: Problem, incumbents: Sequence[Allocation]) -> list[Choice]:
    """What a first plan is made of, and what runs, ran or is proposed: few of many choices.

    Args:
        space: of the problem.
        problem: for what runs and ran.
        incumbents: what is proposed.
    """
    choices = varied(space, list_prices(space), templates=FIRST_TEMPLATES, places=FIRST_PLACES)
    return list(dict.fromkeys([*choices, *proposed_choices(space, problem, incumbents)]))


def proposed_choices(space: Space, problem: Problem, incumbents: Sequence[Allocation]) -> list[Choice]:
    """What runs, ran or is proposed alone; arguments as in ``first_choices``."""
    proposed = (group for answer in incumbents for group in answer.replicas)
    return choices_of(space, (*problem.running, *problem.former, *proposed))


def choices_of(space: Space, groups: Iterable[ReplicaGroup]) -> list[Choice]:
    """Those of replicas that run, ran or are proposed, as far as there are any."""
    number_of = {wanted.key: number for number, wanted in enumerate(space.demands)}
    region_of = {supply.offering: supply.region for supply in space.supplies}
    place_number = {place: number for number, place in enumerate(space.places)}
    lines: dict[int, dict[Strategy, int]] = {}
    choices: list[Choice] = []
    for group in groups:
        first = group.site.offerings[0]
        domain = Domain(region=region_of.get(first, ""), zone=first.zone)
        place = place_number.get(Place(domain=domain, capacity_type=first.capacity_type))
        demand = number_of.get(group.demand)
        if demand is None or place is None:
            continue
        menu, templates = space.menus[demand], space.demands[demand].templates
        if demand not in lines:
            lines[demand] = {templates[number].strategy: line for line, number in enumerate(menu.templates.tolist())}
        line = lines[demand].get(group.strategy)
        if line is not None and menu.allowed[line, place]:
            choices.append((demand, line, place))
    return list(dict.fromkeys(choices))


def former_plan(sets: Sets, former: Sequence[ReplicaGroup]) -> Plan | None:
    """The plan in force as it was decided, what is lost of it at its old place; nothing where that place is gone.

    Args:
        sets: what can be had.
        former: replicas of that plan.
    """
    wanted = sets.with_running(former)
    counts = np.zeros(len(sets.columns), dtype=np.int64)
    for running in wanted.running:
        counts[running.column] += running.group.count
    plan = running_plan(wanted) if (counts <= sets.upper).all() else None
    return None if plan is None else replace(plan, origin="program")
