import pytest

from atoll.optimize.baseline import one_kind_per_served_model
from atoll.optimize.check import check
from atoll.optimize.solve import solve
from optimize.fleets import key, problem, row, supply, template

SMALL = template("L4", rate=1.0)
LARGE = template("H100", rate=4.0)
SPLIT = template("L4", "H100", rate=6.0)
FLEET = [supply("L4", 1, 1.0, nodes=9), supply("H100", 1, 3.5, nodes=9)]


def kinds(allocation: object, name: str) -> set[str]:
    groups = [group for group in allocation.replicas if group.demand == key(name)]  # type: ignore[attr-defined]
    return {stage.gpu_kind for group in groups for stage in group.strategy.stages}


def test_every_demand_is_on_one_kind() -> None:
    case = problem([row("a", 5.0, SMALL, LARGE, SPLIT), row("b", 9.0, SMALL, LARGE, SPLIT)], FLEET)
    answer = one_kind_per_served_model(case)
    assert check(case, answer) == ()
    assert [len(kinds(answer, name)) for name in "ab"] == [1, 1]
    assert answer.cost_per_hour == pytest.approx(5 * 1.0 + 3 * 3.5)


def test_kind_is_chosen_jointly_where_one_is_short() -> None:
    fleet = [supply("L4", 1, 1.0, nodes=5), supply("H100", 1, 3.5, nodes=9)]
    case = problem([row("a", 5.0, SMALL, LARGE), row("b", 4.0, SMALL, LARGE)], fleet)
    answer = one_kind_per_served_model(case)
    assert dict(answer.shortfall) == {}
    assert answer.cost_per_hour == pytest.approx(5.0 + 3.5)
    assert answer.bound_per_hour == pytest.approx(8.5, rel=1e-4)


def test_joint_answer_is_never_dearer_than_the_baseline_it_is_given() -> None:
    case = problem([row("a", 5.0, SMALL, LARGE, SPLIT), row("b", 9.0, SMALL, LARGE, SPLIT)], FLEET)
    baseline = one_kind_per_served_model(case)
    joint = solve(case, incumbents=[baseline])
    assert joint.cost_per_hour < baseline.cost_per_hour


def test_demand_that_only_two_kinds_can_serve_is_a_shortfall_of_the_baseline() -> None:
    answer = one_kind_per_served_model(problem([row("a", 6.0, SPLIT)], FLEET))
    assert dict(answer.shortfall) == {key("a"): 6.0}
