from typing import Any

from benchmarks.traffic.figures import percentile, rows_of
from benchmarks.traffic.locust_run import Locusts
from benchmarks.traffic.request import WHOLE, Outcome
from benchmarks.traffic.run import Episode, Run
from benchmarks.traffic.sight import Loss


def outcome(tag: str, at: float, *, seconds: float = 1.0, said: str = WHOLE, stream: bool = True) -> Outcome:
    return Outcome(
        tag=tag,
        served_name="m",
        stream=stream,
        started=at,
        router="r",
        status=200,
        first=0.1,
        seconds=seconds,
        outcome=said,
    )


def lost(started: float, ended: float, *tags: str) -> Episode:
    loss = Loss(in_flight=tags, noticed=started, off_seconds=0.5, replaced_seconds=1.5)
    return Episode(name="node lost", started=started, ended=ended, planned=False, loss=loss)


def figures(run: Run) -> dict[str, dict[str, Any]]:
    return {row["figure"]: row for row in rows_of(run)}


def test_a_failure_through_a_planned_move_counts_against_its_aim() -> None:
    run = Run(
        outcomes=[outcome("a", 0.0), outcome("b", 1.0, said="cut stream"), outcome("c", 2.0, said="status 503")],
        episodes=[Episode(name="more demand", started=0.5, ended=1.5)],
    )
    found = figures(run)
    assert found["failed through planned moves"]["value"] == 2
    assert not found["failed through planned moves"]["met"]
    assert (
        found["failed through planned moves"]["detail"] == "1 x between moves: status 503, 1 x more demand: cut stream"
    )
    assert found["truncated through planned moves"]["value"] == 1


def test_a_move_that_moved_nothing_or_did_not_end_is_told() -> None:
    idle = Episode(name="another zone", started=0.0, ended=1.0)
    stuck = Episode(name="budget cut", started=1.0, ended=2.0, fault="not so after 90 s", writes=3)
    found = figures(Run(outcomes=[outcome("a", 0.0)], episodes=[idle, stuck]))
    assert (found["of these nothing moved"]["value"], found["of these nothing moved"]["detail"]) == (
        1,
        "1 x another zone",
    )
    assert found["moves, losses and measurements that did not end"]["detail"] == "budget cut: not so after 90 s"


def test_what_was_in_flight_on_a_lost_node_may_fail_where_it_streamed() -> None:
    run = Run(
        outcomes=[outcome("a", 9.5, said="cut stream"), outcome("b", 9.5, stream=False)],
        episodes=[lost(10.0, 20.0, "a", "b")],
    )
    found = figures(run)
    assert found["failed through planned moves"]["value"] == 0
    assert found["in flight on what was lost"]["value"] == 2
    assert found["of these failed"]["value"] == 1
    assert found["of these failed with nothing sent back"]["met"]
    assert found["failed elsewhere during losses"]["met"]
    assert found["loss to traffic off it, p99"]["met"]


def test_a_failure_beside_a_lost_node_and_one_that_was_not_retried_are_told() -> None:
    run = Run(
        outcomes=[outcome("a", 12.0, said="status 503"), outcome("b", 9.5, said="cut answer", stream=False)],
        episodes=[lost(10.0, 20.0, "b")],
    )
    found = figures(run)
    assert found["failed elsewhere during losses"]["value"] == 1
    assert not found["of these failed with nothing sent back"]["met"]


def test_a_notice_has_a_figure_of_its_own_and_its_failures_are_of_a_move() -> None:
    noticed = Episode(
        name="node cordoned", started=0.0, ended=5.0, writes=2, loss=Loss(noticed=0.0, replaced_seconds=6.0)
    )
    found = figures(Run(outcomes=[outcome("a", 1.0, said="status 503")], episodes=[noticed]))
    row = found["notice to first corrective write, p99"]
    assert (row["value"], row["aim"], row["met"]) == (6.0, 5.0, False)
    assert found["failed through planned moves"]["value"] == 1
    assert "loss to traffic off it, p99" not in found


def test_a_run_that_was_interrupted_meets_not_every_aim() -> None:
    found = figures(Run(outcomes=[outcome("a", 0.0)], interrupted=True))
    row = found["moves, losses and measurements that did not end"]
    assert (row["value"], row["met"], row["detail"]) == (1, False, "interrupted")


def test_what_went_on_when_the_run_was_interrupted_is_named_once_and_blamed_for_nothing() -> None:
    cut = Episode(name="node lost", started=5.0, ended=6.0, planned=False, fault="interrupted")
    found = figures(Run(outcomes=[outcome("a", 5.5, said="cut stream")], episodes=[cut], interrupted=True))
    row = found["moves, losses and measurements that did not end"]
    assert (row["value"], row["detail"]) == (1, "node lost: interrupted")
    assert found["failed through planned moves"]["value"] == 0
    assert found["failed through planned moves"]["samples"] == 0


def test_failures_by_locusts_count_are_told_by_move() -> None:
    counted = Locusts(
        requests={"streamed": 30, "whole": 10},
        failures=1,
        median_seconds={"streamed": 0.05, "whole": 0.5},
        failed=((2.0, "streamed: cut stream"),),
    )
    found = figures(Run(episodes=[Episode(name="budget cut", started=1.0, ended=3.0)], locusts=counted))
    sent, failed = found["requests by Locust"], found["failed by Locust's count"]
    assert (sent["value"], sent["detail"]) == (40, "30 x streamed (median 0.050 s), 10 x whole (median 0.500 s)")
    assert (failed["value"], failed["samples"], failed["met"]) == (1, 40, False)
    assert failed["detail"] == "1 x budget cut: streamed: cut stream"


def test_a_99th_percentile_of_few_is_said_to_be_the_largest() -> None:
    of_8, of_200 = (
        figures(Run(acknowledgements=[0.1] * count))["files to acknowledged, p99"]["detail"] for count in (8, 200)
    )
    assert of_8 == "8 times, so p99 is the largest; median 0.100 s, largest 0.100 s"
    assert of_200 == "200 times; median 0.100 s, largest 0.100 s"


def test_a_percentile_is_a_value_that_was_seen() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 0.99), percentile(values, 0.5), percentile([3.0], 0.99)) == (99.0, 50.0, 3.0)
