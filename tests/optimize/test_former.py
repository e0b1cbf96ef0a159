"""After a loss, going back to the plan in force is one of the choices."""

from dataclasses import replace

from atoll.optimize.indexing import sets_of
from atoll.optimize.known import former_plan
from atoll.optimize.plan import level_values
from atoll.optimize.solve import solve
from optimize.fleets import problem, row, running, supply, template

WIDE = supply("H100", 8, 8.0, nodes=1)
NARROW = supply("L4", 1, 1.5, nodes=8)
TWO = template("H100", tp=2, rate=2.0)
ONE = template("L4", rate=1.0)


def test_the_plan_in_force_is_known_with_what_is_lost_of_it_at_its_old_place() -> None:
    former = (running("a", TWO, WIDE, count=4),)
    case = replace(
        problem([row("a", 8.0, TWO, ONE)], [WIDE, NARROW], [running("a", TWO, WIDE, count=3)]), former=former
    )
    sets = sets_of(case)

    plan = former_plan(sets, case.former)

    assert plan is not None
    assert level_values(sets, plan)["cost"] == 8.0
    assert solve(case).replicas == former


def test_a_plan_in_force_whose_place_is_gone_is_no_choice() -> None:
    gone = supply("H100", 8, 8.0, nodes=1, zone="b")
    case = replace(problem([row("a", 2.0, ONE)], [NARROW]), former=(running("a", TWO, gone, count=1),))

    assert former_plan(sets_of(case), case.former) is None
    assert solve(case).shortfall == {}


def test_in_the_middle_of_a_move_the_move_goes_on_to_its_end() -> None:
    """Old and new replicas run side by side; both would do, and the plan in force says which are to stay."""
    old, new = supply("L4", 1, 1.0, pool="old"), supply("L4", 1, 0.99, pool="new")
    former = (running("a", ONE, new, count=3),)
    both = [running("a", ONE, old, count=3), running("a", ONE, new, count=2)]
    case = replace(problem([row("a", 3.0, ONE)], [old, new], both), former=former)

    assert solve(case).replicas == former
