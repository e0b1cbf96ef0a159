"""Demands whose replicas serve less than their sum: prefill and decode in pairs, size classes."""

import dataclasses
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atoll.domain.architecture import Quantisation
from atoll.domain.demand import Loss
from atoll.domain.problem import Allocation, Problem
from atoll.domain.reason import Reason
from atoll.domain.strategy import Phase, Template
from atoll.optimize import decomposition
from atoll.optimize import solve as solving
from atoll.optimize.check import check
from atoll.optimize.greedy import greedy
from atoll.optimize.indexing import sets_of
from atoll.optimize.plan import fits
from atoll.optimize.solve import solve
from optimize.fleets import ON_DEMAND, SPOT, cheapest, key, problem, quota, row, supply, template

PREFILL = template("H100", rate=4.0, phase=Phase.PREFILL)
DECODE = template("L4", rate=2.0, phase=Phase.DECODE)
WHOLE = template("H100", rate=1.0)
L4 = supply("L4", 1, 1.0, nodes=8)
H100 = supply("H100", 1, 4.0, nodes=8)


def of_phase(answer: Allocation) -> dict[Phase | None, int]:
    return {group.strategy.phase: group.count for group in answer.replicas}


def test_prefill_and_decode_serve_in_pairs_where_that_is_cheaper() -> None:
    answer = solve(problem([row("a", 4.0, PREFILL, DECODE, WHOLE)], [L4, H100]))
    assert of_phase(answer) == {Phase.PREFILL: 1, Phase.DECODE: 2}
    assert answer.cost_per_hour == 6.0


def test_one_side_alone_serves_nothing_and_is_not_paid_for() -> None:
    answer = solve(problem([row("a", 4.0, PREFILL, DECODE)], [H100]))
    assert (answer.replicas, dict(answer.shortfall)) == ((), {key("a"): 4.0})


@pytest.mark.parametrize(
    ("decode", "zone"),
    [
        (dataclasses.replace(DECODE), "b"),
        (template("L4", rate=2.0, phase=Phase.DECODE, quantisation=Quantisation.FP8), "a"),
    ],
    ids=["another zone", "another variant"],
)
def test_sides_that_cannot_hand_over_make_no_pair(decode: Template, zone: str) -> None:
    there = dataclasses.replace(L4, offering=dataclasses.replace(L4.offering, zone=zone))
    answer = solve(problem([row("a", 4.0, PREFILL, decode)], [there, H100]))
    assert dict(answer.shortfall) == {key("a"): 4.0}


def test_pairs_may_be_of_two_capacity_types() -> None:
    spot = dataclasses.replace(L4, offering=dataclasses.replace(L4.offering, capacity_type=SPOT))
    answer = solve(problem([row("a", 4.0, PREFILL, DECODE)], [spot, H100]))
    assert dict(answer.shortfall) == {}


def test_loss_of_one_side_is_survived() -> None:
    answer = solve(problem([row("a", 4.0, PREFILL, DECODE, survive=Loss.REPLICA)], [L4, H100]))
    assert of_phase(answer) == {Phase.PREFILL: 2, Phase.DECODE: 3}
    assert dict(answer.unmet) == {}


def test_size_classes_go_to_the_kind_that_is_best_at_them() -> None:
    long_best, short_best = template("H100", class_rates=(4.0, 4.0)), template("L4", class_rates=(2.0, 0.25))
    answer = solve(problem([row("a", 8.0, long_best, short_best, classes=(4.0, 4.0))], [L4, H100]))
    assert {group.strategy.stages[0].gpu_kind: group.count for group in answer.replicas} == {"H100": 1, "L4": 2}
    assert answer.cost_per_hour == 6.0


def test_class_that_no_template_serves_is_short_and_the_rest_is_served() -> None:
    short_only = template("L4", class_rates=(2.0, 0.0))
    answer = solve(problem([row("a", 8.0, short_only, classes=(6.0, 2.0))], [L4]))
    assert dict(answer.shortfall) == {key("a"): pytest.approx(2.0)}
    assert [group.count for group in answer.replicas] == [3]


def test_check_finds_out_what_does_not_serve_as_much_as_it_says() -> None:
    paired = problem([row("a", 4.0, PREFILL, DECODE)], [L4, H100])
    good = solve(paired)
    fewer = dataclasses.replace(good, replicas=good.replicas[:1])
    assert any("served" in fault for fault in check(paired, fewer))
    classed = problem([row("a", 8.0, template("L4", class_rates=(4.0, 1.0)), classes=(4.0, 4.0))], [L4])
    answer = solve(classed)
    assert [group.count for group in answer.replicas] == [5]
    group = dataclasses.replace(answer.replicas[0], count=4)
    assert any("served" in fault for fault in check(classed, dataclasses.replace(answer, replicas=(group,))))
    hard = problem([row("a", 4.0, PREFILL, DECODE, survive=Loss.REPLICA)], [L4, H100])
    assert check(hard, good) == (f"shop/a: {Reason.SURVIVE_UNMET} is not reported",)


KINDS = ["L4", "H100"]
LIMITS = [
    {},
    {},
    {"spot_share": 0.5},
    {"min_domains": 2},
    {"preference": (ON_DEMAND,)},
    {"survive": Loss.REPLICA, "survive_share": 0.5},
    {"survive": Loss.ZONE, "survive_share": 0.5},
    {"survive": Loss.SPOT_POOL},
]


@st.composite
def mixed_problems(draw: st.DrawFn, *, most: int = 4) -> Problem:
    """One demand with pairs or classes, few columns: at most four templates in at most two places."""
    places = draw(st.permutations([(zone, terms) for zone in "ab" for terms in (SPOT, ON_DEMAND)]))
    several = draw(st.booleans())
    supplies = [
        supply(
            kind,
            draw(st.sampled_from([1, 2, 4])),
            float(draw(st.integers(0, 9))),
            nodes=draw(st.integers(0, 2)),
            zone=place[0],
            capacity_type=place[1],
        )
        for place in places[: 1 + several]
        for kind in KINDS
    ]
    classes = draw(st.booleans())
    found = {}
    for _ in range(draw(st.integers(1, most // (1 + several)))):
        chosen = template(
            draw(st.sampled_from(KINDS)),
            tp=draw(st.sampled_from([1, 2])),
            rate=draw(st.sampled_from([0.7, 1.0, 2.5])),
            phase=None if classes else draw(st.sampled_from([None, Phase.PREFILL, Phase.DECODE])),
            quantisation=draw(st.sampled_from([Quantisation.BF16, Quantisation.BF16, Quantisation.FP8])),
            class_rates=(draw(st.sampled_from([0.0, 0.7, 2.0])), draw(st.sampled_from([0.5, 1.5]))) if classes else (),
        )
        found[chosen.strategy] = chosen
    share = draw(st.sampled_from([0.0, 0.3, 0.5]))
    rate = draw(st.sampled_from([0.3, 0.5, 1.0]))
    wish = draw(st.sampled_from(LIMITS))
    quotas = draw(st.sampled_from([(), (), (), (quota(3),)]))
    own = row("a", rate, *found.values(), classes=(rate * share, rate * (1.0 - share)) if classes else (), **wish)
    return problem([own], supplies, quotas=quotas)


def agrees(case: Problem, answer: Allocation) -> None:
    want_levels, want_cost = cheapest(case)
    assert check(case, answer) == ()
    assert tuple(level.value for level in answer.levels[:-1]) == pytest.approx(want_levels, abs=2e-5)
    assert answer.cost_per_hour == pytest.approx(want_cost, rel=2e-4, abs=1e-9)
    assert answer.bound_per_hour <= want_cost + 1e-9


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(mixed_problems())
def test_mixed_problems_reach_the_optimum_found_by_enumeration(case: Problem) -> None:
    agrees(case, solve(case))


@pytest.mark.parametrize("apart", [True, False], ids=["domains told apart", "domains pooled"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=mixed_problems())
def test_decomposed_answers_hold_and_their_bounds_are_never_above_the_optimum(apart: bool, case: Problem) -> None:
    with (
        mock.patch.object(solving, "WHOLE", 0),
        mock.patch.object(decomposition, "EXACT_DOMAINS", 10**6 if apart else -1),
    ):
        answer = solve(case)
    want_levels, want_cost = cheapest(case)
    assert check(case, answer) == ()
    mine = tuple(level.value for level in answer.levels[:-1])
    assert mine >= tuple(value - 2e-5 for value in want_levels)
    for level, best in zip(answer.levels[:-1], want_levels, strict=True):
        assert level.bound <= best + 1e-4
    if mine == pytest.approx(want_levels, abs=2e-5):
        assert answer.bound_per_hour <= want_cost * (1 + 1e-4) + 1e-6


@settings(max_examples=150, deadline=None)
@given(mixed_problems(most=6))
def test_greedy_plan_of_a_mixed_problem_fits(case: Problem) -> None:
    sets = sets_of(case)
    plan = greedy(sets)
    assert fits(sets, plan)
    assert (plan.counts <= sets.upper).all()
