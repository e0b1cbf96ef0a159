"""What an answer is worth, against numbers worked out by hand."""

import numpy as np
import pytest
from benchmarks.ladder.answer import Answer, empty, shortfall, value
from tiny import form


def test_nothing_runs_costs_all_penalties() -> None:
    # 20 x 2 + 50 x 1
    assert value(form(), empty(form())) == pytest.approx(90.0)
    assert shortfall(form(), empty(form())).tolist() == [20.0, 50.0]


def test_nodes_and_what_is_missing_are_added_up() -> None:
    # One node of 8 $/h; model 0 lacks 20 - 10, model 1 has 50 of 50.
    answer = Answer(replicas={(0, 0, 0, False): 1, (1, 1, 0, False): 1}, nodes=(1, 1))
    assert shortfall(form(), answer).tolist() == [10.0, 0.0]
    assert value(form(), answer) == pytest.approx(8.0 + 3.0 + 10.0 * 2.0)


def test_more_than_wanted_is_worth_nothing() -> None:
    answer = Answer(replicas={(0, 1, 0, False): 3}, nodes=(0, 0))
    assert shortfall(form(), answer).tolist() == [0.0, 50.0]


def test_what_rounding_leaves_is_no_shortfall() -> None:
    wanted = form(demand=np.array([0.3, 0.0]), menus={7: form().menus[7]})
    thirds = form(demand=np.array([30.0 + 1e-12, 0.0]))
    assert shortfall(thirds, Answer(replicas={(0, 0, 0, False): 3}, nodes=(0, 0))).tolist() == [0.0, 0.0]
    assert shortfall(wanted, empty(wanted)).tolist() == [0.3, 0.0]
