"""What a ModelDemand says of its measurements: all that the next decision needs, and nothing twice a minute."""

import math
import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from atoll.domain.objects import MODEL_DEMAND, ApplyStatus, Emit, EventType
from atoll.domain.reason import Fault, Reason
from atoll.domain.signal import SAMPLES, DemandSignal, Reading
from atoll.reconcile.conditions import status_actions
from atoll.reconcile.measured import Pace, measure, read_kept
from atoll.reconcile.status.measured import measured_condition, measured_fields
from reconcile.worlds import NOW, demand_object

SIGNAL = DemandSignal(minimum=0.5)
STEP = timedelta(seconds=SIGNAL.step_seconds)
PACE = Pace(lead_seconds=966.0, keep_seconds=600.0)
AWAY = Fault(reason=Reason.SIGNAL_UNREACHABLE, message="no answer")


class Episode:
    """A demand that is looked at after every sample; its status is all that is remembered."""

    def __init__(self) -> None:
        self.now: datetime = NOW
        self.live: dict[str, Any] = demand_object()
        self.rates: list[tuple[float, float]] = []
        self.writes = 0
        self.events: list[tuple[str, EventType]] = []
        self.estimates: list[float | None] = []

    def look(self, *rates: float, fault: Fault | None = None, asked: bool = True) -> None:
        for rate in rates or (None,):
            self.now += STEP
            if rate is not None:
                self.rates = [*self.rates, (math.floor(self.now.timestamp() / 30.0) * 30.0, rate)][-SAMPLES:]
            reading = Reading(samples=tuple(self.rates), heard_at=self.now, fault=fault) if asked else None
            found = measure(SIGNAL, reading, read_kept(self.live), PACE, self.now)
            planned = SIGNAL.planned(found.estimate or 0.0, self.now)
            actions = status_actions(
                MODEL_DEMAND,
                self.live,
                {"demandRate": planned},
                measured_condition(found, self.live),
                self.now,
                exact=measured_fields(found, self.live, rate=planned, cost=10.0),
            )
            for action in actions:
                if isinstance(action, ApplyStatus):
                    self.writes += 1
                    self.live = {**self.live, "status": action.intent["status"]}
                elif isinstance(action, Emit):
                    self.events.append((action.reason, action.type))
            self.estimates.append(found.estimate)

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.live["status"]["measured"])


def noisy(level: float, count: int, seed: int = 1) -> list[float]:
    source = random.Random(seed)  # noqa: S311  # noise, no secret
    return [max(0.0, source.gauss(level, 0.05 * level)) for _ in range(count)]


def test_r1_c15_steady_demand_with_noise_is_written_once() -> None:
    episode = Episode()
    episode.look(*noisy(25.0, 60))
    before = episode.writes
    episode.look(*noisy(25.0, 120, seed=2))
    assert episode.writes == before
    assert len(set(episode.estimates[60:])) == 1


def test_the_status_carries_what_the_next_decision_needs() -> None:
    episode = Episode()
    episode.look(*[0.01234] * 60)
    assert episode.status["estimate"] == 0.0124, "also where it is small"
    kept = read_kept(episode.live)
    assert (kept.estimate, kept.level) == (0.0124, 0.012)


def test_the_cost_of_headroom_is_its_part_of_the_cost() -> None:
    episode = Episode()
    episode.look(10.0)
    assert (episode.status["observedRate"], episode.status["estimate"]) == (10.0, 12.0)
    assert episode.status["headroomCostPerHour"] == round(10.0 * (1.0 - 10.0 / 12.0), 2)


def test_r8_a_signal_that_goes_is_told_once_with_an_event_and_told_again_when_it_is_back() -> None:
    episode = Episode()
    episode.look(*[25.0] * 60)
    for _ in range(30):
        episode.look(fault=AWAY)
    assert episode.events == [("SignalUnreachable", EventType.WARNING)]
    until = episode.status["measuredUntil"]
    assert until == episode.live["status"]["conditions"][0]["message"][-len(until) :]
    assert set(episode.estimates[60:]) == {25.0}
    before = episode.writes
    episode.look(fault=AWAY)
    assert episode.writes == before
    episode.look(25.0)
    assert episode.events[-1] == ("Measured", EventType.NORMAL)
    assert "measuredUntil" not in episode.status


def test_c16_a_restart_writes_nothing_and_forgets_nothing() -> None:
    episode = Episode()
    episode.look(*[25.0] * 60)
    for fault in (None, AWAY):
        for _ in range(20 if fault else 0):
            episode.look(fault=fault)
        before, live = episode.writes, episode.live
        episode.look(asked=False)
        assert (episode.writes, episode.live) == (before, live)
        assert episode.estimates[-1] == 25.0


def test_a_demand_that_is_not_measured_says_nothing_of_it() -> None:
    assert measured_condition(None, demand_object()) == ()
    assert measured_fields(None, demand_object(), rate=1.0, cost=1.0) == {}


def test_before_the_first_question_of_all_it_is_unknown() -> None:
    found = measure(SIGNAL, None, read_kept(demand_object()), PACE, NOW)
    (condition,) = measured_condition(found, demand_object())
    assert (condition.status, condition.reason) == (None, Reason.AWAITING_SIGNAL)
    assert measured_fields(replace(found, estimate=None), demand_object(), rate=1.0, cost=1.0) == {}
