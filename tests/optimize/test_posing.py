"""The case that a snapshot poses: the same for the operator, the simulation and what-if."""

import pytest

from atoll.optimize.posing import case_of
from reconcile.worlds import (
    NOW,
    Raw,
    demand_object,
    fleet_object,
    key,
    plan,
    planned,
    pool_object,
    replicas,
    seen,
    stored_plan,
)

REMEMBERED: Raw = {"gpuKind": "L4-24GB", "engine": "vllm", "observed": 1.2, "applied": 1.15, "windows": 9}


def corrected(**solve: str) -> list[Raw]:
    """A fleet, its demand, of which the status remembers a correction, and a pool."""
    status = {"corrections": [{**REMEMBERED, "until": "2026-11-21T09:00:00Z"}]}
    return [fleet_object(solve=solve), {**demand_object(), "status": status}, pool_object()]


@pytest.mark.parametrize(("use", "factors"), [("Apply", {key(): {"L4-24GB": 1.15}}), ("Show", {}), ("Off", {})])
def test_corrections_that_a_status_remembers_are_part_of_it_where_they_are_applied(use: str, factors: Raw) -> None:
    assert case_of(seen(corrected(corrections=use)), NOW).corrections == factors


def test_what_the_plan_in_force_has_is_what_is_stayed_with() -> None:
    current = plan(planned(replicas("small", count=2)))
    case = case_of(seen(demand_object(), pool_object(), stored_plan(current)), NOW)
    assert case.former == current.groups
    assert (case.running, [item.key for item in case.demands]) == ((), [key()])
