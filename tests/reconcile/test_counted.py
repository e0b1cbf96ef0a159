"""Requests/s from routers' counters: resets, routers that come and go, and ones that nobody knows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.signal import RouterCounts
from atoll.reconcile.counted import UnknownSinceError, begun_rates

CHAT = "team-a/chat"
THEN, NOW = 10_000.0, 10_030.0


def counts(at: float, uptime: float, requests: float) -> RouterCounts:
    return RouterCounts(at=at, uptime_seconds=uptime, requests={CHAT: requests})


def rate(before: dict[str, RouterCounts], now: dict[str, RouterCounts], since: float = THEN) -> float:
    return begun_rates(before, now, since).get(CHAT, 0.0)


def test_growth_of_all_routers_counts() -> None:
    before = {"a": counts(THEN, 500.0, 1_000.0), "b": counts(THEN, 900.0, 2_000.0)}
    now = {"a": counts(NOW, 530.0, 1_300.0), "b": counts(NOW, 930.0, 2_600.0)}
    assert rate(before, now) == pytest.approx(30.0)


def test_a_router_that_was_started_again_counts_from_nought() -> None:
    now = {"a": counts(NOW, 12.0, 1_300.0)}
    assert rate({"a": counts(THEN, 500.0, 1_000.0)}, now) == pytest.approx(1_300.0 / 30.0)


def test_a_new_router_counts_from_its_start_and_one_that_is_gone_no_more() -> None:
    before = {"old": counts(THEN, 500.0, 1_000.0)}
    assert rate(before, {"new": counts(NOW, 15.0, 90.0)}) == pytest.approx(3.0)


def test_a_router_whose_past_nobody_knows_makes_no_sample() -> None:
    now = {"a": counts(NOW, 530.0, 1_300.0), "back": counts(NOW, 3_600.0, 1e6)}
    with pytest.raises(UnknownSinceError):
        rate({"a": counts(THEN, 500.0, 1_000.0)}, now)


def test_a_router_that_did_not_answer_for_a_while_is_averaged_over_it() -> None:
    before = {"a": counts(NOW - 90.0, 500.0, 1_000.0)}
    assert rate(before, {"a": counts(NOW, 590.0, 1_900.0)}, since=NOW - 90.0) == pytest.approx(10.0)


def test_a_clock_that_went_back_makes_no_sample() -> None:
    with pytest.raises(UnknownSinceError):
        rate({"a": counts(NOW, 500.0, 1_000.0)}, {"a": counts(NOW - 5.0, 500.0, 1_300.0)})


def test_a_counter_that_goes_back_in_a_running_router_is_no_demand_and_no_leap() -> None:
    before = {"a": counts(THEN, 500.0, 1_000.0)}
    assert rate(before, {"a": counts(NOW, 530.0, 999.0)}) == 0.0
    assert rate({"a": counts(NOW, 530.0, 999.0)}, {"a": counts(NOW + 30.0, 560.0, 1_059.0)}, NOW) == pytest.approx(2.0)


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 50), st.booleans()), min_size=1, max_size=60),
)
def test_no_request_counts_twice_whatever_routers_do(steps: list[tuple[str, int, bool]]) -> None:
    """Each step one router is started again or not, and then takes some requests."""
    start, total = dict.fromkeys("abc", 0.0), dict.fromkeys("abc", 0.0)
    at, since = 1_000.0, 1_000.0
    before = {name: counts(at, at, 0.0) for name in "abc"}
    came = heard = 0.0
    for name, requests, restarts in steps:
        at += 60.0
        if restarts:
            start[name], total[name] = at - 20.0, 0.0
        total[name] += requests
        came += requests
        now = {each: counts(at, at - start[each], total[each]) for each in "abc"}
        heard += rate(before, now, since) * (at - since)
        before, since = now, at
    assert heard == pytest.approx(came)
