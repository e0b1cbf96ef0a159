"""By how much what serves a demand exceeds what its plan wants: so much may be drained."""

from collections import defaultdict
from collections.abc import Iterable

from atoll.domain.demand import DemandKey
from atoll.reconcile.move import Move
from atoll.reconcile.room import Room
from atoll.reconcile.sides import Side, carried
from atoll.reconcile.victims import Victim

_TOLERANCE = 1e-9
_BREAKABLE = 0.25
"""Share of a demand's wanted rate that may be missing while its replicas make room for their successors: what a
Deployment's rolling update takes by default."""


class Spare:
    """Requests/s that each demand can do without; victims are taken out one after another."""

    def __init__(self, move: Move, room: Room, victims: Iterable[Victim]) -> None:
        self._wanted: dict[DemandKey, float] = defaultdict(float)
        self._serving: dict[DemandKey, dict[Side, float]] = defaultdict(lambda: defaultdict(float))
        self._starting = set(move.grown)
        self._leaving: set[DemandKey] = set()
        asked: dict[DemandKey, dict[Side, float]] = defaultdict(lambda: defaultdict(float))
        for key, wanted in move.desired.deployments.items():
            if wanted.stage == 0:
                asked[wanted.demand][wanted.side] += wanted.count * wanted.rate
            if key in move.live:
                # One that is Ready but that routers have not found yet still starts.
                serving = move.relied_on(key) + len(move.leaving(key)) + move.draining(key)
                if move.live[key].replicas > serving + room.stuck(key):
                    self._starting.add(wanted.demand)
        for key, item in move.live.items():
            if item.stage == 0 and move.whole(key):
                self._serving[item.demand][move.side(key)] += move.relied_on(key) * move.rate(key)
        for victim in victims:
            if victim.draining:  # decided anew, as if it still served
                self._serving[victim.demand][victim.side] += victim.rate
        self._wanted.update({demand: carried(rates) for demand, rates in asked.items()})

    def without(self, victim: Victim) -> None:
        """Count a victim out."""
        self._serving[victim.demand][victim.side] -= victim.rate
        if victim.head is not None:
            self._leaving.add(victim.demand)

    def suffices(self, victim: Victim) -> bool:
        """What is wanted is served without the victim."""
        return self._left(victim) >= -_TOLERANCE

    def breakable(self, victim: Victim) -> bool:
        """Most of what is wanted is served without the victim, or it is the first of its demand to go."""
        if victim.demand not in self._leaving:
            return True
        least = -_BREAKABLE * self._wanted[victim.demand]
        return not victim.refilled and self._left(victim) >= least - _TOLERANCE

    def starting(self, demand: DemandKey) -> bool:
        """Replicas of a demand start on nodes that are there or will come."""
        return demand in self._starting

    def _left(self, victim: Victim) -> float:
        """What serves its demand beyond what is wanted, without the victim, requests/s."""
        rates = dict(self._serving[victim.demand])
        rates[victim.side] = rates.get(victim.side, 0.0) - victim.rate
        return carried(rates) - self._wanted[victim.demand]
