"""All that statuses are written from."""

from dataclasses import dataclass, field
from datetime import datetime

from atoll.domain.plan import Plan
from atoll.domain.planning import Planning
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.discover import Discovered
from atoll.reconcile.service import Service
from atoll.reconcile.transition import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that a status is written from.

    Attributes:
        snapshot: what was seen.
        planning: the planner's latest decision.
        plan: the plan in force; None before the first.
        step: what the executor does now and waits for.
        service: what is served.
        now: the moment.
        discovered: pools that were made of what the cluster has.
    """

    snapshot: Snapshot
    planning: Planning
    plan: Plan | None
    step: Step
    service: Service
    now: datetime
    discovered: Discovered = field(default_factory=Discovered)

    @property
    def to_approve(self) -> Plan | None:
        """The plan that somebody has to approve before anything moves on; None where nobody has to."""
        proposal = self.planning.proposal(self.plan)
        pinned = self.plan is not None and bool(self.plan.rollback_of)
        return proposal if proposal is not None and (pinned or not proposal.approved) else None
