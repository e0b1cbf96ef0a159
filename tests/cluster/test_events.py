from datetime import UTC, datetime, timedelta

from atoll.cluster.events import WINDOW_SECONDS, EventMemory, event_object
from atoll.domain.objects import Emit, EventType, Reference

NOW = datetime(2026, 11, 21, 12, 3, tzinfo=UTC)


def _emit(*, name: str = "chat", reason: str = "Shortfall", message: str = "short", kind: str = "ModelDemand") -> Emit:
    namespace = "" if kind == "Fleet" else "team"
    target = Reference(kind=kind, namespace=namespace, name=name)
    return Emit(target=target, uid=f"uid-{name}", type=EventType.WARNING, reason=reason, message=message)


def test_the_same_reason_is_told_once_in_ten_minutes_whatever_the_message() -> None:
    memory = EventMemory()
    assert memory.admit(_emit(message="a"), 0)
    assert not memory.admit(_emit(message="b"), WINDOW_SECONDS - 1)
    assert memory.admit(_emit(message="c"), WINDOW_SECONDS)


def test_other_objects_and_other_reasons_are_told() -> None:
    memory = EventMemory()
    assert memory.admit(_emit(), 0)
    assert memory.admit(_emit(name="other"), 0)
    assert memory.admit(_emit(reason="Planned"), 0)


def test_a_restarted_operator_names_the_event_alike_so_that_it_is_not_written_again() -> None:
    first, again = event_object(_emit(), NOW), event_object(_emit(message="else"), NOW + timedelta(minutes=5))
    later = event_object(_emit(), NOW + timedelta(minutes=10))
    assert first["metadata"]["name"] == again["metadata"]["name"] != later["metadata"]["name"]


def test_an_event_on_a_cluster_scoped_object_is_in_the_default_namespace() -> None:
    event = event_object(_emit(kind="Fleet", name="default"), NOW)
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["involvedObject"]


def test_a_message_beyond_what_kubernetes_takes_is_cut_visibly() -> None:
    message = event_object(_emit(message="x" * 5000), NOW)["message"]
    assert (len(message), message[-1]) == (1024, "…")
