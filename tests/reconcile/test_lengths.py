"""Whether requests are as long as declared: told beyond a factor, surely, and not again for every wobble."""

from dataclasses import replace
from typing import Any

import pytest

from atoll.domain.reason import Reason
from atoll.domain.workload import Lengths, SeenLengths, Workload
from atoll.reconcile.lengths import AGREED, FACTOR, FEWEST_REQUESTS, NAMES, drift
from atoll.reconcile.status.measured import lengths_said
from reconcile.worlds import demand_object

DECLARED = Workload(input=Lengths(mean=1000.0, cv=1.0), output=Lengths(mean=200.0, cv=1.0))
SEEN = SeenLengths(requests=10_000.0, input=1000.0, output=200.0)


@pytest.mark.parametrize(
    ("seen", "differed", "off"),
    [
        (SEEN, (), ()),
        (replace(SEEN, input=1400.0), (), ()),
        (replace(SEEN, input=1600.0), (), ("input",)),
        (replace(SEEN, input=600.0, output=400.0), (), ("input", "output")),
        (replace(SEEN, input=1400.0), ("input",), ("input",)),
        (replace(SEEN, input=1400.0, output=280.0), ("input",), ("input",)),
        (replace(SEEN, input=1400.0), ("output",), ()),
        (replace(SEEN, input=1200.0), NAMES, ()),
        (replace(SEEN, input=0.0), (), ("input",)),
        (replace(SEEN, requests=FEWEST_REQUESTS, output=310.0), (), ("output",)),
    ],
)
def test_lengths_differ_beyond_a_factor_and_agree_again_within_a_smaller_one(
    seen: SeenLengths, differed: tuple[str, ...], off: tuple[str, ...]
) -> None:
    found = drift(DECLARED, seen, differed=differed)
    assert found is not None
    assert found.off == off


def test_few_requests_of_which_some_are_long_say_nothing() -> None:
    assert drift(DECLARED, replace(SEEN, requests=FEWEST_REQUESTS - 1.0, input=9000.0), differed=()) is None
    assert drift(DECLARED, None, differed=NAMES) is None
    wild = replace(DECLARED, input=Lengths(mean=1000.0, cv=20.0))
    found = drift(wild, replace(SEEN, requests=FEWEST_REQUESTS, input=1600.0), differed=())
    assert found is not None
    assert found.off == (), "a mean of 200 such prompts is often off by more"


class Episode:
    """A demand whose status is all that is remembered."""

    def __init__(self) -> None:
        self.live: dict[str, Any] = demand_object()
        self.written = 0

    def say(self, seen: SeenLengths | None, declared: Workload = DECLARED) -> tuple[Reason | None, str]:
        conditions, fields = lengths_said(declared, seen, self.live)
        rendered = [
            {"type": item.type, "status": str(item.status), "reason": item.reason.value, "message": item.message}
            for item in conditions
        ]
        status = {"conditions": rendered, **fields}
        self.written += status != self.live.get("status")
        self.live["status"] = status
        return (conditions[0].reason, conditions[0].message) if conditions else (None, "")


def test_it_is_said_once_with_both_figures_and_the_mend() -> None:
    episode = Episode()
    assert episode.say(None) == (None, "")
    assert episode.say(SEEN) == (Reason.LENGTHS_AGREE, "")
    reason, message = episode.say(replace(SEEN, input=2000.0))
    assert reason is Reason.LENGTHS_DIFFER
    assert message == (
        "mean input is declared as 1000 tokens and measured as 2000: what is planned holds for what is declared; "
        "mend spec.demand.workload"
    )
    mended = replace(DECLARED, input=Lengths(mean=2000.0))
    assert episode.say(replace(SEEN, input=2000.0), mended)[0] is Reason.LENGTHS_AGREE


def test_r1_a_wobble_writes_nothing_whether_lengths_differ_or_not() -> None:
    for mean in (1000.0, 2000.0, 1000.0 * (FACTOR + AGREED) / 2.0):
        episode = Episode()
        episode.say(replace(SEEN, input=mean))
        written = episode.written
        for number in range(100):
            episode.say(replace(SEEN, input=mean * (1.0 + 0.06 * (-1) ** number), requests=1e4 + number))
        assert episode.written == written


def test_r8_after_a_restart_and_while_nobody_answers_it_stands_as_it_stood() -> None:
    episode = Episode()
    said = episode.say(replace(SEEN, input=2000.0))
    assert episode.say(None) == said
    assert episode.live["status"]["lengths"] == {"input": 2000.0, "output": 200.0, "differ": ["input"]}
    assert episode.written == 1


def test_a_mend_is_seen_where_nobody_measures_any_more() -> None:
    episode = Episode()
    episode.say(replace(SEEN, input=2000.0))
    mended = replace(DECLARED, input=Lengths(mean=2100.0))
    assert episode.say(None, mended) == (Reason.LENGTHS_AGREE, "")
    assert episode.live["status"]["lengths"] == {"input": 2000.0, "output": 200.0}
    assert episode.say(replace(SEEN, input=2000.0, requests=3.0), mended)[0] is Reason.LENGTHS_AGREE
    assert episode.written == 2


def test_that_prompts_differ_does_not_make_answers_differ_sooner() -> None:
    episode = Episode()
    episode.say(replace(SEEN, input=2000.0))
    _, message = episode.say(replace(SEEN, input=1400.0, output=280.0))
    assert "input" in message
    assert "output" not in message
    assert episode.say(replace(SEEN, input=1100.0, output=280.0))[0] is Reason.LENGTHS_AGREE
    assert episode.live["status"]["lengths"] == {"input": 1100.0, "output": 280.0}


def test_where_nobody_kept_which_differed_both_have_to_agree() -> None:
    episode = Episode()
    episode.say(replace(SEEN, input=2000.0))
    del episode.live["status"]["lengths"]["differ"]
    assert episode.say(replace(SEEN, output=280.0))[0] is Reason.LENGTHS_DIFFER


@pytest.mark.parametrize("kept", [3, {"input": "x"}, {"input": None, "output": True}, []])
def test_a_status_that_nobody_can_read_is_written_anew(kept: object) -> None:
    episode = Episode()
    episode.live["status"] = {"lengths": kept}
    episode.say(SEEN)
    assert episode.live["status"]["lengths"] == {"input": 1000.0, "output": 200.0}
