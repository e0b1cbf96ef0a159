import dataclasses
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atoll.domain.problem import Problem
from atoll.optimize.effort import Effort
from atoll.optimize.greedy import greedy
from atoll.optimize.indexing import sets_of
from atoll.optimize.plan import level_values
from atoll.optimize.pooling import pooled
from atoll.optimize.scarcity import BREAKS, penalty
from atoll.optimize.search import Search
from atoll.optimize.sets import Sets
from optimize.fleets import problem, row, running, supply, template


@st.composite
def fleets(draw: st.DrawFn) -> Problem:
    kinds = ["L4", "H100", "A100"]
    supplies = [
        supply(
            draw(st.sampled_from(kinds)),
            draw(st.sampled_from([1, 2, 4, 7, 8])),
            float(draw(st.integers(1, 20))),
            nodes=draw(st.integers(1, 6)),
            zone=draw(st.sampled_from("abc")),
            pool=f"p{number}",
        )
        for number in range(draw(st.integers(2, 8)))
    ]
    rows = []
    for number in range(draw(st.integers(1, 3))):
        found = {}
        for _ in range(draw(st.integers(1, 8))):
            chosen = template(
                *draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3)),
                tp=draw(st.sampled_from([1, 2, 4])),
                rate=draw(st.floats(0.2, 5.0)),
                startup=draw(st.sampled_from([60.0, 120.0])),
            )
            found[chosen.strategy] = chosen
        rows.append(row(f"m{number}", draw(st.floats(0.1, 8.0)), *found.values(), priority=draw(st.integers(0, 1))))
    return problem(rows, supplies)


def best(case: Problem, sets: Sets) -> dict[str, float]:
    search = Search(sets, Effort.of(case.policy, lambda: 0.0))
    return level_values(sets, search.best(search.run([greedy(sets)])))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fleets())
def test_leaving_out_dominated_templates_loses_nothing(case: Problem) -> None:
    pruned, whole = sets_of(case), sets_of(case, prune=False)
    assert len(pruned.columns) <= len(whole.columns)
    if whole.columns:
        assert best(case, pruned) == pytest.approx(best(case, whole), rel=3e-4, abs=2e-5)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fleets())
def test_pooled_domains_are_a_lower_bound(case: Problem) -> None:
    sets = sets_of(case)
    if sets.columns:
        real = tuple(best(case, sets).values())
        relaxed = tuple(best(case, pooled(sets)).values())
        assert relaxed <= tuple(value * (1 + 2e-4) + 2e-5 for value in real)


def test_pooled_domains_are_exact_for_replicas_of_one_stage() -> None:
    zones = [supply("L4", 4, 3.0, zone=zone, nodes=2) for zone in "abc"]
    sets = sets_of(problem([row("a", 11.0, template("L4"))], zones))
    together = pooled(sets)
    assert (len(together.columns), len(together.supplies)) == (1, 1)
    assert together.obtainable.tolist() == [6]


def test_dominated_template_that_runs_is_kept() -> None:
    good, bad = template("L4", rate=2.0), template("L4", tp=2, rate=1.0)
    node = supply("L4", 2, 1.0)
    assert len(sets_of(problem([row("a", 1.0, good, bad)], [node])).columns) == 1
    assert len(sets_of(problem([row("a", 1.0, good, bad)], [node], [running("a", bad, node)])).columns) == 2


def test_column_that_no_node_can_hold_and_node_that_no_column_needs_are_left_out() -> None:
    wide = template("L4", tp=4)
    case = problem(
        [row("a", 1.0, wide)], [supply("L4", 2, 1.0), supply("H100", 8, 1.0), supply("L4", 4, 1.0, zone="b")]
    )
    sets = sets_of(case)
    assert [column.domain.zone for column in sets.columns] == ["b"]
    assert [item.offering.pool for item in sets.supplies] == ["l4-4"]


def test_width_that_is_no_power_of_two_is_left_out() -> None:
    assert sets_of(problem([row("a", 1.0, template("L4", tp=3))], [supply("L4", 8, 1.0)])).columns == ()


def test_replicas_beyond_those_of_use_are_not_offered() -> None:
    sets = sets_of(problem([row("a", 2.5, template("L4"), min_replicas=2)], [supply("L4", 8, 1.0, nodes=9)]))
    assert [column.upper for column in sets.columns] == [3]


def test_same_offering_with_partly_used_nodes_is_two_supplies() -> None:
    whole = supply("L4", 8, 4.0, nodes=1)
    case = problem([row("a", 10.0, template("L4"))], [whole, dataclasses.replace(whole, gpus=3, price_per_hour=0.0)])
    assert [item.gpus for item in sets_of(case).supplies] == [8, 3]


def test_penalty_is_convex_and_grows_at_the_breaks() -> None:
    points = [penalty(share / 1000) for share in range(1001)]
    steps = [after - before for before, after in itertools.pairwise(points)]
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(steps))
    assert penalty(BREAKS[0]) == pytest.approx(0.05)
    assert penalty(1.0) == pytest.approx(0.05 + 0.05 * 2 + 0.15 * 4 + 0.25 * 8 + 0.5 * 16)
