"""A scenario played from its first epoch to its last."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from atoll.domain.demand import Demand, DemandKey
from atoll.domain.fleet import Acknowledgement, Fleet, Mode, RouterTarget
from atoll.domain.pool import Provisioning
from atoll.domain.profile import PerformanceProfile
from atoll.domain.reason import Fault
from atoll.domain.signal import HISTORY, SAMPLES, DemandSignal, Kept, Reading
from atoll.reconcile.estimate import forecast
from atoll.reconcile.lead import lead_seconds
from atoll.reconcile.measured import Pace, measure
from atoll.simulate.conditions import Conditions, Strike
from atoll.simulate.curves import Curve
from atoll.simulate.operator import Adoption, Decide, Operator
from atoll.simulate.scenario import Begin, Seen
from atoll.simulate.world import Node, World

_WARM_SECONDS = 6 * 3600.0
"""Longest time that a fleet is given to settle before the first epoch."""

_MOST_LOOKS = 30
"""Looks at one moment; an operator that still writes then undoes what it did, which is a defect of it."""

_RESTLESS_SECONDS = 15.0
"""From such a moment to the next look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is played.

    Attributes:
        fleet: policy.
        demands: by key, with the priorities of the scenario.
        curves: demand over time, by key.
        conditions: supply over time.
        start: moment of the first epoch.
        epochs: how many.
        epoch_seconds: length of one, seconds.
        begin: state of the fleet at the first epoch.
        profiles: measured step times.
    """

    fleet: Fleet
    demands: Mapping[DemandKey, Demand]
    curves: Mapping[DemandKey, Curve]
    conditions: Conditions
    start: datetime
    epochs: int
    epoch_seconds: float
    begin: Begin = Begin.SETTLED
    profiles: tuple[PerformanceProfile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What one epoch was like; rates are means over it, requests/s.

    Attributes:
        number: from 0.
        demand: requests/s that came, by demand.
        asked: requests/s that the plan was made for, by demand.
        capacity: requests/s that could be served, by demand.
        served: requests/s that were, by demand.
        cost: US$ of all nodes.
        nodes: at its end.
        adoptions: plans adopted in it.
        lost: replicas on nodes that were taken away.
        restless: moments at which the operator's writes came to no end; above 0 only by a defect of it.
    """

    number: int
    demand: Mapping[DemandKey, float]
    asked: Mapping[DemandKey, float]
    capacity: Mapping[DemandKey, float]
    served: Mapping[DemandKey, float]
    cost: float
    nodes: int
    adoptions: tuple[Adoption, ...]
    lost: int
    restless: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A scenario that was played by one way to decide.

    Attributes:
        name: of the way to decide.
        epochs: in order.
        solves: decisions made in all.
        faults: demands that nothing can serve.
    """

    name: str
    epochs: tuple[Epoch, ...]
    solves: int
    faults: Mapping[DemandKey, Fault]


@dataclass(slots=True)
class _Meter:
    """Integrals over the current epoch."""

    seconds: float = 0.0
    cost: float = 0.0
    restless: int = 0
    capacity: dict[DemandKey, float] = field(default_factory=dict)
    served: dict[DemandKey, float] = field(default_factory=dict)


def play(
    setting: Setting, decide: Decide, *, name: str, holds: bool = True, tell: Callable[[int], object] = lambda _: None
) -> Played:
    """Play a scenario.

    Args:
        setting: what is played.
        decide: how plans are made.
        name: of that.
        holds: demand is held as the operator does; otherwise the forecast of each epoch is taken as it is.
        tell: is told how many epochs are over.
    """
    return _Player(setting, decide, holds=holds).play(name, tell)


class _Player:
    def __init__(self, setting: Setting, decide: Decide, *, holds: bool) -> None:
        self._setting = setting
        self._holds = holds
        fleet = setting.fleet
        router = replace(fleet.router, acknowledgement=Acknowledgement.NONE, target=RouterTarget.ENVOY)
        began = setting.start - timedelta(seconds=_WARM_SECONDS)
        self._world = World(
            now=began if setting.begin is Begin.SETTLED else setting.start,
            fleet=replace(fleet, mode=Mode.AUTOMATIC, router=router),
            demands={},
            pools=setting.conditions.seen(0.0),
            obtainable=setting.conditions.obtainable(0.0),
            profiles=setting.profiles,
        )
        self._operator = Operator(world=self._world, decide=decide)
        self._asked: dict[DemandKey, float] = {}
        self._estimates: dict[DemandKey, float] = {}
        self._meter = _Meter()
        self._strikes = list(setting.conditions.strikes)
        self._told = 0

    def play(self, name: str, tell: Callable[[int], object]) -> Played:
        setting = self._setting
        if setting.begin is Begin.SETTLED:
            self._ask(0)
            self._run(self._rates(0), setting.start, until_settled=True)
            self._world.now = setting.start
        epochs = []
        for number in range(setting.epochs):
            epochs.append(self._epoch(number))
            tell(number + 1)
        return Played(
            name=name,
            epochs=tuple(epochs),
            solves=self._operator.solves,
            faults=self._operator.faults,
        )

    def _epoch(self, number: int) -> Epoch:
        setting, world = self._setting, self._world
        begin = number * setting.epoch_seconds
        self._meter = _Meter()
        adopted = len(self._operator.adoptions) if number else 0
        world.pools = setting.conditions.seen(begin)
        world.obtainable = setting.conditions.obtainable(begin)
        lost = self._strike(begin)
        self._ask(number)
        rates = self._rates(number)
        self._run(rates, setting.start + timedelta(seconds=begin + setting.epoch_seconds))
        meter = self._meter
        return Epoch(
            number=number,
            demand=rates,
            asked=dict(self._asked),
            capacity={key: total / meter.seconds for key, total in meter.capacity.items()},
            served={key: total / meter.seconds for key, total in meter.served.items()},
            cost=meter.cost,
            nodes=len(world.nodes),
            adoptions=tuple(self._operator.adoptions[adopted:]),
            lost=lost,
            restless=meter.restless,
        )

    def _rates(self, number: int) -> dict[DemandKey, float]:
        seconds = self._setting.epoch_seconds
        return {key: curve.rate(number, seconds) for key, curve in self._setting.curves.items()}

    def _ask(self, number: int) -> None:
        """What the operator knows of demand when an epoch begins: all epochs before it."""
        for key, curve in self._setting.curves.items():
            self._asked[key] = self._wanted(key, curve, number)
        self._world.demands = {
            key: replace(demand, rate=self._asked[key]) for key, demand in self._setting.demands.items()
        }

    def _wanted(self, key: DemandKey, curve: Curve, number: int) -> float:
        seconds = self._setting.epoch_seconds
        if curve.seen is Seen.DECLARED:
            return curve.rate(number, seconds)
        signal = self._setting.demands[key].signal or DemandSignal()
        signal = replace(signal, window_seconds=seconds * SAMPLES)
        now = self._setting.start + timedelta(seconds=number * seconds)
        samples = tuple(
            (now.timestamp() - back * seconds, curve.rate(number - back, seconds)) for back in range(HISTORY, 0, -1)
        )
        lead = self._lead_seconds(key)
        if not self._holds:
            lead_samples = max(1, math.ceil(lead / seconds) + 1)
            return forecast([rate for _, rate in samples], lead_samples=lead_samples).upper
        pace = Pace(lead_seconds=lead, keep_seconds=self._setting.fleet.keep_window_seconds)
        kept = Kept(estimate=self._estimates.get(key))
        found = measure(signal, Reading(samples=samples, heard_at=now), kept, pace, now)
        if found.estimate is not None:
            self._estimates[key] = found.estimate
        return signal.planned(self._estimates[key], now)

    def _lead_seconds(self, key: DemandKey) -> float:
        plan = self._operator.adoptions[-1].plan if self._operator.adoptions else None
        return lead_seconds(key, plan, self._world.pools)

    def _run(self, rates: Mapping[DemandKey, float], until: datetime, *, until_settled: bool = False) -> None:
        """Let the operator and the world go on until a moment, or until the operator is content."""
        world, operator = self._world, self._operator
        while True:
            rested = self._rests()
            if until_settled and operator.converged:
                return
            event = world.next_event() if rested else world.now + timedelta(seconds=_RESTLESS_SECONDS)
            step = until if event is None else min(event, until)
            self._meter.restless += not rested
            self._measure(rates, (step - world.now).total_seconds())
            world.now = step
            if step >= until:
                return

    def _rests(self) -> bool:
        """Have the operator look until it writes no more; whether that came to an end."""
        for _ in range(_MOST_LOOKS):
            self._world.settle()
            if not self._operator.look():
                return True
        return False

    def _measure(self, rates: Mapping[DemandKey, float], seconds: float) -> None:
        meter, world = self._meter, self._world
        price = {offering.key: offering.price_per_hour for pool in world.pools.values() for offering in pool.offerings}
        owned = {name for name, pool in world.pools.items() if pool.provisioning is Provisioning.FIXED}
        per_hour = sum(price[node.offering] for node in world.nodes.values() if node.offering.pool not in owned)
        meter.seconds += seconds
        meter.cost += per_hour * seconds / 3600.0
        for key, rate in rates.items():
            capacity = self._operator.capacity.get(key, 0.0)
            meter.capacity[key] = meter.capacity.get(key, 0.0) + capacity * seconds
            meter.served[key] = meter.served.get(key, 0.0) + min(rate, capacity) * seconds

    def _strike(self, at: float) -> int:
        """Take nodes away; replicas that go with them."""
        lost = 0
        while self._strikes and self._strikes[0].at <= at:
            strike = self._strikes.pop(0)
            for node in self._struck(strike):
                lost += sum(pod.node == node.name and pod.item.stage == 0 for pod in self._world.pods.values())
                if strike.notice_seconds > 0.0:
                    node.leaves_at = self._world.now + timedelta(seconds=strike.notice_seconds)
                else:
                    self._world.lose(node)
        return lost

    def _struck(self, strike: Strike) -> list[Node]:
        nodes = [
            node for node in self._world.nodes.values() if node.offering in strike.offerings and node.leaves_at is None
        ]
        nodes.sort(key=lambda node: (-self._world.used_gpus(node), node.name))
        return nodes if strike.nodes is None else nodes[: strike.nodes]
