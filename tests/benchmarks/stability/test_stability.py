"""The rows of `benchmarks.stability` on fleets small enough to know the answer."""

from dataclasses import replace

import pytest

from atoll.optimize.solve import solve
from benchmarks.stability import scarcity, supply
from optimize import fleets

ONE = fleets.template("L4", rate=5.0)
CASE = fleets.problem(
    [fleets.row("a", 20.0, ONE)],
    [fleets.supply("L4", 1, 1.0, nodes=4, pool="near"), fleets.supply("L4", 1, 1.001, nodes=10, pool="far")],
)


def test_only_what_lost_its_place_moves_although_the_optimum_would_move_more() -> None:
    before = solve(replace(CASE, supplies=tuple(replace(item, obtainable=2) for item in CASE.supplies)))
    row = supply.row_of("small", "back", before, CASE)

    assert (row["needed"], row["moved"], row["movedByOptimum"]) == (0, 0, 2)
    assert row["cost"] == pytest.approx(0.002 / 4.0)


def test_replicas_whose_nodes_are_gone_have_to_move() -> None:
    before = solve(CASE)
    row = supply.row_of("small", "fewer", before, supply.fewer(CASE, 0.5))

    assert (row["replicas"], row["needed"], row["moved"], row["movedByOptimum"]) == (4, 2, 2, 2)
    assert row["movedShare"] == 0.5
    assert row["cost"] == 0.0


def test_a_change_is_the_same_for_the_same_seed_and_of_the_size_that_was_asked_for() -> None:
    many = replace(CASE, supplies=(fleets.supply("L4", 1, 1.0, nodes=10_000),))
    now = supply.changed(many, 0.1, 3)

    assert now == supply.changed(many, 0.1, 3)
    assert now != supply.changed(many, 0.1, 4)
    assert abs(now.supplies[0].obtainable - 10_000) < 500


def test_scarcity_is_told_by_priority_for_each_way_to_decide() -> None:
    case = fleets.problem(
        [fleets.row("a", 20.0, ONE), fleets.row("b", 20.0, ONE, priority=9)], [fleets.supply("L4", 1, 1.0, nodes=6)]
    )
    rows = {row["way"]: row["servedByPriority"] for row in scarcity.rows_of("small", case)}

    assert rows["atoll"] == pytest.approx({"9": 1.0, "0": 0.5})
    assert rows["first-come"] == pytest.approx({"9": 0.5, "0": 1.0})
    assert rows["uniform"] == pytest.approx({"9": 0.75, "0": 0.75}, abs=0.01)
