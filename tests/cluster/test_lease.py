"""Who holds the Lease: each rule as a case, and that two contenders never write at one time."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.cluster.lease import (
    LeaseState,
    LeaseStep,
    LeaseTerms,
    SeenLease,
    lease_object,
    read_lease,
    seconds_left,
    step,
    written,
)

TERMS = LeaseTerms()
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINE = LeaseState(identity="me")
THEIRS = SeenLease(uid="u", version="1", holder="them", duration=15, transitions=3, acquired="then")


def test_no_lease_is_created() -> None:
    assert step(MINE, None, 0, TERMS)[1] is LeaseStep.CREATE


def test_a_released_lease_is_taken_at_once() -> None:
    assert step(MINE, replace(THEIRS, holder=""), 0, TERMS)[1] is LeaseStep.TAKE


def test_a_lease_of_another_is_waited_for_from_our_first_look_however_old_its_times_are() -> None:
    assert step(MINE, THEIRS, 1e6, TERMS)[1] is LeaseStep.WAIT


def test_a_lease_that_did_not_change_for_its_duration_while_we_looked_is_taken() -> None:
    state, decision = MINE, LeaseStep.WAIT
    for now in range(100, 116, 2):
        state, decision = step(state, THEIRS, now, TERMS)
    assert decision is LeaseStep.WAIT
    assert step(state, THEIRS, 115, TERMS)[1] is LeaseStep.TAKE


def test_a_change_starts_the_wait_anew() -> None:
    state, _ = step(MINE, THEIRS, 100, TERMS)
    state, _ = step(state, replace(THEIRS, version="2"), 109, TERMS)
    assert step(state, replace(THEIRS, version="2"), 118, TERMS)[1] is LeaseStep.WAIT


def test_a_holder_that_could_not_renew_because_the_api_server_was_away_is_given_a_whole_duration() -> None:
    state, _ = step(MINE, THEIRS, 100, TERMS)
    state, decision = step(state, THEIRS, 160, TERMS)
    assert decision is LeaseStep.WAIT
    assert step(state, THEIRS, 170, TERMS)[1] is LeaseStep.WAIT


def test_our_own_lease_is_renewed_also_when_it_ran_out_while_the_api_server_was_away() -> None:
    ours = replace(THEIRS, holder="me")
    state = written(MINE, ours, 100)
    assert seconds_left(state, 170, TERMS) == 0
    assert step(state, ours, 170, TERMS)[1] is LeaseStep.RENEW


def test_a_lease_that_another_took_is_lost() -> None:
    state, decision = step(written(MINE, replace(THEIRS, holder="me"), 100), replace(THEIRS, version="9"), 103, TERMS)
    assert decision is LeaseStep.LOST
    assert seconds_left(state, 103, TERMS) == 0


def test_a_lease_that_was_deleted_is_not_held_any_more() -> None:
    state, decision = step(written(MINE, replace(THEIRS, holder="me"), 100), None, 101, TERMS)
    assert decision is LeaseStep.CREATE
    assert seconds_left(state, 101, TERMS) == 0


def test_writing_ends_before_another_may_take_over_counted_from_when_the_renewal_was_sent() -> None:
    state = written(MINE, replace(THEIRS, holder="me"), 100)
    assert seconds_left(state, 103, TERMS) == 7
    assert seconds_left(state, 110, TERMS) == 0
    assert TERMS.renew_deadline + TERMS.retry < TERMS.duration


def test_taking_over_counts_a_transition_and_renewing_does_not() -> None:
    taken = lease_object(replace(MINE, seen=THEIRS), "ns", NOON, TERMS)
    assert taken["spec"]["leaseTransitions"] == 4
    renewed = lease_object(replace(MINE, seen=replace(THEIRS, holder="me")), "ns", NOON, TERMS)
    assert (renewed["spec"]["leaseTransitions"], renewed["spec"]["acquireTime"]) == (3, "then")


def test_a_released_lease_names_no_holder() -> None:
    body = lease_object(replace(MINE, seen=replace(THEIRS, holder="me")), "ns", NOON, TERMS, released=True)
    assert read_lease(body).holder == ""


def test_a_lease_written_by_someone_else_may_lack_everything() -> None:
    assert read_lease({"metadata": {"name": "atoll-operator"}}).holder == ""


@dataclass
class Server:
    """The API server's Lease with optimistic concurrency."""

    lease: SeenLease | None = None
    version: int = 0

    def put(self, holder: str, expected: SeenLease | None) -> SeenLease | None:
        if (self.lease and self.lease.version) != (expected and expected.version):
            return None
        self.version += 1
        self.lease = SeenLease(
            uid="u", version=str(self.version), holder=holder, duration=15, transitions=0, acquired=""
        )
        return self.lease


MOVES = st.lists(
    st.tuples(
        st.integers(0, 1),  # who
        st.sampled_from([0, 0.1, 2, 2, 5, 9, 10, 11, 14.9, 15, 16]),  # seconds that pass before
        st.sampled_from([0, 0, 0, 0.5, 4, 9, 12]),  # seconds from sending a write to its commit
        st.booleans(),  # whether the answer arrives
    ),
    max_size=40,
)


@settings(max_examples=500)
@given(MOVES, st.floats(-1e6, 1e6))
def test_two_contenders_with_different_clocks_never_write_at_one_time(
    moves: list[tuple[int, float, float, bool]], skew: float
) -> None:
    clocks, server, now = (0.0, skew), Server(), 0.0
    states = [LeaseState(identity="a"), LeaseState(identity="b")]
    for who, wait, latency, answered in moves:
        now += wait
        mine = clocks[who]
        states[who], decision = step(states[who], server.lease, now + mine, TERMS)
        assert _writers(states, clocks, now) <= 1
        if decision in {LeaseStep.CREATE, LeaseStep.TAKE, LeaseStep.RENEW}:
            sent_at, expected = now + mine, server.lease
            now += latency
            committed = server.put(states[who].identity, expected)
            if committed is not None and answered:
                states[who] = written(states[who], committed, sent_at)
        assert _writers(states, clocks, now) <= 1


def _writers(states: list[LeaseState], clocks: tuple[float, float], now: float) -> int:
    return sum(seconds_left(state, now + mine, TERMS) > 0 for state, mine in zip(states, clocks, strict=True))
