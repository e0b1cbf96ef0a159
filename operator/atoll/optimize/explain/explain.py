"""An allocation explained: prices first, for everything at once, then experiments as long as there is time."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

import numpy as np

from atoll.domain.demand import DemandKey
from atoll.domain.explanation import Basis, Binding, DemandExplanation, Explanation, NodeWorth
from atoll.domain.pool import Supply
from atoll.domain.problem import Allocation, Problem
from atoll.optimize.decomposition import EXACT_DOMAINS
from atoll.optimize.effort import Effort
from atoll.optimize.explain import alternatives, bindings, nodes
from atoll.optimize.explain.alternatives import Candidate
from atoll.optimize.explain.ground import Ground, needs_of, space_for
from atoll.optimize.explain.prices import Prices, lifted, priced, prices_of
from atoll.optimize.explain.resolve import improved
from atoll.optimize.space import Floats, Space

ALTERNATIVES = 3
NODES = 8
"""Alternatives of each demand, and offerings, that an explanation names."""

PRICES_SHARE = 0.5
"""Of the time, for prices, as a share: any prices are valid, better ones prove more."""

EXPERIMENT_SECONDS = 1.0
"""Limit of one experiment."""

EXPERIMENT_GAP = 1e-5
"""At which an experiment may stop: what is asked is the small difference of two large costs."""

EXPERIMENTS = 40
"""Most experiments where a budget of work counts instead of the clock."""

NEAR = 2e-3
FAR = 2e-2
"""Gap at which an allocation counts as the best there is, and up to which the best plan found beside it does."""

SAME = 1e-3
"""Share by which shortfalls may differ and still be as good."""

_CENT = 0.005
"""What is less than half a cent an hour, and so nothing to tell of, US$/h."""


def explain(
    problem: Problem,
    allocation: Allocation,
    *,
    seconds: float,
    demands: Collection[DemandKey] | None = None,
    most: int = ALTERNATIVES,
    clock: Callable[[], float] = time.monotonic,
) -> Explanation:
    """Why an allocation is as it is.

    With ``policy.work_budget`` the explanation depends on problem and allocation alone.

    Args:
        problem: as it was solved.
        allocation: the answer to it.
        seconds: in which to be done; one experiment or one round of pricing may end later.
        demands: which are asked for; None for all.
        most: alternatives of each demand.
        clock: seconds, monotonic.
    """
    began = clock()
    time_left = _TimeLeft(clock=clock, until=began + seconds, nodes=problem.policy.work_budget)
    space = space_for(problem, allocation)
    asked = [number for number, wanted in enumerate(space.demands) if demands is None or wanted.key in demands]
    if not asked or not space.supplies:
        return Explanation(demands={key: DemandExplanation() for key in demands or ()}, seconds=clock() - began)
    middle = began + PRICES_SHARE * seconds
    needs = needs_of(space, allocation)
    prices = _prices(space, needs, lambda _: bool(time_left.nodes) or clock() < middle)
    ground = Ground(problem=problem, allocation=allocation, space=space, prices=prices)
    work = _Work(ground=ground, time_left=time_left)
    for demand in asked:
        if work.candidates and time_left.is_late:
            break
        work.candidates[demand] = alternatives.candidates(ground, demand, most)
        key = space.demands[demand].key
        work.bindings[key] = bindings.told(ground, key)
    rows = [row for row in problem.demands if demands is None or row.key in demands]
    work.worths = (nodes.worths(ground, rows) or nodes.wished_for(ground, rows))[:NODES]
    work.experiment()
    return work.explanation(clock() - began)


def _prices(space: Space, needs: Floats, goes_on: Callable[[int], bool]) -> Prices:
    """Prices of the space itself; of many places by way of the pooled space, where the rounds are few."""
    if len(space.demands) * len(space.places) <= EXACT_DOMAINS:
        return prices_of(space, needs, goes_on)
    pooled = space.pooled()
    slots = prices_of(pooled, needs, goes_on).slots
    class_of = {place.capacity_type: number for number, place in enumerate(pooled.places)}
    each = np.array([class_of[place.capacity_type] for place in space.places], dtype=np.int64)
    return priced(space, needs, lifted(space, slots[each]))


@dataclass(slots=True)
class _TimeLeft:
    """Time, or a number of experiments."""

    clock: Callable[[], float]
    until: float
    nodes: int
    done: int = 0

    def __bool__(self) -> bool:
        return self.done < EXPERIMENTS if self.nodes else not self.is_late

    @property
    def is_late(self) -> bool:
        """Whether the time is up, where it counts."""
        return not self.nodes and self.clock() >= self.until

    def effort(self) -> Effort:
        """For the next experiment."""
        self.done += 1
        deadline = min(self.until, self.clock() + EXPERIMENT_SECONDS)
        return Effort(clock=self.clock, deadline=deadline, nodes=self.nodes, gap=EXPERIMENT_GAP)


@dataclass(slots=True, kw_only=True)
class _Work:
    """What is known so far; better after each experiment."""

    ground: Ground
    time_left: _TimeLeft
    candidates: dict[int, list[Candidate]] = field(default_factory=dict)
    bindings: dict[DemandKey, list[Binding]] = field(default_factory=dict)
    worths: list[tuple[Supply, NodeWorth]] = field(default_factory=list)

    def experiment(self) -> None:
        """The next best of every demand first, then nodes, then limits, then what is further off.

        Nothing, where the allocation is far from its best: then an experiment would find what the solver did not, and
        a change would get the credit for it.
        """
        if not self._is_at_rest():
            return
        self._alternatives(slice(0, 1))
        self._nodes(slice(0, len(self.worths) // 2 + 1))
        self._limits()
        self._alternatives(slice(1, None))
        self._nodes(slice(len(self.worths) // 2 + 1, None))

    def _is_at_rest(self) -> bool:
        """Whether there is no better plan for less than a small gap; a better one that is found is noted."""
        ground = self.ground
        if not ground.allocation.conditional and ground.value - ground.bound <= NEAR * ground.value:
            return True
        if not self.time_left:
            return False
        answer = improved(ground, self.time_left.effort())
        keys = {*answer.shortfall, *ground.allocation.shortfall}
        short = ground.allocation.shortfall
        if any(
            abs(answer.shortfall.get(k, 0.0) - short.get(k, 0.0)) > SAME * max(1.0, short.get(k, 0.0)) for k in keys
        ):
            return False
        self.ground = replace(ground, known=answer.cost)
        return self.ground.value - ground.bound <= FAR * ground.value

    def _alternatives(self, which: slice) -> None:
        for found in self.candidates.values():
            for place, candidate in list(enumerate(found))[which]:
                if self.time_left:
                    found[place] = alternatives.resolved(self.ground, candidate, self.time_left.effort())

    def _nodes(self, which: slice) -> None:
        for place, (supply, worth) in list(enumerate(self.worths))[which]:
            if self.time_left:
                better = nodes.resolved(self.ground, supply, worth, self.time_left.effort())
                self.worths[place] = (supply, better)

    def _limits(self) -> None:
        rows = {row.key: row for row in self.ground.problem.demands}
        for key, found in self.bindings.items():
            for limit, placement in bindings.loosened(rows[key]):
                if not self.time_left:
                    return
                binding = bindings.resolved(self.ground, key, limit, placement, self.time_left.effort())
                if binding is not None:
                    found[:] = [item for item in found if item.limit is not limit] + [binding]

    def explanation(self, seconds: float) -> Explanation:
        """What is known, sorted for people."""
        told = {}
        is_short = bool(self.ground.allocation.shortfall)
        for demand, found in self.candidates.items():
            key = self.ground.space.demands[demand].key
            # Where something is short prices say nothing of what an alternative would take from others.
            known = [c.alternative for c in found if not is_short or c.alternative.basis is Basis.RESOLVED]
            ordered = sorted(known, key=lambda item: item.more_per_hour)
            told[key] = DemandExplanation(alternatives=tuple(ordered), bindings=tuple(self.bindings[key]))
        worths = [w for _, w in self.worths if w.saves_per_hour >= _CENT or w.serves > 0.0]
        return Explanation(
            demands=told,
            nodes=tuple(sorted(worths, key=lambda w: (-w.serves, -w.saves_per_hour, w.offering))),
            bound_per_hour=max(0.0, self.ground.prices.bound),
            seconds=seconds,
        )
