"""By how much what serves a demand exceeds what its plan wants: so much may be drained."""

from collections import defaultdict
from collections.abc import Iterable

from atoll.domain.demand import DemandKey
from atoll.reconcile.move import Move
from atoll.reconcile.room import Room
from atoll.reconcile.victims import Victim

_TOLERANCE = 1e-9
_BREAKABLE = 0.25
"""Share of a demand's wanted rate that may be missing while its replicas make room for their successors: what a
Deployment's rolling update takes by default."""


class Spare:
    """Requests/s that each demand can do without; victims are taken out one after another."""

    def __init__(self, move: Move, room: Room, victims: Iterable[Victim]) -> None:
        self._wanted: dict[DemandKey, float] = defaultdict(float)
        self._spare: dict[DemandKey, float] = defaultdict(float)
        self._starting = set(move.grown)
        self._leaving: set[DemandKey] = set()
        for key, wanted in move.desired.deployments.items():
            if wanted.stage == 0:
                self._wanted[wanted.demand] += wanted.count * wanted.rate
            if key in move.live:
                serving = move.serving(key) + len(move.leaving(key)) + move.draining(key)
                if move.live[key].replicas > serving + room.stuck(key):
                    self._starting.add(wanted.demand)
        for key, item in move.live.items():
            if item.stage == 0 and move.whole(key):
                self._spare[item.demand] += move.relied_on(key) * move.rate(key)
        for victim in victims:
            if victim.draining:  # decided anew, as if it still served
                self._spare[victim.demand] += victim.rate
        for demand, rate in self._wanted.items():
            self._spare[demand] -= rate

    def without(self, victim: Victim) -> None:
        """Count a victim out."""
        self._spare[victim.demand] -= victim.rate
        if victim.head is not None:
            self._leaving.add(victim.demand)

    def suffices(self, victim: Victim) -> bool:
        """What is wanted is served without the victim."""
        return self._spare[victim.demand] - victim.rate >= -_TOLERANCE

    def breakable(self, victim: Victim) -> bool:
        """Most of what is wanted is served without the victim, or it is the first of its demand to go."""
        if victim.demand not in self._leaving:
            return True
        least = -_BREAKABLE * self._wanted[victim.demand]
        return not victim.refilled and self._spare[victim.demand] - victim.rate >= least - _TOLERANCE

    def starting(self, demand: DemandKey) -> bool:
        """Replicas of a demand start on nodes that are there or will come."""
        return demand in self._starting
