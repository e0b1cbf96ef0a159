"""What a fleet has cost and saved: nothing is written while a plan stays, and nothing is lost when another comes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.plan import Plan
from atoll.reconcile.account import account, sums_at
from reconcile.simulated_fleet import Fleet
from reconcile.worlds import NOW, fleet_object, plan, planned, replicas


def of(count: int, cost: float, baseline: float | None = None) -> Plan:
    base = plan(planned(replicas("small", count=count)), cost_per_hour=cost)
    return replace(base, baseline_per_hour=baseline)


def test_before_the_first_plan_there_is_nothing() -> None:
    assert account(None, None, NOW) == {}


def test_it_begins_with_the_first_plan() -> None:
    assert account(None, of(1, 10.0, 15.0), NOW) == {
        "began": "2026-11-21T10:00:00Z",
        "spent": 0.0,
        "saved": 0.0,
        "comparedHours": 0.0,
        "since": "2026-11-21T10:00:00Z",
        "plan": of(1, 10.0).name,
        "costPerHour": 10.0,
        "baselinePerHour": 15.0,
    }


@pytest.mark.parametrize("later", [of(1, 10.0, 15.0), of(1, 10.05, 15.1)])
def test_while_the_plan_stays_nothing_changes(later: Plan) -> None:
    before = account(None, of(1, 10.0, 15.0), NOW)

    assert account(before, later, NOW + timedelta(hours=5)) == before


def test_another_plan_adds_what_the_former_one_cost_and_saved() -> None:
    first = account(None, of(1, 10.0, 15.0), NOW)
    second = account(first, of(2, 20.0), NOW + timedelta(hours=2))
    third = account(second, of(3, 30.0, 31.0), NOW + timedelta(hours=3))

    assert (second["spent"], second["saved"], second["comparedHours"]) == (20.0, 10.0, 2.0)
    assert "baselinePerHour" not in second
    assert (third["spent"], third["saved"], third["comparedHours"]) == (40.0, 10.0, 2.0)
    assert third["began"] == first["began"]
    assert sums_at(third, NOW + timedelta(hours=4)) == (70.0, 11.0, 3.0)


def test_another_price_of_the_same_plan_is_another_rate() -> None:
    first = account(None, of(1, 10.0), NOW)

    assert account(first, of(1, 12.0), NOW + timedelta(hours=1))["spent"] == 10.0


def test_a_fleet_whose_plan_was_deleted_keeps_its_account() -> None:
    first = account(None, of(1, 10.0), NOW)

    assert account(first, None, NOW + timedelta(hours=1)) == first


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.floats(0.0, 1e4), st.none() | st.floats(0.0, 1e4), st.integers(0, 10_000)),
        min_size=1,
        max_size=8,
    )
)
def test_the_sums_are_those_of_the_rates_whatever_comes_when(lives: list[tuple[int, float, float | None, int]]) -> None:
    booked: dict[str, Any] = {}
    now, spent = NOW, 0.0
    for count, cost, baseline, seconds in lives:
        booked = account(booked, of(count, cost, baseline), now)
        spent += booked["costPerHour"] * seconds / 3600.0
        now += timedelta(seconds=seconds)

    assert sums_at(booked, now)[0] == pytest.approx(spent, abs=1e-4)
    rounding = 1e-6 * len(lives)
    assert sums_at(booked, now)[2] <= (now - NOW).total_seconds() / 3600.0 + rounding


def test_the_fleet_s_status_has_one_and_it_is_written_when_plans_change_alone() -> None:
    fleet = Fleet()
    fleet.cluster.put(fleet_object())
    fleet.pool("small", max_nodes=3)
    fleet.demand("chat", 10.0, "small")
    fleet.settle()
    before = status(fleet)["account"]
    assert fleet.operate() == 0
    fleet.demand("chat", 20.0, "small")
    fleet.settle()
    after = status(fleet)["account"]

    assert before["spent"] == 0.0
    assert after["plan"] != before["plan"]
    assert after["spent"] > 0.0
    assert after["began"] == before["began"]


def status(fleet: Fleet) -> dict[str, Any]:
    (found,) = fleet.cluster.of("Fleet")
    shown: dict[str, Any] = found["status"]
    return shown
