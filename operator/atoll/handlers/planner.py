"""The planner: looks whether anything that a plan depends on has changed, and if so has it decided anew."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from atoll.cluster.execute import Outcome
from atoll.domain.demand import DemandKey
from atoll.domain.fleet import Mode
from atoll.domain.objects import Action
from atoll.domain.planning import Planning
from atoll.domain.reason import Fault
from atoll.domain.snapshot import Snapshot
from atoll.handlers.metrics import Metrics
from atoll.optimize.case import Case, Decision
from atoll.optimize.posing import case_of
from atoll.reconcile.adopt import adopt, basis_of
from atoll.reconcile.plans import current_plan
from atoll.reconcile.planwrites import plan_actions, prune
from atoll.reconcile.problem import demand_digest, inputs_of, trigger, without_faulty

logger = logging.getLogger(__name__)

_RETRY = timedelta(seconds=30)
"""After a solver that hung or crashed: a defect that repeats must not keep the machine busy for nothing else."""


Decide = Callable[[Case], Awaitable[Decision | Fault]]
"""Decides a case in a process of its own: the decision, or why there is none; never raises for what happens there."""

Write = Callable[[Sequence[Action]], Awaitable[tuple[Outcome, ...]]]
"""Carries actions out, as long as we hold the Lease."""


@dataclass(slots=True, kw_only=True)
class Planner:
    """Decides; writes FleetPlans and nothing else.

    Attributes:
        decide: both stages, in another process.
        write: carries actions out.
        metrics: to count in.
        planning: the latest decision; None before the first.
    """

    decide: Decide
    write: Write
    metrics: Metrics
    planning: Planning | None = None
    _inputs: dict[str, str] | None = field(default=None)
    _retry_at: datetime | None = field(default=None)

    async def look(self, snapshot: Snapshot, now: datetime) -> bool:
        """One look: decide anew where an input has changed; whether there is something new to act upon."""
        if snapshot.fleet.mode is Mode.PAUSED and self.planning is not None:
            return False
        inputs = inputs_of(snapshot, now)
        why = trigger(self._inputs, inputs)
        # Farther away than it was ever set, the clock was set back.
        waits = self._retry_at is not None and now < self._retry_at <= now + _RETRY
        if not why or waits:
            return await self._write_plan(snapshot, now)
        logger.info("solving (%s): %d demands, %d pools", why, len(snapshot.demands), len(snapshot.pools))
        answer = await self._decide(snapshot, now)
        fault = answer if isinstance(answer, Fault) else answer.fault
        self._inputs = inputs if fault is None else None
        self._retry_at = None if fault is None else now + _RETRY
        self.metrics.replans.labels(reason=why).inc()
        self.planning = replace(self._judge(snapshot, answer, why, now), inputs=inputs)
        await self._write_plan(snapshot, now)
        return True

    async def _decide(self, snapshot: Snapshot, now: datetime) -> Decision | Fault:
        """The decision; decided anew as long as a demand that runs turns out to have a fault.

        What runs for such a demand goes on, so that its GPUs are not to be had.
        """
        faults: dict[DemandKey, Fault] = {}
        while True:
            answer = await self.decide(case_of(without_faulty(snapshot, faults), now))
            if isinstance(answer, Fault):
                return answer
            faults |= answer.faults
            if not any(item.demand in answer.faults for item in snapshot.deployments):
                return replace(answer, faults=faults)

    def _judge(self, snapshot: Snapshot, answer: Decision | Fault, why: str, now: datetime) -> Planning:
        if isinstance(answer, Fault):
            logger.error("no decision: %s", answer, extra={"reason": answer.reason.value})
            before = self.planning
            return Planning(
                basis=before.basis if before else "",
                solved_at=now,
                faults=before.faults if before else {},
                decision=before.decision if before else None,
                fleet_fault=answer,
                trigger=why,
                demands=before.demands if before else {},
            )
        planned = without_faulty(snapshot, answer.faults)
        current = current_plan(snapshot.plans)
        decision = adopt(
            answer.problem,
            answer.allocation,
            demands=planned.demands,
            fleet=snapshot.fleet,
            previous_cost_per_hour=current.cost_per_hour if current else 0.0,
            explanation=answer.explanation,
            baseline=answer.baseline,
        )
        allocation = answer.allocation
        self.metrics.solve_seconds.labels(fleet=snapshot.fleet.name).observe(allocation.solve_seconds)
        logger.info(
            "decided %s: %.2f US$/h, bound %.2f, gap %.2f %%, by %s in %.1f s",
            decision.name,
            decision.cost_per_hour,
            decision.bound_per_hour,
            100.0 * decision.gap,
            allocation.solver,
            allocation.solve_seconds,
        )
        return Planning(
            basis=basis_of(answer.problem),
            solved_at=now,
            faults=answer.faults,
            decision=decision,
            fleet_fault=answer.fault,
            solve_seconds=allocation.solve_seconds,
            solver=allocation.solver,
            trigger=why,
            demands={key: demand_digest(demand) for key, demand in snapshot.demands.items()},
        )

    async def _write_plan(self, snapshot: Snapshot, now: datetime) -> bool:
        """Write the decision as a FleetPlan where it is not the current plan yet, and prune the history.

        Whether something was written: the cache knows it then, so that the watch will tell nothing new. In mode Paused
        nothing is; after a restart it is decided all the same, for what statuses say.
        """
        if snapshot.fleet.mode is Mode.PAUSED:
            return False
        proposal = self.planning.proposal(current_plan(snapshot.plans)) if self.planning else None
        actions = prune(snapshot, proposal, now)
        if proposal is not None:
            actions += plan_actions(proposal, snapshot)
        if actions:
            await self.write(actions)
        return bool(actions)
