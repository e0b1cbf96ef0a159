"""The screen of `atoll top`: what it says of a fleet, at three widths, and its JSON."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from atoll.domain.plan import PlanPhase
from atoll.reconcile.moments import format_moment
from atoll.report.top import TopReport
from atoll.report.top_table import top_screen
from golden import assert_golden
from reconcile.worlds import (
    NOW,
    ZONE,
    Raw,
    demand_object,
    deployments,
    fleet_object,
    node_object,
    plan,
    planned,
    pods_of,
    pool_object,
    replicas,
    seen,
    stored,
    stored_plan,
)

GOLDEN = Path(__file__).parent / "golden"
WANTED = plan(planned(replicas("small", count=3)), cost_per_hour=12.5, bound_per_hour=12.0)
DEPLOYMENT = deployments(WANTED, demand_object(), pool_object())[0]


def told(obj: Raw, reason: str, ready: str, **status: object) -> Raw:
    condition = {"type": "Ready", "status": ready, "reason": reason, "message": "as it says", "observedGeneration": 1}
    return {**obj, "status": {"conditions": [condition], **status}}


SERVED = {"demandRate": 10.0, "costPerHour": 3.5, "replicas": 3, "gpuKinds": "L4-24GB"}
MASKED = {
    "zone": ZONE,
    "capacityType": "on-demand",
    "maskedUntil": format_moment(NOW.replace(hour=11)),
    "maskedReason": "a pod was Pending for 500 s and no node came",
    "strikes": 2,
}
REPORT = TopReport(
    snapshot=seen(
        told(fleet_object(budgetPerHour=10.0), "ReplicasStarting", "False"),
        told(demand_object(), "ReplicasStarting", "False", **SERVED, servedRate=6.6, readyReplicas=2),
        told(demand_object("code"), "Serving", "True", **SERVED, servedRate=20.0, readyReplicas=3),
        demand_object("fresh"),
        {**pool_object(), "status": {"offerings": [MASKED]}},
        stored_plan(WANTED),
        stored_plan(replace(plan(planned(replicas("small", count=9))), approved=False), PlanPhase.PROPOSED),
        stored(DEPLOYMENT),
        node_object("s0"),
        pods_of(DEPLOYMENT, "s0"),
        pods_of(DEPLOYMENT, "s0", start=1, ready=False),
        pods_of(DEPLOYMENT, "", start=2),
        pods_of(DEPLOYMENT, "s0", start=3, drained=5.0),
        pods_of(DEPLOYMENT, "s0", start=4, deleting=True),
    ),
    now=NOW,
)


def test_what_moves_is_counted_by_what_it_does() -> None:
    assert REPORT.as_json()["moves"] == [
        {"namespace": "team-a", "name": "chat", "pending": 1, "starting": 1, "draining": 1, "stopping": 1}
    ]


def test_the_price_of_tokens_is_cost_over_what_is_served() -> None:
    row = REPORT.as_json()["demands"][0]

    assert row["costPerMillionTokens"] == pytest.approx(1e6 * 3.5 / (3600 * 10.0 * 1200.0), abs=1e-6)


def test_a_demand_that_nobody_has_looked_at_is_neither_ready_nor_not() -> None:
    states = {row["name"]: row["state"]["ready"] for row in REPORT.as_json()["demands"]}

    assert states == {"chat": False, "code": True, "fresh": None}


def test_one_namespace_alone() -> None:
    assert replace(REPORT, namespace="team-b").as_json()["demands"] == []


@pytest.mark.parametrize("width", [80, 120, 160])
def test_the_screen_at_three_widths(width: int) -> None:
    console = Console(width=width, no_color=True)
    with console.capture() as captured:
        console.print(top_screen(REPORT.as_json()))

    assert all(len(line) <= width for line in captured.get().splitlines())
    assert_golden(GOLDEN / f"top-{width}.txt", captured.get())


def test_an_empty_cluster_says_so() -> None:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(top_screen(TopReport(snapshot=seen(), now=NOW).as_json()))

    assert "No plan is in force yet." in captured.get()
    assert "No ModelDemand yet." in captured.get()
