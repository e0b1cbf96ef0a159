"""Simpler ways to decide, on fleets small enough to know the answer."""

from dataclasses import replace

import pytest

from atoll.domain.problem import Problem
from atoll.optimize.check import check
from atoll.optimize.solve import solve
from atoll.simulate.deciders import one_after_the_other, scaled_until_served
from optimize.fleets import key, problem, row, supply, template

ONE = template("L4", rate=5.0)
WIDE = template("H100", tp=4, rate=20.0)
NARROW = template("H100", tp=2, rate=8.0)


def scarce() -> Problem:
    """Six nodes for two demands that want four each; the first in name matters less."""
    return problem([row("a", 20.0, ONE), row("b", 20.0, ONE, priority=9)], [supply("L4", 1, 1.0, nodes=6)])


def test_strict_priority_serves_who_matters_first() -> None:
    assert solve(scarce()).shortfall == pytest.approx({key("a"): 10.0})


def test_uniform_scaling_cuts_all_alike_and_is_what_can_be_served() -> None:
    answer = scaled_until_served(scarce())

    # Three replicas each serve 15 of 20; 0.4 % is how near the factor is sought.
    assert answer.shortfall == pytest.approx({key("a"): 5.0, key("b"): 5.0}, abs=0.1)
    assert answer.cost_per_hour == 6.0


def test_first_come_serves_whoever_asks_first_whatever_matters() -> None:
    answer = one_after_the_other(scarce())

    assert answer.shortfall == pytest.approx({key("b"): 10.0})
    assert check(scarce(), answer) == ()


def test_first_come_lets_the_next_use_what_is_left_free_of_a_node() -> None:
    case = problem([row("a", 20.0, WIDE), row("b", 8.0, NARROW)], [supply("H100", 8, 10.0, nodes=1)])
    answer = one_after_the_other(case)

    assert answer.shortfall == {}
    assert answer.cost_per_hour == 10.0


def test_where_all_can_be_served_scaling_changes_nothing() -> None:
    case = scarce()
    enough = replace(case, supplies=(supply("L4", 1, 1.0, nodes=9),))

    assert scaled_until_served(enough).cost_per_hour == solve(enough).cost_per_hour == 8.0
