"""What a run knew when."""

import pytest
from benchmarks.ladder.answer import Answer
from benchmarks.ladder.trace import Event, Trace, gap_of, trace_of
from tiny import form

DEAR = Answer(replicas={(0, 0, 0, False): 2}, nodes=(1, 2))  # 14 $/h and 50 for model 1
FAIR = Answer(replicas={(0, 0, 0, False): 2, (1, 1, 0, False): 1}, nodes=(2, 1))  # 19 $/h
BEST = Answer(replicas={(0, 0, 0, False): 2, (1, 1, 0, False): 1}, nodes=(2, 0))  # 16 $/h
AFLOAT = Answer(replicas={(0, 0, 0, False): 2, (1, 1, 0, False): 1}, nodes=(1, 0))  # 8 $/h, but six GPUs on four


def judged(*events: tuple[float, Answer | None, float], final: Answer = BEST) -> Trace:
    return trace_of(form(), [Event(seconds=s, answer=a, bound=b) for s, a, b in events], final)


def test_begins_with_nothing_and_no_bound() -> None:
    first = judged().steps[0]
    assert (first.seconds, first.value, first.bound, first.gap) == (0.0, 90.0, 0.0, 1.0)


def test_keeps_the_best_value_and_the_best_bound() -> None:
    trace = judged((1.0, FAIR, 10.0), (2.0, DEAR, 12.0), (3.0, BEST, 11.0))
    assert [(step.seconds, step.value, step.bound) for step in trace.steps[1:]] == [
        (1.0, 19.0, 10.0),
        (2.0, 19.0, 12.0),
        (3.0, 16.0, 12.0),
    ]


def test_an_answer_that_cannot_be_packed_counts_not() -> None:
    trace = judged((1.0, AFLOAT, 5.0), (2.0, BEST, 5.0))
    assert trace.at(1.5).value == 90.0
    assert trace.first_feasible_seconds == 2.0


def test_the_first_feasible_answer_is_within_a_quarter_of_the_last() -> None:
    # 64 is beyond 1.25 x 16, 19 is not.
    assert judged((1.0, DEAR, 0.0), (2.0, FAIR, 0.0), (3.0, BEST, 0.0)).first_feasible_seconds == 2.0
    assert judged((1.0, DEAR, 0.0)).first_feasible_seconds is None


def test_gives_what_was_known_at_a_moment() -> None:
    trace = judged((1.0, FAIR, 10.0), (3.0, BEST, 16.0))
    assert trace.at(0.5).gap == 1.0
    assert trace.at(1.0).gap == pytest.approx(9.0 / 19.0)
    assert trace.at(2.9).gap == pytest.approx(9.0 / 19.0)
    assert trace.at(1000.0).gap == 0.0


def test_tells_when_a_gap_was_reached() -> None:
    trace = judged((1.0, FAIR, 10.0), (3.0, BEST, 15.9))
    assert trace.seconds_to(0.5) == 1.0
    assert trace.seconds_to(0.02) == 3.0
    assert trace.seconds_to(0.001) is None


def test_a_bound_alone_is_an_event() -> None:
    trace = judged((1.0, BEST, float("-inf")), (2.0, None, 8.0))
    assert [step.gap for step in trace.steps] == [1.0, 1.0, 0.5]


@pytest.mark.parametrize(
    ("value", "bound", "gap"), [(0.0, 0.0, 0.0), (10.0, 0.0, 1.0), (10.0, 10.1, 0.0), (8.0, 6.0, 0.25)]
)
def test_a_gap_is_a_share_within_nothing_and_one(value: float, bound: float, gap: float) -> None:
    assert gap_of(value, bound) == gap
