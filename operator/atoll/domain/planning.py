"""What the planner knows beside the plan: why it last solved, what went wrong, what each demand delivers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from atoll.domain.demand import DemandKey
from atoll.domain.plan import Plan
from atoll.domain.reason import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """The planner's latest decision; in memory only, because a restart decides the same again.

    Attributes:
        basis: hash of what it was decided for.
        faults: demands that no plan can serve, with the reason.
        fleet_fault: why no decision could be made, such as a solver that hung; None where one was made.
        decision: the plan that it would have now, with the rates and bound of this moment; None where none was made.
        solved_at: when.
        solve_seconds: wall-clock time of the solve, seconds.
        solver: what found the answer.
        trigger: why it was solved, in a few words.
        inputs: digests of what it was decided for, by what it is; empty where no decision was made.
        demands: digests of the demands that it was decided for.
    """

    basis: str
    solved_at: datetime
    faults: Mapping[DemandKey, Fault] = field(default_factory=dict)
    fleet_fault: Fault | None = None
    decision: Plan | None = None
    solve_seconds: float = 0.0
    solver: str = ""
    trigger: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    demands: Mapping[DemandKey, str] = field(default_factory=dict)

    def in_force(self, current: Plan | None) -> Plan | None:
        """The current plan with the numbers of this moment, where it still is the decision."""
        if current is None or self.decision is None or self.decision.content != current.content:
            return current
        return replace(
            self.decision,
            approved=current.approved,
            phase=current.phase,
            created=current.created,
            uid=current.uid,
            basis=current.basis,
        )

    def proposal(self, current: Plan | None) -> Plan | None:
        """The decision, where it is another plan than the current one."""
        if self.decision is None or (current is not None and self.decision.content == current.content):
            return None
        return self.decision
