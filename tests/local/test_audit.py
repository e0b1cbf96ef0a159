import json
from pathlib import Path

from atoll.local.audit import Write, writes

EVENT = {
    "verb": "patch",
    "user": {"username": "atoll-operator"},
    "objectRef": {"resource": "pods", "subresource": "status", "namespace": "default", "name": "p"},
    "responseStatus": {"code": 409},
    "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z",
}


def test_writes_of_one_user(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    other = {**EVENT, "user": {"username": "kwok"}}
    log.write_text(f"{json.dumps(EVENT)}\n{json.dumps(other)}\n" + json.dumps(EVENT)[:20])
    assert list(writes(log, user="atoll-operator")) == [
        Write(
            user="atoll-operator",
            verb="patch",
            resource="pods/status",
            namespace="default",
            name="p",
            status=409,
            at="2026-01-01T00:00:00.000000Z",
        )
    ]
    assert len(list(writes(log))) == 2


def test_an_event_without_object_is_a_write_too(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    event = {key: EVENT[key] for key in ("verb", "user", "requestReceivedTimestamp")}
    log.write_text(json.dumps(event) + "\n")
    (write,) = writes(log)
    assert (write.resource, write.status) == ("", 0)
