"""A Fleet that nobody can understand: the settings understood last hold, also for an operator that starts anew."""

from typing import Any

import pytest

from atoll.domain.fleet import Fleet, Mode
from atoll.domain.objects import ApplyStatus, Reference
from atoll.domain.planning import Planning
from atoll.domain.reason import Reason
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.service import service_of
from atoll.reconcile.status.fleet import fleet_status
from atoll.reconcile.status.view import View
from atoll.reconcile.transition import next_step
from reconcile.worlds import NOW, ROUTER, Raw, fleet_object, seen

FLEET = Reference(kind="Fleet", name="default")
DECLARED = {"mode": "Recommend", "budgetPerHour": 40.0, "router": {"memory": "1Gi", "replicas": 3}}
WRONG = {"mode": "Recommend", "budgetPerHour": 50.0, "router": {"memory": "1Mi", "replicas": 3}}


def written(snapshot: Snapshot) -> Raw:
    """The status that is written for the Fleet."""
    desired, _ = desired_objects(snapshot, None, ROUTER)
    view = View(
        snapshot=snapshot,
        planning=Planning(basis="0123456789", solved_at=NOW),
        plan=None,
        step=next_step(snapshot, desired, NOW, hold=True),
        service=service_of(snapshot, None, desired),
        now=NOW,
    )
    actions = fleet_status(view, snapshot.objects[FLEET])
    (found,) = [item.intent["status"] for item in actions if isinstance(item, ApplyStatus)]
    return found


def edited(before: Raw, status: Raw, **spec: Any) -> Raw:
    metadata = {**before["metadata"], "generation": before["metadata"]["generation"] + 1}
    return {**before, "metadata": metadata, "spec": spec, "status": status}


@pytest.fixture
def declared() -> Raw:
    """A valid Fleet."""
    return fleet_object(**DECLARED)


def test_what_is_valid_is_remembered(declared: Raw) -> None:
    assert written(seen(declared))["inForce"] == {"generation": 1, "spec": DECLARED}


def test_an_invalid_fleet_keeps_the_settings_that_were_understood_last(declared: Raw) -> None:
    broken = edited(declared, written(seen(declared)), **WRONG)
    fleet = seen(broken).fleet
    assert (fleet.mode, fleet.solve.budget_per_hour) == (Mode.RECOMMEND, 40.0)
    assert (fleet.router.memory_mebibytes, fleet.router.replicas) == (1024, 3)


def test_it_goes_on_remembering_them_however_often_it_is_edited(declared: Raw) -> None:
    status = written(seen(declared))
    for budget in (50.0, 60.0):
        broken = edited(declared, status, **{**WRONG, "budgetPerHour": budget})
        status = written(seen(broken))
        assert status["inForce"] == {"generation": 1, "spec": DECLARED}
        declared = broken
    mended = edited(declared, status, **{**DECLARED, "budgetPerHour": 70.0})
    assert seen(mended).fleet.solve.budget_per_hour == 70.0
    assert written(seen(mended))["inForce"]["spec"]["budgetPerHour"] == 70.0


def test_its_conditions_name_field_value_and_what_holds_meanwhile(declared: Raw) -> None:
    broken = edited(declared, written(seen(declared)), **WRONG)
    said = {item["type"]: item for item in written(seen(broken))["conditions"]}
    assert [(said[kind]["status"], said[kind]["reason"]) for kind in ("Ready", "Planned", "Degraded")] == [
        ("False", Reason.INVALID_SPEC),
        ("False", Reason.INVALID_SPEC),
        ("True", Reason.INVALID_SPEC),
    ]
    assert said["Planned"]["message"] == (
        "spec.router.memory: '1Mi' is less than 256Mi; until it is mended the settings of generation 1 hold"
    )


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({}, id="nothing was ever understood"),
        pytest.param({"inForce": {"generation": 1, "spec": {"router": {"memory": "2Mi"}}}}, id="nor is what was"),
        pytest.param({"inForce": "broken"}, id="somebody lost the note"),
    ],
)
def test_where_there_is_nothing_to_go_on_from_nothing_moves(declared: Raw, status: Raw) -> None:
    snapshot = seen(edited(declared, status, **WRONG))
    assert snapshot.fleet.mode is Mode.PAUSED
    said = {item["type"]: item for item in written(snapshot)["conditions"]}
    assert said["Planned"]["message"].endswith("; nothing is planned or moved until it is mended")


def test_a_fleet_that_is_not_declared_or_goes_means_the_defaults(declared: Raw) -> None:
    declared["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert seen().fleet == seen(declared).fleet == Fleet(name="default")


def test_another_fleet_changes_nothing_here(declared: Raw) -> None:
    other = fleet_object(**WRONG)
    other["metadata"]["name"] = "other"
    snapshot = seen(declared, other)
    assert (snapshot.fleet.solve.budget_per_hour, dict(snapshot.faults)) == (40.0, {})
