"""The operator in a simulated world: planner and executor, one look at a time, with the operator's own decisions."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from atoll.domain.demand import DemandKey
from atoll.domain.plan import Plan, PlanPhase
from atoll.domain.planning import Planning
from atoll.domain.problem import ReplicaGroup
from atoll.domain.reason import Fault
from atoll.domain.snapshot import Snapshot
from atoll.optimize.case import Case, Decision
from atoll.optimize.posing import case_of
from atoll.reconcile.adopt import adopt, basis_of
from atoll.reconcile.look import look_at
from atoll.reconcile.moments import format_moment
from atoll.reconcile.plans import current_plan, phases, prunable
from atoll.reconcile.problem import demand_digest, inputs_of, trigger, without_faulty
from atoll.reconcile.service import service_of
from atoll.render.router.routing import RouterSettings
from atoll.simulate.world import World

Decide = Callable[[Case], Decision]
"""Both stages of a decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """A plan that took another's place.

    Attributes:
        at: when.
        trigger: why it was decided, in a few words.
        plan: the new one.
        started: replicas that it has and the one before had not.
        stopped: replicas that the one before had and it has not.
        moved: replicas of a demand that were started in the place of stopped ones.
    """

    at: datetime
    trigger: str
    plan: Plan
    started: int
    stopped: int
    moved: int


@dataclass(slots=True, kw_only=True)
class Operator:
    """Decides and acts upon a world; what it remembers is what the real one keeps in memory.

    Attributes:
        world: that it looks at.
        decide: how.
        router: where routers would run.
        adoptions: plans adopted so far.
        solves: decisions made so far.
        faults: demands that nothing can serve.
        capacity: requests/s that replicas carry now, by demand.
        converged: nothing is left to do for the plan in force.
    """

    world: World
    decide: Decide
    router: RouterSettings = field(default_factory=RouterSettings)
    adoptions: list[Adoption] = field(default_factory=list)
    solves: int = 0
    faults: dict[DemandKey, Fault] = field(default_factory=dict)
    capacity: dict[DemandKey, float] = field(default_factory=dict)
    converged: bool = False
    _planning: Planning | None = None

    def look(self) -> bool:
        """One look of the planner and one of the executor; whether anything was written."""
        planned = self._plan()
        return self._act() or planned

    def _plan(self) -> bool:
        snapshot, now = self.world.snapshot(), self.world.now
        inputs = inputs_of(snapshot, now)
        why = trigger(self._planning.inputs if self._planning else None, inputs)
        if not why:
            return False
        answer = self._decided(snapshot, now)
        self.solves += 1
        self.faults = dict(answer.faults)
        current = current_plan(snapshot.plans)
        decision = adopt(
            answer.problem,
            answer.allocation,
            demands=without_faulty(snapshot, answer.faults).demands,
            fleet=snapshot.fleet,
            previous_cost_per_hour=current.cost_per_hour if current else 0.0,
        )
        self._planning = Planning(
            basis=basis_of(answer.problem),
            solved_at=now,
            faults=answer.faults,
            decision=decision,
            trigger=why,
            inputs=inputs,
            demands={key: demand_digest(demand) for key, demand in snapshot.demands.items()},
        )
        for item in decision.demands:
            for group in item.replicas:
                self.world.startups[item.key, group.group.strategy.id] = group.startup_seconds
        proposal = self._planning.proposal(current)
        if proposal is None:
            return False
        self._adopt(proposal, current, why)
        return True

    def _decided(self, snapshot: Snapshot, now: datetime) -> Decision:
        """As the planner does: anew as long as a demand that runs turns out to have a fault."""
        faults: dict[DemandKey, Fault] = {}
        while True:
            answer = self.decide(_case(without_faulty(snapshot, faults), now))
            faults |= answer.faults
            if not any(item.demand in answer.faults for item in snapshot.deployments):
                return replace(answer, faults=faults)

    def _adopt(self, plan: Plan, current: Plan | None, why: str) -> None:
        now = self.world.now
        started, stopped, moved = difference(current.groups if current else (), plan.groups)
        self.adoptions.append(Adoption(at=now, trigger=why, plan=plan, started=started, stopped=stopped, moved=moved))
        new = replace(plan, approved=True, phase=PlanPhase.PROPOSED, created=format_moment(now))
        self.world.plans = (*(known for known in self.world.plans if known.name != plan.name), new)

    def _act(self) -> bool:
        """As the executor does."""
        planning = self._planning
        if planning is None:
            return False
        found = look_at(self.world.snapshot(), planning, self.router, self.world.now)
        self.world.act(found.step.actions)
        self.converged = found.step.converged
        self.capacity = dict(service_of(found.snapshot, found.plan, found.desired).served_rate)
        self._tell_phases(planning)
        return bool(found.step.actions)

    def _tell_phases(self, planning: Planning) -> None:
        plans = self.world.plans
        changed = phases(plans, planning, converged=self.converged)
        plans = tuple(replace(plan, phase=changed.get(plan.name, plan.phase)) for plan in plans)
        gone = {plan.name for plan in prunable(plans, self.world.fleet.plan_history)}
        self.world.plans = tuple(plan for plan in plans if plan.name not in gone)


def difference(before: Iterable[ReplicaGroup], after: Iterable[ReplicaGroup]) -> tuple[int, int, int]:
    """Replicas started, stopped and, of these, moved: a demand's replica that starts where another one stops."""
    old, new = _counted(before), _counted(after)
    started: Counter[DemandKey] = Counter()
    stopped: Counter[DemandKey] = Counter()
    for identity in old.keys() | new.keys():
        change = new[identity] - old[identity]
        started[identity[0]] += max(0, change)
        stopped[identity[0]] += max(0, -change)
    moved = sum(min(started[key], stopped[key]) for key in started)
    return started.total(), stopped.total(), moved


def _counted(groups: Iterable[ReplicaGroup]) -> Counter[tuple[DemandKey, str, object]]:
    counts: Counter[tuple[DemandKey, str, object]] = Counter()
    for group in groups:
        counts[group.demand, group.strategy.id, group.site] += group.count
    return counts


def _case(snapshot: Snapshot, now: datetime) -> Case:
    """As the planner poses it, but for what is for people only."""
    return replace(case_of(snapshot, now), compare=False, explain=False)
