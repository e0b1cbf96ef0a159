from typing import Any

import pytest

from atoll.handlers.health import stalled

WORKING: dict[str, Any] = {
    "now": 1000.0,
    "watching_since": 10.0,
    "reachable_since": 10.0,
    "reachable": True,
    "seen_at": 995.0,
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"seen_at": 880.0},  # a moment before it is too long
        {"seen_at": 500.0, "reachable": False},  # the API server is away: a restart would not help
        {"seen_at": 500.0, "reachable_since": 900.0},  # it has just come back
        {"seen_at": None, "watching_since": 900.0},  # the watch has just started
        {"seen_at": None, "watching_since": None},  # it waits for custom resource definitions
        {"seen_at": None, "reachable_since": None},
    ],
)
def test_it_is_healthy_as_long_as_a_restart_would_not_help(change: dict[str, Any]) -> None:
    assert stalled(**{**WORKING, **change}) == ""


@pytest.mark.parametrize("change", [{"seen_at": 879.0}, {"seen_at": None}])
def test_a_watch_that_is_silent_while_the_api_server_answers_is_dead(change: dict[str, Any]) -> None:
    assert "told nothing of the Lease" in stalled(**{**WORKING, **change})
