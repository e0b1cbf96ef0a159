import json
import logging
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from atoll.handlers.logs import JsonFormatter, tell_once


def _record(message: str, *, name: str = "atoll", **extra: Any) -> logging.LogRecord:
    record = logging.LogRecord(name, logging.WARNING, __file__, 1, message, (), None)
    record.__dict__.update(extra)
    return record


def test_a_line_has_time_level_message_and_reason() -> None:
    record = _record("no room", reason="Shortfall", object="ModelDemand team/chat", password="x")  # noqa: S106
    record.created = 0.25
    assert json.loads(JsonFormatter().format(record)) == {
        "time": "1970-01-01T00:00:00.250+00:00",
        "level": "warning",
        "logger": "atoll",
        "message": "no room",
        "reason": "Shortfall",
        "object": "ModelDemand team/chat",
    }


@given(st.text(max_size=50))
def test_what_comes_from_outside_cannot_forge_a_second_line(text: str) -> None:
    line = JsonFormatter().format(_record("%s", reason=text) if "%" in text else _record(text, reason=text))
    assert len(line.splitlines()) == 1
    assert line.isascii()
    assert json.loads(line)["reason"] == text


def test_a_long_message_is_cut_visibly() -> None:
    message = json.loads(JsonFormatter().format(_record("x" * 10_000)))["message"]
    assert (len(message), message[-1]) == (2048, "…")


def test_an_exception_is_one_field() -> None:
    try:
        int("bad\nnews")
    except ValueError:
        record = _record("failed")
        record.exc_info = sys.exc_info()
    line = JsonFormatter().format(record)
    assert len(line.splitlines()) == 1
    assert json.loads(line)["error"].endswith(r"'bad\nnews'")


def test_kopf_says_the_first_failure_of_a_stream_and_not_each_retry() -> None:
    kopf = "kopf._cogs.clients.watching"
    assert tell_once(_record("Request attempt #1 failed; will retry: GET x", name=kopf))
    assert not tell_once(_record("Request attempt #12 failed; will retry: GET x", name=kopf))
    assert not tell_once(_record("OS signals are ignored: running not in the main thread.", name=kopf))
    assert tell_once(_record("Watcher has failed", name=kopf))
    assert tell_once(_record("Request attempt #2 failed"))
