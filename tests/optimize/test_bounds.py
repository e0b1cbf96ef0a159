"""No bound of any way to an answer is above the optimum, by enumeration, also where something runs."""

import dataclasses
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atoll.domain.problem import Allocation, Problem
from atoll.optimize import decomposition, search
from atoll.optimize import solve as solving
from atoll.optimize.check import check
from optimize.fleets import cheapest, problem, row, running, supply, template
from optimize.test_solve import small_problems


@st.composite
def moved_problems(draw: st.DrawFn) -> Problem:
    """A small problem in which the answer to another one of the same supplies runs."""
    case = draw(small_problems())
    if not draw(st.booleans()):
        return case
    before = [dataclasses.replace(row, rate=row.rate * draw(st.sampled_from([0.5, 1.0, 2.0]))) for row in case.demands]
    runs = solving.solve(dataclasses.replace(case, demands=tuple(before)))
    return dataclasses.replace(case, running=runs.replicas)


def solved(case: Problem, way: str) -> Allocation:
    with (
        mock.patch.object(search, "SMALL", 0 if way == "promising first" else 10**6),
        mock.patch.object(solving, "WHOLE", 0 if way.startswith("decomposed") else 10**6),
        mock.patch.object(decomposition, "EXACT_DOMAINS", -1 if way == "decomposed, pooled" else 10**6),
    ):
        return solving.solve(case)


def test_what_keeping_is_worth_is_no_part_of_a_bound_proven_late() -> None:
    """Three old replicas at 4.20 US$/h are kept, for a start costs more than a node at 3.90 saves."""
    quick, old = template("L4"), supply("L4", 1, 1.4, nodes=8, pool="old")
    runs = [running("a", quick, old, count=3)]
    case = problem([row("a", 3.0, quick)], [old, supply("L4", 4, 3.9, zone="b")], runs)
    with mock.patch.object(decomposition, "PROVABLE_AT_ONCE", -1):
        answer = solved(case, "decomposed")
    assert answer.cost_per_hour == pytest.approx(4.2)
    assert 3.89 <= answer.bound_per_hour <= 3.9


@pytest.mark.parametrize("way", ["whole", "promising first", "decomposed", "decomposed, pooled"])
@settings(max_examples=75, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=moved_problems())
def test_no_bound_is_above_the_optimum(way: str, case: Problem) -> None:
    answer = solved(case, way)
    least, cost = cheapest(case)
    assert check(case, answer) == ()
    values = tuple(level.value for level in answer.levels[:-1])
    assert values >= tuple(value - 2e-5 for value in least)
    for level, best in zip(answer.levels[:-1], least, strict=True):
        same_above = values[: answer.levels.index(level)] == pytest.approx(
            least[: answer.levels.index(level)], abs=2e-5
        )
        assert not same_above or level.bound <= best + 2e-5
    if values == pytest.approx(least, abs=2e-5):
        assert answer.bound_per_hour <= cost * (1 + 1e-6) + 1e-6
