"""Whether to stay with what runs or with the plan in force, or to move (design section 5, stability)."""

from collections.abc import Mapping, Sequence

from atoll.domain.problem import Problem
from atoll.optimize.answer import price_of
from atoll.optimize.placement import place
from atoll.optimize.plan import Plan, level_values, rank_of
from atoll.optimize.running import move_cost
from atoll.optimize.scarcity import COST, FIX_TOLERANCE, PREFERENCE
from atoll.optimize.search import Found
from atoll.optimize.sets import Sets


def steady(problem: Problem, sets: Sets, found: Found, best: Plan, stays: Sequence[Plan]) -> Plan:
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
    whole = (plan for plan in stays if not lacks(sets, plan))
    stay = next(whole, None)
    if stay is None:
        kept = stays[-1]
        grown_ones = [p for p in found.plans if (p.counts >= kept.counts).all() and (p.nodes >= kept.nodes).all()]
        stay = min(grown_ones, key=lambda plan: rank_in(sets, plan))
    if stay is best:
        return best
    values_stay, values_best = level_values(sets, stay), level_values(sets, best)
    above_stay, above_best = _above(values_stay), _above(values_best)
    if above_stay != above_best:
        return best if above_best < above_stay else stay
    if values_stay[PREFERENCE] - values_best[PREFERENCE] > problem.policy.saving_tolerance:
        return best
    placed_stay, placed_best = place(sets, stay), place(sets, best)
    now, then = price_of(placed_stay) + _short(sets, stay), price_of(placed_best) + _short(sets, best)
    move = max(0.0, move_cost(problem, placed_best) - move_cost(problem, placed_stay))
    policy = problem.policy
    worth = now - then > policy.saving_tolerance * now and (now - then) * policy.horizon_hours > move
    return best if worth else stay


def lacks(sets: Sets, plan: Plan) -> bool:
    """Whether a plan falls short or breaks a limit; wishes do not count."""
    wishes = (PREFERENCE, COST)
    return any(value > FIX_TOLERANCE for name, value in level_values(sets, plan).items() if name not in wishes)


def _above(values: Mapping[str, float]) -> tuple[float, ...]:
    """Levels above preference: what no saving makes up for."""
    return rank_of({name: value for name, value in values.items() if name != PREFERENCE})[:-1]


def rank_in(sets: Sets, plan: Plan) -> tuple[float, ...]:
    """Values of all levels, the highest first: the lesser is the better plan."""
    return rank_of(level_values(sets, plan))


def _short(sets: Sets, plan: Plan) -> float:
    """US$/h of the shortfall that has a price."""
    return level_values(sets, plan)[COST] - float(sets.price @ plan.nodes)
