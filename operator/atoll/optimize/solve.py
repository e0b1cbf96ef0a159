"""Stage two: the cheapest nodes and replicas for all demands together, with a proof of how near that is."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from atoll.domain.demand import DemandKey
from atoll.domain.problem import Allocation, Problem
from atoll.domain.reason import Reason
from atoll.optimize.check import check
from atoll.optimize.decomposition import Decomposition
from atoll.optimize.draft import Draft, draft_of, plan_in
from atoll.optimize.effort import Effort
from atoll.optimize.generation import list_prices
from atoll.optimize.greedy import greedy
from atoll.optimize.options import varied
from atoll.optimize.placement import Placed, place
from atoll.optimize.plan import Plan, fits, level_values, missing_of, rank_of, unserved
from atoll.optimize.residual import residual
from atoll.optimize.running import grown, move_cost, running_plan
from atoll.optimize.scarcity import BUDGET, COST, FIX_TOLERANCE, PREFERENCE
from atoll.optimize.search import Found, Search, levels_of
from atoll.optimize.sets import Sets, sets_over
from atoll.optimize.space import Choice, Domain, Place, Space, space_of

WHOLE = 1500
"""Choices up to which the whole program is searched at once; beyond, the fleet is decomposed by demand."""

FIRST_TEMPLATES = 8
FIRST_PLACES = 12
"""Templates of each demand, and places of each of them, that the first plan of a large fleet is made of."""


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
    space = space_of(problem)
    whole = space.size <= WHOLE
    sets = sets_over(space, problem, space.choices() if whole else first_choices(space, problem, incumbents))
    known = _known(problem, space, sets, incumbents)
    found = Found(plans=list(known.plans))
    early = allocation_of(
        sets, found, _steady(problem, sets, found, known.best, known.stays), effort.gap, clock() - began
    )
    if not check(problem, early):
        tell(early)
    if known.kept is not None and all(_lacks(sets, plan) for plan in known.stays):
        incumbents = (*incumbents, _regrown(problem, place(sets, known.kept), clock))
        sets = sets if whole else sets_over(space, problem, first_choices(space, problem, incumbents))
        known = _known(problem, space, sets, incumbents)
        found = Found(plans=list(known.plans))
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
        best, safe = min(found.plans, key=lambda plan: _rank(sets, plan)), found.plans[1]
    choices = [_steady(problem, sets, found, best, stays), best, safe]
    faults: dict[str, tuple[str, ...]] = {}
    for plan in choices:
        answer = allocation_of(sets, found, plan, effort.gap, clock() - began)
        faults[plan.origin] = check(problem, answer)
        if not faults[plan.origin]:
            return answer
    raise AllocationError(faults)


@dataclass(frozen=True, kw_only=True)
class _Known:
    """Plans before any search: a greedy one, what runs and that grown, the plan in force, and incumbents."""

    safe: Plan
    kept: Plan | None
    former: Plan | None
    plans: list[Plan]
    best: Plan

    @property
    def stays(self) -> list[Plan]:
        return [plan for plan in (self.former, self.kept) if plan is not None]


def _known(problem: Problem, space: Space, sets: Sets, incumbents: Sequence[Allocation]) -> _Known:
    safe, kept, former = greedy(sets), running_plan(sets), former_plan(problem, space, sets)
    proposed = (former, *(plan_of(sets, answer) for answer in incumbents))
    plans = [
        safe,
        *([] if kept is None else [kept, grown(sets, kept)]),
        *(plan for plan in proposed if plan is not None),
    ]
    return _Known(safe=safe, kept=kept, former=former, plans=plans, best=min(plans, key=lambda plan: _rank(sets, plan)))


def _regrown(problem: Problem, kept: Placed, clock: Callable[[], float]) -> Allocation:
    """What can stay, and the best that is found for the rest beside it."""
    left = residual(problem, kept)
    return left.joined(solve(left.problem, clock=clock))


def allocation_of(sets: Sets, found: Found, plan: Plan, gap: float, seconds: float) -> Allocation:
    """A plan, placed and with everything that is published about it.

    Args:
        sets: what the plan is over.
        found: bounds.
        plan: that fits.
        gap: at which cost counts as proven, as a share.
        seconds: spent so far.
    """
    placed = place(sets, plan)
    settled = _as_placed(sets, plan, placed)
    levels = levels_of(sets, found, settled, gap)
    missing = unserved(sets, settled.counts)
    return Allocation(
        replicas=placed.replicas,
        nodes=placed.nodes,
        shortfall={
            wanted.key: float(missing[number]) * wanted.rate
            for number, wanted in enumerate(sets.demands)
            if missing[number] > 0.0
        },
        cost_per_hour=(price := _price(placed)),
        bound_per_hour=min(price, levels[-1].bound),
        levels=levels,
        unmet=_unmet(sets, settled),
        solver=plan.origin,
        solve_seconds=seconds,
    )


def plan_of(sets: Sets, allocation: Allocation) -> Plan | None:
    """An allocation as a plan of these sets; nothing where it uses what they do not have."""
    counts = np.zeros(len(sets.columns), dtype=np.int64)
    nodes = np.zeros(len(sets.supplies), dtype=np.int64)
    region_of = {supply.offering: supply.region for supply in sets.supplies}
    column_of = {
        (sets.demands[c.demand].key, c.label, c.domain.region, c.domain.zone, c.capacity_type): number
        for number, c in enumerate(sets.columns)
    }
    supply_of = {supply: number for number, supply in enumerate(sets.supplies)}
    for group in allocation.replicas:
        first = group.site.offerings[0]
        where = (region_of.get(first, ""), first.zone, first.capacity_type)
        column = column_of.get((group.demand, group.strategy.id, *where))
        if column is None:
            return None
        counts[column] += group.count
    for use in allocation.nodes:
        if use.supply not in supply_of:
            return None
        nodes[supply_of[use.supply]] += use.nodes
    plan = Plan(counts=counts, nodes=nodes, origin="program")
    return plan if (counts <= sets.upper).all() and fits(sets, plan) else None


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


def first_choices(space: Space, problem: Problem, incumbents: Sequence[Allocation]) -> list[Choice]:
    """What a first plan is made of, and what runs, ran or is proposed: few of many choices."""
    number_of = {wanted.key: number for number, wanted in enumerate(space.demands)}
    region_of = {supply.offering: supply.region for supply in space.supplies}
    place_number = {place: number for number, place in enumerate(space.places)}
    choices = varied(space, list_prices(space), templates=FIRST_TEMPLATES, places=FIRST_PLACES)
    proposed = [group for answer in incumbents for group in answer.replicas]
    for group in (*problem.running, *problem.former, *proposed):
        first = group.site.offerings[0]
        domain = Domain(region=region_of.get(first, ""), zone=first.zone)
        place = place_number.get(Place(domain=domain, capacity_type=first.capacity_type))
        demand = number_of.get(group.demand)
        if demand is None or place is None:
            continue
        menu, templates = space.menus[demand], space.demands[demand].templates
        choices += [
            (demand, line, place)
            for line, number in enumerate(menu.templates.tolist())
            if menu.allowed[line, place] and templates[number].strategy == group.strategy
        ]
    return list(dict.fromkeys(choices))


def former_plan(problem: Problem, space: Space, sets: Sets) -> Plan | None:
    """The plan in force as it was decided, what is lost of it at its old place; nothing where that place is gone."""
    wanted = sets_over(space, replace(problem, running=problem.former), [column.choice for column in sets.columns])
    plan = running_plan(wanted) if problem.former else None
    if plan is None:
        return None
    placed = place(wanted, plan)
    answer = Allocation(
        replicas=placed.replicas, nodes=placed.nodes, shortfall={}, cost_per_hour=_price(placed), bound_per_hour=0.0
    )
    return plan_of(sets, answer)


def _steady(problem: Problem, sets: Sets, found: Found, best: Plan, stays: Sequence[Plan]) -> Plan:
    """What is to be stayed with, unless the best plan is worth the move.

    That is the plan in force while it still serves everything: in the middle of a move (or after a restart there) the
    move goes on to its end. Else it is what runs, grown where it falls short by the cheapest known replicas that take
    none out.

    Args:
        problem: for its policy and what a start costs.
        sets: what plans are over.
        found: all known plans.
        best: the cheapest.
        stays: the plan in force and what runs, as far as they exist.
    """
    if not stays:
        return best
    whole = (plan for plan in stays if not _lacks(sets, plan))
    stay = next(whole, None)
    if stay is None:
        kept = stays[-1]
        grown_ones = [p for p in found.plans if (p.counts >= kept.counts).all() and (p.nodes >= kept.nodes).all()]
        stay = min(grown_ones, key=lambda plan: _rank(sets, plan))
    values_stay, values_best = level_values(sets, stay), level_values(sets, best)
    above_stay, above_best = _above(values_stay), _above(values_best)
    if above_stay != above_best:
        return best if above_best < above_stay else stay
    if values_stay[PREFERENCE] - values_best[PREFERENCE] > problem.policy.saving_tolerance:
        return best
    placed_stay, placed_best = place(sets, stay), place(sets, best)
    now, then = _price(placed_stay) + _short(sets, stay), _price(placed_best) + _short(sets, best)
    move = max(0.0, move_cost(problem, placed_best) - move_cost(problem, placed_stay))
    policy = problem.policy
    worth = now - then > policy.saving_tolerance * now and (now - then) * policy.horizon_hours > move
    return best if worth else stay


def _lacks(sets: Sets, plan: Plan) -> bool:
    wishes = (PREFERENCE, COST)
    return any(value > FIX_TOLERANCE for name, value in level_values(sets, plan).items() if name not in wishes)


def _above(values: Mapping[str, float]) -> tuple[float, ...]:
    """Levels above preference: what no saving makes up for."""
    return rank_of({name: value for name, value in values.items() if name != PREFERENCE})[:-1]


def _rank(sets: Sets, plan: Plan) -> tuple[float, ...]:
    return rank_of(level_values(sets, plan))


def _short(sets: Sets, plan: Plan) -> float:
    """US$/h of the shortfall that has a price."""
    return level_values(sets, plan)[COST] - float(sets.price @ plan.nodes)


def _price(placed: Placed) -> float:
    return sum(use.nodes * use.supply.price_per_hour for use in placed.nodes)


def _as_placed(sets: Sets, plan: Plan, placed: Placed) -> Plan:
    """The plan without nodes that nothing was put on."""
    number_of = {supply: number for number, supply in enumerate(sets.supplies)}
    nodes = np.zeros_like(plan.nodes)
    for use in placed.nodes:
        nodes[number_of[use.supply]] += use.nodes
    return Plan(counts=plan.counts, nodes=nodes, origin=plan.origin)


def _unmet(sets: Sets, plan: Plan) -> dict[DemandKey, tuple[str, ...]]:
    """Limits that are broken or take service away; a budget is the fleet's and named on every demand that costs."""
    over = level_values(sets, plan)[BUDGET] > FIX_TOLERANCE
    stopped = _stopped_by_quota(sets, plan)
    unmet = {}
    for number, wanted in enumerate(sets.demands):
        missing = missing_of(sets, plan.counts, number)
        reasons = [
            reason
            for reason, broken in (
                (Reason.QUOTA_REACHED, number in stopped),
                (Reason.SPOT_SHARE_UNMET, missing.spot > 0.0),
                (Reason.MIN_REPLICAS_UNMET, missing.replicas > 0),
                (Reason.MIN_DOMAINS_UNMET, missing.domains > 0),
                (Reason.SURVIVE_UNMET, missing.exposed > 0.0),
                (Reason.OVER_BUDGET, over and bool(plan.counts[sets.demand_of == number].any())),
            )
            if broken
        ]
        if reasons:
            unmet[wanted.key] = tuple(map(str, reasons))
    return unmet


def _stopped_by_quota(sets: Sets, plan: Plan) -> set[int]:
    """Demands that fall short where a further replica would find nodes, or none was looked for, but no quota."""
    missing, left = unserved(sets, plan.counts), sets.quota_left(plan.counts)
    spare = sets.obtainable @ sets.slots - sets.load_of(plan.counts)
    stopped = set()
    for number, wanted in enumerate(sets.demands):
        rest = left.get(wanted.key.namespace)
        if rest is None or missing[number] <= 0.0:
            continue
        least = min((template.strategy.gpus for template in wanted.templates), default=0)
        columns = np.flatnonzero((sets.demand_of == number) & (sets.gpus > rest)).tolist()
        if least > rest or any(all(spare[r] >= n for r, n in sets.loads[column].items()) for column in columns):
            stopped.add(number)
    return stopped
