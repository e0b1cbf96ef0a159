"""Status writes: only what says something new."""

from typing import Any

import pytest

from atoll.domain.objects import MODEL_DEMAND, ApplyStatus, Emit, EventType
from atoll.domain.reason import Reason
from atoll.reconcile.conditions import Condition, settle, status_actions
from reconcile.worlds import NOW, ago, demand_object

READY = Condition(type="Ready", status=True, reason=Reason.SERVING, message="2 replicas")
STARTING = Condition(type="Ready", status=False, reason=Reason.REPLICAS_STARTING)


def written(live: dict[str, Any], fields: dict[str, Any], *conditions: Condition) -> tuple[Any, list[Emit]]:
    """The status that is written, None for none, and the events."""
    actions = status_actions(MODEL_DEMAND, live, fields, conditions, NOW)
    statuses = [item.intent["status"] for item in actions if isinstance(item, ApplyStatus)]
    return (statuses[0] if statuses else None), [item for item in actions if isinstance(item, Emit)]


def after(fields: dict[str, Any], *conditions: Condition, since: float = 600.0) -> dict[str, Any]:
    """A demand whose status says so for a while."""
    live = demand_object()
    status, _ = written(live, fields, *conditions)
    for item in status["conditions"]:
        item["lastTransitionTime"] = ago(since)
    return {**live, "status": status}


def test_a_status_is_whole_and_names_its_object_only() -> None:
    action = status_actions(MODEL_DEMAND, demand_object(), {"replicas": 2}, (READY,), NOW)[0]
    assert action.live_uid == "uid-chat"
    assert action.intent["metadata"] == {"name": "chat", "namespace": "team-a"}
    assert action.intent["status"] == {
        "replicas": 2,
        "observedGeneration": 1,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Serving",
                "message": "2 replicas",
                "observedGeneration": 1,
                "lastTransitionTime": "2026-11-21T10:00:00Z",
            }
        ],
    }


def test_c15_nothing_new_is_not_written() -> None:
    assert written(after({"replicas": 2, "rate": 10.0}, READY), {"replicas": 2, "rate": 10.0}, READY) == (None, [])


@pytest.mark.parametrize(
    ("fields", "conditions"),
    [
        ({"rate": 10.0, "replicas": 3}, [READY]),
        ({"rate": 12.0, "replicas": 2}, [READY]),
        ({"rate": 10.0, "replicas": 2}, [STARTING]),
        ({"rate": 10.0, "replicas": 2}, [READY, Condition(type="Routed", status=True, reason=Reason.ROUTED)]),
        ({"rate": 10.0, "replicas": 2}, []),
    ],
)
def test_something_new_is_written(fields: dict[str, Any], conditions: list[Condition]) -> None:
    status, _ = written(after({"rate": 10.0, "replicas": 2}, READY), fields, *conditions)
    assert status is not None


def test_a_new_generation_is_acknowledged_r17() -> None:
    live = after({}, READY)
    live["metadata"] = {**live["metadata"], "generation": 2}
    status, _ = written(live, {}, READY)
    assert (status["observedGeneration"], status["conditions"][0]["observedGeneration"]) == (2, 2)


def test_the_time_of_a_transition_is_kept_until_the_status_changes() -> None:
    message = Condition(type="Ready", status=True, reason=Reason.SERVING, message="3 replicas")
    status, events = written(after({}, READY), {}, message)
    assert (status["conditions"][0]["lastTransitionTime"], events) == (ago(600), [])
    status, _ = written(after({}, READY), {}, STARTING)
    assert status["conditions"][0]["lastTransitionTime"] == ago(0)


def test_unknown_is_a_status() -> None:
    status, _ = written(demand_object(), {}, Condition(type="Ready", status=None, reason=Reason.PLANNING))
    assert status["conditions"][0]["status"] == "Unknown"


def test_a_message_is_no_longer_than_the_api_server_takes() -> None:
    long = Condition(type="Ready", status=False, reason=Reason.INVALID_SPEC, message="x" * 99_999)
    status, _ = written(demand_object(), {}, long)
    assert len(status["conditions"][0]["message"]) == 1024


@pytest.mark.parametrize(
    ("condition", "kind"),
    [
        (STARTING, EventType.NORMAL),
        (Condition(type="Ready", status=False, reason=Reason.SHORTFALL), EventType.WARNING),
        (Condition(type="Ready", status=False, reason=Reason.AWAITING_APPROVAL), EventType.NORMAL),
    ],
)
def test_a_new_reason_of_readiness_is_told_once(condition: Condition, kind: EventType) -> None:
    _, (event,) = written(demand_object(), {}, condition)
    assert (event.type, event.reason, event.uid) == (kind, condition.reason.value, "uid-chat")
    assert event.message
    _, events = written(after({}, condition), {"replicas": 9}, condition)
    assert events == []


def test_readiness_is_told_when_it_comes_but_not_where_it_was_there_from_the_start() -> None:
    assert written(demand_object(), {}, READY)[1] == []
    (event,) = written(after({}, STARTING), {}, READY)[1]
    assert (event.type, event.reason) == (EventType.NORMAL, "Serving")


@pytest.mark.parametrize(
    ("value", "before", "kept"),
    [
        (10.05, 10.0, 10.0),
        (10.2, 10.0, 10.2),
        (10.0, None, 10.0),
        (1.23456, None, 1.235),
        (0.0, 10.0, 0.0),
        (0.001, 0.0, 0.001),
        (0.0, 0.0, 0.0),
        (3, 2, 3),
        (100, 100, 100),
        (True, False, True),
        ("a", "b", "a"),
        ({"a": 10.05}, {"a": 10.0}, {"a": 10.0}),
        ([10.05, 20.0], [10.0, 10.0], [10.0, 20.0]),
        ([10.05], [10.0, 10.0], [10.05]),
        ([{"a": 10.05}], None, [{"a": 10.05}]),
        (10.05, "10", 10.05),
    ],
)
def test_numbers_that_drift_by_less_than_a_hundredth_are_kept(value: Any, before: Any, kept: Any) -> None:
    assert settle(value, before) == kept


def test_drift_adds_up_until_it_is_written() -> None:
    told = 10.0
    for value in (10.04, 10.08, 10.12):
        told = settle(value, told)
    assert told == 10.12
