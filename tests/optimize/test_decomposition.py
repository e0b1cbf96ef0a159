"""The search of large fleets, made to work on small ones and held against the exact program there."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atoll.domain.demand import Loss
from atoll.domain.problem import Allocation, Problem
from atoll.optimize import decomposition
from atoll.optimize import solve as solving
from atoll.optimize.check import check
from atoll.optimize.cover import at_price
from atoll.optimize.decomposition import Decomposition
from atoll.optimize.draft import Draft
from atoll.optimize.effort import Effort
from atoll.optimize.generation import Generation
from atoll.optimize.highs import Outcome, Solver
from atoll.optimize.master import Chosen, Master
from atoll.optimize.scarcity import most_unserved, penalty
from atoll.optimize.search import Found
from atoll.optimize.space import space_of
from optimize.fleets import ON_DEMAND, SPOT, key, problem, quota, row, running, supply, template

KINDS = ["L4", "H100", "A100"]


@st.composite
def fleets(draw: st.DrawFn, *, nodes: int = 6) -> Problem:
    supplies = [
        supply(
            draw(st.sampled_from(KINDS)),
            draw(st.sampled_from([1, 2, 4, 7, 8])),
            float(draw(st.integers(0, 20))),
            nodes=draw(st.integers(0, nodes)),
            zone=draw(st.sampled_from("abc")),
            capacity_type=draw(st.sampled_from([SPOT, ON_DEMAND])),
            pool=f"p{number}",
        )
        for number in range(draw(st.integers(0, 8)))
    ]
    rows = []
    for number in range(draw(st.integers(1, 4))):
        found = {}
        for _ in range(draw(st.integers(1, 6))):
            chosen = template(
                *draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3)),
                tp=draw(st.sampled_from([1, 2, 4])),
                rate=draw(st.floats(0.2, 5.0)),
            )
            found[chosen.strategy] = chosen
        limits = draw(
            st.sampled_from(
                [
                    {},
                    {},
                    {"spot_share": 0.5},
                    {"min_replicas": 2},
                    {"min_domains": 2},
                    {"spot_share": 0.0},
                    {"preference": (ON_DEMAND,)},
                    {"survive": Loss.REPLICA},
                    {"survive": Loss.ZONE, "survive_share": 0.5},
                    {"survive": Loss.SPOT_POOL, "survive_share": 0.8},
                    {"preference": (SPOT, ON_DEMAND)},
                ]
            )
        )
        rate = draw(st.sampled_from([0.1, 1.0, 4.0, 9.0]))
        rows.append(row(f"m{number}", rate, *found.values(), priority=draw(st.integers(0, 1)), **limits))
    return problem(rows, supplies, quotas=draw(st.sampled_from([(), (), (), (quota(2),), (quota(9),)])))


WORK = 300
"""Work budget of a decomposed search here: six neighbourhoods."""


def above(allocation: Allocation) -> tuple[float, ...]:
    return tuple(round(level.value, 4) for level in allocation.levels[:-1])


def decomposed(case: Problem, *, domains_told_apart: bool = True, incumbents: Sequence[Allocation] = ()) -> Allocation:
    with (
        mock.patch.object(solving, "WHOLE", 0),
        mock.patch.object(decomposition, "EXACT_DOMAINS", 10**6 if domains_told_apart else -1),
    ):
        cheap = dataclasses.replace(case, policy=dataclasses.replace(case.policy, work_budget=WORK))
        return solving.solve(cheap, incumbents=incumbents)


@pytest.mark.parametrize("apart", [True, False], ids=["domains told apart", "domains pooled"])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=fleets())
def test_decomposed_answer_holds_and_its_bounds_are_never_above_the_optimum(apart: bool, case: Problem) -> None:
    answer = decomposed(case, domains_told_apart=apart)
    patient = dataclasses.replace(case.policy, work_budget=100_000)
    exact = solving.solve(dataclasses.replace(case, policy=patient))
    assert check(case, answer) == ()
    assert all(level.proven for level in exact.levels), "the reference is the optimum"
    assert above(answer) >= above(exact)
    for mine, best in zip(answer.levels[:-1], exact.levels[:-1], strict=True):
        assert mine.bound <= best.value + 1e-4
    if above(answer) == above(exact):
        assert answer.bound_per_hour <= exact.cost_per_hour * (1 + 1e-4) + 1e-6
        assert answer.cost_per_hour >= exact.bound_per_hour - 1e-6


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=fleets())
def test_same_problem_same_answer_with_a_work_budget(case: Problem) -> None:
    first, second = decomposed(case), decomposed(case)
    assert dataclasses.replace(first, solve_seconds=0.0) == dataclasses.replace(second, solve_seconds=0.0)


def test_what_runs_is_kept_where_nothing_saves_enough() -> None:
    quick, wide = template("L4"), template("L4", tp=2, rate=2.1)
    nodes = [supply("L4", 1, 1.0, nodes=9), supply("L4", 2, 1.99, nodes=9, pool="pairs")]
    runs = [running("a", quick, nodes[0], count=4)]
    case = problem([row("a", 4.0, quick, wide)], nodes, runs)
    answer = decomposed(case)
    assert [(group.strategy, group.count) for group in answer.replicas] == [(quick.strategy, 4)]


def test_shortfall_goes_to_the_lower_priority() -> None:
    case = problem(
        [row("low", 2.0, template("L4")), row("high", 2.0, template("L4"), priority=10)],
        [supply("L4", 1, 1.0, nodes=3)],
    )
    assert dict(decomposed(case).shortfall) == {key("low"): 1.0}


def test_better_answers_are_told_as_they_are_found() -> None:
    rows = [
        row(str(n), 7.3 + n, template("L4"), template("L4", "H100", rate=9.0), template("H100", tp=4, rate=30.0))
        for n in range(4)
    ]
    nodes = [
        supply(kind, gpus, price, zone=zone, nodes=5)
        for kind, gpus, price in (("L4", 1, 1.0), ("L4", 4, 3.0), ("H100", 8, 20.0))
        for zone in "ab"
    ]
    case, told = problem(rows, nodes), list[Allocation]()
    with mock.patch.object(solving, "WHOLE", 0):
        answer = solving.solve(case, tell=told.append)
    assert all(check(case, each) == () for each in told)
    assert [each.cost_per_hour for each in told] == sorted((each.cost_per_hour for each in told), reverse=True)
    assert told[-1].bound_per_hour > told[0].bound_per_hour == 0.0
    assert answer.cost_per_hour <= told[-1].cost_per_hour


@given(st.floats(0.0, 8.0))
def test_most_unserved_is_the_inverse_of_the_penalty(value: float) -> None:
    share = most_unserved(value)
    assert penalty(share) >= value * (1 - 1e-9) - 1e-9 or share == 1.0
    assert penalty(max(0.0, share - 1e-5)) <= value + 1e-9


def test_demand_a_hundred_thousand_times_beyond_what_can_be_had_is_bounded_nearly() -> None:
    wanted = dataclasses.replace(row("huge", 5e5, template("L4", rate=0.1)), shortfall_price=100.0)
    answer = decomposed(problem([wanted], [supply("L4", 1, 1.0, nodes=5), supply("L4", 8, 7.0, nodes=3, pool="wide")]))
    (level,) = (level for level in answer.levels if level.name == "cost")
    assert sum(group.count for group in answer.replicas) == 29
    assert level.bound >= 0.999 * level.value


def test_no_clock_ends_a_search_that_has_a_work_budget() -> None:
    rows = [row(str(n), 7.3 + n, template("L4"), template("H100", tp=4, rate=30.0), priority=n % 2) for n in range(4)]
    nodes = [supply("L4", 1, 1.0, nodes=5), supply("L4", 4, 3.0, nodes=2), supply("H100", 4, 20.0, nodes=0)]
    seen, minimise, choose = list[float](), Solver.minimise, Master.choose

    def watched_minimise(solver: Solver, *given: Any) -> Outcome:
        seen.append(given[3].seconds)
        return minimise(solver, *given)

    def watched_choose(master: Master, *, seconds: float, nodes: int, gap: float) -> Chosen | None:
        seen.append(seconds)
        return choose(master, seconds=seconds, nodes=nodes, gap=gap)

    with mock.patch.object(Solver, "minimise", watched_minimise), mock.patch.object(Master, "choose", watched_choose):
        decomposed(problem(rows, nodes))
    assert len(seen) > 1
    assert set(seen) == {float("inf")}


def test_no_answer_is_worse_than_an_incumbent_level_by_level() -> None:
    """Half of b on dear nodes that it prefers comes before what these cost."""
    preferred = row("b", 4.0, template("L4"), preference=(ON_DEMAND, SPOT))
    case = problem(
        [row("a", 4.0, template("A100"), priority=1), preferred],
        [
            supply("A100", 1, 1.0, nodes=1),
            supply("L4", 2, 500.0, nodes=1, pool="dear"),
            supply("L4", 1, 1.0, nodes=8, capacity_type=SPOT, pool="spot"),
        ],
    )
    exact = solving.solve(case)
    assert above(decomposed(case, incumbents=(exact,))) <= above(exact)


def test_no_bound_of_cost_outlives_the_levels_that_it_was_made_for() -> None:
    case = problem(
        [row("low", 1.0, template("A100", "H100")), row("high", 1.0, template("H100"), priority=10)],
        [supply("H100", 1, 100.0, nodes=1), supply("A100", 1, 100.0, nodes=1)],
    )
    space = space_of(case)
    low = next(choice for choice in space.choices() if space.demands[choice[0]].key.name == "low")
    # As a search of levels leaves it that ran out of time.
    draft = Draft(counts={low: 1}, nodes=np.ones(2, dtype=np.int64))
    found = Found(plans=[])
    with mock.patch.object(Decomposition, "_complete", lambda _, each: each):
        after = Decomposition(space, case, Effort.of(case.policy, time.monotonic)).run(found, draft)
    assert dict(after.counts) != dict(draft.counts)
    assert found.bounds["cost"] <= 100.0


def test_bound_is_not_above_a_plan_that_counts_as_serving_all() -> None:
    case = problem([row("a", 2.000001, template("L4"))], [supply("L4", 1, 10.0)])
    assert Generation(space_of(case), [at_price(np.inf)], np.ones(1)).run().bound <= 20.00001
