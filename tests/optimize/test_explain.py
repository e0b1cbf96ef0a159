"""Explanations: what prices prove is held against the exact program, what is solved again against solving anew."""

import dataclasses
import math

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atoll.domain.demand import Loss
from atoll.domain.explanation import Basis, Bind, Explanation, WinningPrice
from atoll.domain.problem import Allocation, Problem
from atoll.optimize.explain import explain as explaining
from atoll.optimize.explain.explain import explain
from atoll.optimize.explain.ground import needs_of
from atoll.optimize.explain.prices import lifted, priced, prices_of
from atoll.optimize.highs import Limits, Solver
from atoll.optimize.indexing import sets_of
from atoll.optimize.matrix import compile_program
from atoll.optimize.program.build import FAMILIES, build
from atoll.optimize.program.linear import linear
from atoll.optimize.scarcity import FIX_TOLERANCE, shortfall_level
from atoll.optimize.sets import Sets
from atoll.optimize.solve import solve
from atoll.optimize.space import space_of
from optimize.fleets import ON_DEMAND, SPOT, key, problem, row, running, supply, template

KINDS = ["L4", "H100", "A100"]


@st.composite
def fleets(draw: st.DrawFn) -> Problem:
    supplies = [
        supply(
            draw(st.sampled_from(KINDS)),
            draw(st.sampled_from([1, 2, 4, 8])),
            float(draw(st.integers(0, 20))),
            nodes=draw(st.integers(1, 4)),
            zone=draw(st.sampled_from("ab")),
            capacity_type=draw(st.sampled_from([SPOT, ON_DEMAND])),
            pool=f"p{number}",
        )
        for number in range(draw(st.integers(1, 6)))
    ]
    rows = []
    for number in range(draw(st.integers(1, 3))):
        found = {}
        for _ in range(draw(st.integers(1, 4))):
            chosen = template(
                *draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=2)),
                tp=draw(st.sampled_from([1, 2, 4])),
                rate=draw(st.floats(0.3, 5.0)),
            )
            found[chosen.strategy] = chosen
        rate = draw(st.sampled_from([0.5, 1.0, 4.0, 9.0]))
        rows.append(row(f"m{number}", rate, *found.values(), priority=draw(st.integers(0, 1))))
    return problem(rows, supplies)


def exact_cost(case: Problem, held: Allocation, forced: tuple[int, int, int] | None = None) -> float:
    """Least cost with shortfalls no worse than an allocation's, over everything that can be chosen.

    Args:
        case: the problem.
        held: whose shortfall levels are held.
        forced: a demand, a template of it, and its least number of replicas.
    """
    sets = sets_of(case)

    def add_forced(program: pyo.ConcreteModel, sets: Sets) -> None:
        assert forced is not None
        demand, line, replicas = forced
        own = [
            (1.0, x) for c, x in zip(sets.columns, program.x.values(), strict=True) if c.choice[:2] == (demand, line)
        ]
        program.forced = pyo.Constraint(expr=linear(own) >= float(replicas))

    matrix = compile_program(build(sets, FAMILIES if forced is None else (*FAMILIES, add_forced)))
    upper = matrix.upper.copy()
    levels = {level.name: level.value for level in held.levels}
    for variable, priority in zip(matrix.columns["penalty"], sets.priorities, strict=True):
        upper[variable] = levels[shortfall_level(priority)] + FIX_TOLERANCE
    limits = Limits(seconds=60.0, gap=0.0)
    return Solver(matrix).minimise(matrix.objectives["cost"], matrix.lower, upper, limits).objective


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fleets())
def test_a_plan_that_is_forced_to_use_a_strategy_costs_its_reduced_cost_above_the_bound_at_least(case: Problem) -> None:
    answer, space = solve(case), space_of(case)
    prices = prices_of(space, needs_of(space, answer), lambda rounds: rounds < 30)
    assert prices.bound <= exact_cost(case, answer) + 1e-4

    for demand, menu in enumerate(space.menus):
        forced = prices.forced(demand)
        for line in range(len(menu.share)):
            if not menu.allowed[line].any():
                continue
            asked = (demand, line, int(forced.replicas[line]))
            cost = exact_cost(case, answer, asked)
            assert cost >= prices.bound + forced.reduced[line] - 1e-4, asked


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fleets(), st.integers(0, 5))
def test_one_more_node_saves_its_shadow_price_below_the_bound_at_most_where_it_admits_no_new_replicas(
    case: Problem, number: int
) -> None:
    answer, space = solve(case), space_of(case)
    prices = prices_of(space, needs_of(space, answer), lambda rounds: rounds < 30)
    this = space.supplies[number % len(space.supplies)]
    more = dataclasses.replace(this, obtainable=this.obtainable + 1)
    case = dataclasses.replace(case, supplies=tuple(more if item == this else item for item in case.supplies))
    wider = space_of(case)

    bound = priced(wider, prices.needs, prices.slots).bound

    assert exact_cost(case, answer) >= bound - 1e-4
    if all((a.allowed == b.allowed).all() for a, b in zip(space.menus, wider.menus, strict=True)):
        rent = sum(r for s, r in zip(space.supplies, prices.rents, strict=True) if s == this)
        assert bound == pytest.approx(prices.bound - rent, abs=1e-6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fleets(), st.integers(0, 2**32 - 1))
def test_lifting_prices_to_what_nodes_cost_never_lowers_the_bound(case: Problem, seed: int) -> None:
    space = space_of(case)
    shape = (len(space.places), len(space.rows))
    slots = np.random.default_rng(seed).choice([0.0, 0.0, 1.0, 5.0], size=shape)
    needs = np.ones(len(space.demands))

    before, after = priced(space, needs, slots), priced(space, needs, lifted(space, slots))

    if math.isfinite(before.bound):
        assert after.bound >= before.bound - 2e-4 * max(1.0, abs(before.bound))
    assert (after.rents <= before.rents + 1e-9).all()


def two_kinds(l4_price: float = 3.0, *, h100_nodes: int = 4) -> Problem:
    """One demand of 4 requests/s: two H100 nodes at 5 US$/h, or four L4 nodes."""
    on_h100, on_l4 = template("H100", rate=2.0), template("L4", rate=1.0)
    supplies = [supply("H100", 1, 5.0, nodes=h100_nodes), supply("L4", 1, l4_price, nodes=8)]
    return problem([row("chat", 4.0, on_h100, on_l4)], supplies)


def told(case: Problem, seconds: float = 60.0) -> Explanation:
    return explain(case, solve(case), seconds=seconds)


def test_the_next_best_strategy_costs_what_a_fleet_with_it_costs() -> None:
    """Half of the demand on two L4 nodes is 6 US$/h instead of the 5 of one H100 node."""
    explanation = told(two_kinds())

    (alternative,) = explanation.demands[key("chat")].alternatives
    assert set(alternative.strategy.need) == {"L4"}
    assert alternative.replicas == 2
    assert alternative.basis is Basis.RESOLVED
    assert alternative.more_per_hour == pytest.approx(1.0)
    assert alternative.least_per_hour == pytest.approx(1.0, abs=0.01)


def test_the_price_at_which_it_would_win_is_where_the_solver_turns_to_it() -> None:
    (alternative,) = told(two_kinds()).demands[key("chat")].alternatives

    price = alternative.wins_below
    assert isinstance(price, WinningPrice)
    assert price.below_per_hour == pytest.approx(2.5)
    for l4_price, kind in ((price.below_per_hour - 0.05, "L4"), (price.below_per_hour + 0.05, "H100")):
        used = {group.strategy.stages[0].gpu_kind for group in solve(two_kinds(l4_price)).replicas}
        assert used == {kind}


@pytest.fixture
def by_prices_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "EXPERIMENTS", 0)


@pytest.mark.usefixtures("by_prices_alone")
def test_prices_alone_tell_the_same_where_nothing_is_rounded() -> None:
    (alternative,) = told(two_kinds()).demands[key("chat")].alternatives

    assert alternative.basis is Basis.PRICES
    assert alternative.more_per_hour == pytest.approx(1.0, abs=0.01)
    assert alternative.least_per_hour == pytest.approx(1.0, abs=0.01)
    assert alternative.wins_below is not None
    assert alternative.wins_below.below_per_hour == pytest.approx(2.5, abs=0.01)


@pytest.mark.usefixtures("by_prices_alone")
def test_a_strategy_wins_at_no_price_of_nodes_that_are_all_in_use() -> None:
    """All A100 nodes serve the first demand; cheaper ones would be just as many."""
    on_a100, on_h100 = template("A100", rate=2.0), template("H100", rate=2.0)
    case = problem(
        [row("first", 4.0, on_a100), row("second", 2.0, on_a100, on_h100)],
        [supply("A100", 1, 1.0, nodes=2), supply("H100", 1, 5.0)],
    )

    (alternative,) = told(case).demands[key("second")].alternatives

    assert set(alternative.strategy.need) == {"A100"}
    assert alternative.wins_below is None


def test_what_serves_a_demand_in_the_main_is_no_alternative_to_itself() -> None:
    case = two_kinds()
    answer = solve(case)

    explanation = explain(case, answer, seconds=60.0)

    used = {group.strategy for group in answer.replicas}
    assert used.isdisjoint(item.strategy for item in explanation.demands[key("chat")].alternatives)


def test_alternatives_are_one_for_each_set_of_gpu_kinds_cheapest_first_and_no_more_than_asked_for() -> None:
    chosen = template("H100", rate=4.0)
    others = [template(*kinds, rate=1.0) for kinds in (["L4"], ["L4", "L4"], ["A100"], ["L4", "A100"])]
    supplies = [supply(kind, 1, 3.0, nodes=8) for kind in KINDS]
    case = problem([row("chat", 4.0, chosen, *others)], supplies)

    explained = explain(case, solve(case), seconds=60.0, most=2).demands[key("chat")].alternatives

    assert [set(item.strategy.need) for item in explained] in ([{"L4"}, {"A100"}], [{"A100"}, {"L4"}])
    assert explained[0].more_per_hour <= explained[1].more_per_hour


def test_one_more_node_of_what_is_used_up_saves_the_difference_to_what_is_used_instead() -> None:
    """One cheap node is used up and the dear ones are not: their shadow price is zero."""
    case = problem(
        [row("chat", 2.0, template("H100", rate=1.0))],
        [supply("H100", 1, 2.0, nodes=1, pool="cheap"), supply("H100", 1, 5.0, nodes=4, pool="dear")],
    )

    (worth,) = told(case).nodes

    assert worth.offering.pool == "cheap"
    assert worth.basis is Basis.RESOLVED
    assert worth.saves_per_hour == pytest.approx(3.0)
    assert worth.most_per_hour == pytest.approx(3.0, abs=0.01)
    assert worth.obtainable == 1


@pytest.mark.usefixtures("by_prices_alone")
def test_nodes_that_are_left_are_worth_nothing_more() -> None:
    assert told(two_kinds(h100_nodes=4)).nodes == ()


def test_where_a_demand_is_short_one_more_node_serves_more() -> None:
    case = problem([row("chat", 4.0, template("H100", rate=1.0))], [supply("H100", 1, 5.0, nodes=2)])

    explanation = told(case)

    (worth,) = explanation.nodes
    assert worth.serves == pytest.approx(1.0, abs=0.001)
    assert worth.saves_per_hour == pytest.approx(-5.0)
    (binding,) = explanation.demands[key("chat")].bindings
    assert binding.limit is Bind.AVAILABILITY


@pytest.mark.parametrize(
    ("limit", "placement"),
    [
        (Bind.SPOT_SHARE, {"spot_share": 0.5}),
        (Bind.MIN_REPLICAS, {"min_replicas": 6}),
        (Bind.MIN_DOMAINS, {"min_domains": 2}),
        (Bind.SURVIVE, {"survive": Loss.ZONE, "survive_share": 0.5}),
        (Bind.PREFERENCE, {"preference": (ON_DEMAND,)}),
        (Bind.REGIONS, {"regions": frozenset({"north"})}),
        (Bind.CAPACITY_TYPES, {"capacity_types": frozenset({ON_DEMAND})}),
    ],
)
def test_a_limit_that_binds_is_named_with_what_the_fleet_saves_without_it(
    limit: Bind, placement: dict[str, object]
) -> None:
    south = dataclasses.replace(supply("H100", 1, 0.5, zone="c", capacity_type=SPOT, pool="south"), region="south")
    here = supply("H100", 1, 1.0, nodes=9, capacity_type=SPOT, pool="spot")
    supplies = [
        here,
        supply("H100", 1, 4.0, nodes=9, pool="steady"),
        supply("H100", 1, 7.0, nodes=9, zone="b", capacity_type=SPOT, pool="far"),
        *([south] if limit is Bind.REGIONS else []),
    ]
    asked = row("chat", 4.0, template("H100", rate=1.0), **placement)
    free = dataclasses.replace(asked, placement=row("chat", 4.0).placement)

    explanation = told(problem([asked], supplies))

    saved = solve(problem([asked], supplies)).cost_per_hour - solve(problem([free], supplies)).cost_per_hour
    (binding,) = [b for b in explanation.demands[key("chat")].bindings if b.limit is limit]
    assert saved > 0.4
    assert binding.saves_per_hour == pytest.approx(saved)


def test_a_cheaper_strategy_that_is_not_worth_the_move_is_told_as_such() -> None:
    """H100 runs and is kept for 1 % more: half of it on L4 would be cheaper, and neither's figure hangs on the move."""
    on_h100, on_l4 = template("H100", rate=2.0), template("L4", rate=2.0)
    h100, l4 = supply("H100", 1, 5.05), supply("L4", 1, 5.0, nodes=8)
    case = problem(
        [row("chat", 4.0, on_h100, on_l4)], [h100, l4], [running("chat", on_h100, h100, count=2)], saving_tolerance=0.05
    )

    (alternative,) = told(case).demands[key("chat")].alternatives

    assert set(alternative.strategy.need) == {"L4"}
    assert alternative.more_per_hour == pytest.approx(-0.1)
    assert alternative.wins_below is None


def test_what_is_no_first_choice_is_no_alternative_while_the_first_choice_can_be_had() -> None:
    on_h100, on_l4 = template("H100", rate=2.0), template("L4", rate=2.0)
    supplies = [supply("H100", 1, 5.0), supply("L4", 1, 4.0, capacity_type=SPOT), supply("L4", 1, 9.0, pool="steady")]
    case = problem([row("chat", 4.0, on_h100, on_l4, preference=(ON_DEMAND,))], supplies)

    (alternative,) = told(case).demands[key("chat")].alternatives

    assert alternative.more_per_hour == pytest.approx(4.0)
    assert alternative.wins_below is not None
    assert alternative.wins_below.offering.pool == "steady"


def test_what_the_solver_missed_is_not_put_down_to_a_change() -> None:
    """The allocation is not the best there is: what the search then finds beside one more node is not the node's."""
    case = problem(
        [row("chat", 3.0, template("H100", rate=1.0))],
        [supply("H100", 1, 2.0, nodes=2, pool="cheap"), supply("H100", 1, 5.0, nodes=4, pool="dear")],
    )
    best = solve(case)
    cheap = next(use for use in best.nodes if use.supply.offering.pool == "cheap")
    dear = next(use for use in best.nodes if use.supply.offering.pool == "dear")
    groups = tuple(
        dataclasses.replace(g, count={"cheap": 2, "dear": 2}[g.site.offerings[0].pool]) for g in best.replicas
    )
    worse = dataclasses.replace(
        best,
        replicas=groups,
        nodes=(cheap, dataclasses.replace(dear, nodes=2)),
        cost_per_hour=14.0,
        levels=(*best.levels[:-1], dataclasses.replace(best.levels[-1], value=14.0)),
    )

    (worth,) = explain(case, worse, seconds=60.0).nodes

    assert worth.saves_per_hour == pytest.approx(3.0)


def test_where_shortfalls_could_be_less_nothing_is_claimed_of_one_more_node_but_what_it_could_carry() -> None:
    case = problem([row("chat", 4.0, template("H100", rate=1.0))], [supply("H100", 1, 5.0, nodes=2)])
    best = solve(case)
    (group,), (use,) = best.replicas, best.nodes
    worse = dataclasses.replace(
        best,
        replicas=(dataclasses.replace(group, count=1),),
        nodes=(dataclasses.replace(use, nodes=1),),
        shortfall={key("chat"): 3.0},
        cost_per_hour=5.0,
        levels=tuple(dataclasses.replace(level, proven=False) for level in best.levels),
    )
    none = supply("H100", 2, 7.0, nodes=0, pool="none")

    (worth,) = explain(dataclasses.replace(case, supplies=(*case.supplies, none)), worse, seconds=60.0).nodes

    assert worth.basis is Basis.PRICES
    assert worth.serves == pytest.approx(2.0)
    assert worth.saves_per_hour == pytest.approx(-7.0)


def test_limits_that_cost_nothing_are_not_named() -> None:
    case = problem(
        [row("chat", 4.0, template("H100", rate=1.0), min_replicas=3, spot_share=0.9)],
        [supply("H100", 1, 5.0, nodes=9)],
    )

    assert told(case).demands[key("chat")].bindings == ()


def test_only_demands_that_are_asked_for_are_explained() -> None:
    rows = [row(name, 2.0, template("H100", rate=1.0), template("L4", rate=0.5)) for name in ("a", "b")]
    case = problem(rows, [supply("H100", 1, 2.0, nodes=9), supply("L4", 1, 2.0, nodes=9)])

    explanation = explain(case, solve(case), seconds=60.0, demands=[key("b")])

    assert list(explanation.demands) == [key("b")]


def test_with_a_budget_of_work_the_explanation_is_the_same_every_time() -> None:
    case = two_kinds()
    answer = solve(case)

    first, second = (explain(case, answer, seconds=0.0, clock=lambda: 0.0) for _ in range(2))

    assert first == second
    assert first.demands[key("chat")].alternatives


@pytest.mark.parametrize(
    "case",
    [
        problem([], []),
        problem([row("idle", 0.0, template("H100"))], [supply("H100", 1, 5.0)]),
        problem([row("chat", 1.0, template("H100"))], []),
        problem([row("chat", 1.0, template("H100"))], [supply("H100", 1, 5.0, nodes=0)]),
        problem([row("chat", 1.0)], [supply("H100", 1, 5.0)]),
    ],
)
def test_what_cannot_be_explained_is_explained_by_nothing(case: Problem) -> None:
    explanation = explain(case, solve(case), seconds=1.0)

    assert not any(item.alternatives for item in explanation.demands.values())
    assert explanation.nodes == ()


def test_prices_of_many_places_come_from_pooled_ones_and_hold_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "EXACT_DOMAINS", -1)

    explanation = told(two_kinds())

    (alternative,) = explanation.demands[key("chat")].alternatives
    assert explanation.bound_per_hour == pytest.approx(10.0, abs=0.01)
    assert alternative.more_per_hour == pytest.approx(1.0)
