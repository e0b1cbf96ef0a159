"""Plans are named by what they do."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.plan import Plan, PlanPhase
from atoll.domain.planning import Planning
from reconcile.worlds import NOW, key, plan, planned, replicas

BASE = plan(planned(replicas("small", count=2)))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(replace(BASE, cost_per_hour=99.0), True, id="another cost"),
        pytest.param(replace(BASE, basis="other"), True, id="another basis"),
        pytest.param(replace(BASE, approved=False, created="now", uid="u"), True, id="approval"),
        pytest.param(plan(planned(replicas("small", count=2), rate=11.0, reason="why")), True, id="another rate"),
        pytest.param(plan(planned(replicas("small", count=3))), False, id="another count"),
        pytest.param(plan(planned(replicas("big", count=2))), False, id="another strategy"),
        pytest.param(plan(replace(BASE.demands[0], uid="anew")), False, id="a demand made anew"),
        pytest.param(plan(*BASE.demands, planned(demand="code")), False, id="a demand that gets nothing"),
        pytest.param(replace(BASE, rollback_of="default-0"), False, id="a rollback"),
        pytest.param(replace(BASE, fleet="gold"), False, id="another fleet"),
    ],
)
def test_the_content_is_what_it_does(other: Plan, same: bool) -> None:
    assert (other.content == BASE.content) is same


@given(st.permutations([planned(replicas("small"), demand=name) for name in ("chat", "code", "agent")]))
def test_the_order_of_demands_does_not_matter(demands: list[object]) -> None:
    first = plan(*(planned(replicas("small"), demand=name) for name in ("chat", "code", "agent")))
    assert plan(*demands).name == first.name


@pytest.mark.parametrize(("cost", "bound", "gap"), [(10.0, 9.0, 0.1), (10.0, 11.0, 0.0), (0.0, 0.0, 0.0)])
def test_gap(cost: float, bound: float, gap: float) -> None:
    assert plan(cost_per_hour=cost, bound_per_hour=bound).gap == pytest.approx(gap)


def test_the_name_is_a_valid_object_name() -> None:
    assert BASE.name == f"default-{BASE.content}"
    assert len(BASE.content) == 10
    assert [group.demand for group in BASE.groups] == [key()]


def deciding(decision: Plan | None) -> Planning:
    return Planning(basis="b", solved_at=NOW, decision=decision)


def test_what_is_current_is_no_proposal() -> None:
    other = plan(planned(replicas("big")))
    assert deciding(BASE).proposal(replace(BASE, cost_per_hour=1.0)) is None
    assert deciding(BASE).proposal(other) == BASE
    assert deciding(BASE).proposal(None) == BASE
    assert deciding(None).proposal(other) is None


def test_the_plan_in_force_keeps_its_identity_and_gets_the_decision_s_numbers() -> None:
    current = replace(BASE, phase=PlanPhase.MOVING, created="t", uid="u", approved=True, cost_per_hour=1.0)
    found = deciding(replace(BASE, approved=False, cost_per_hour=2.0)).in_force(current)
    assert (found.cost_per_hour, found.phase, found.created, found.uid, found.approved) == (
        2.0,
        PlanPhase.MOVING,
        "t",
        "u",
        True,
    )
    assert deciding(plan(planned(replicas("big")))).in_force(current) is current
    assert deciding(BASE).in_force(None) is None
