"""The executor: takes the next safe step towards the current plan, and says where everything stands."""

import logging
from dataclasses import dataclass
from datetime import datetime

from atoll.cluster.execute import Outcome, Result
from atoll.domain.fleet import Mode
from atoll.domain.objects import Action, Apply, Delete, Scale, reference
from atoll.domain.planning import Planning
from atoll.domain.snapshot import Snapshot
from atoll.handlers.metrics import Metrics
from atoll.handlers.planner import Write
from atoll.reconcile.discover import discover, pool_writes
from atoll.reconcile.look import look_at
from atoll.reconcile.service import service_of
from atoll.reconcile.status.view import View
from atoll.reconcile.status.write import status_writes
from atoll.reconcile.transition import Step
from atoll.render.router.routing import RouterSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Moves the fleet; all that it remembers is in the cluster.

    Attributes:
        write: carries actions out.
        router: where the router runs.
        metrics: to count in.
    """

    write: Write
    router: RouterSettings
    metrics: Metrics

    async def look(self, snapshot: Snapshot, planning: Planning, now: datetime) -> Step:
        """One step: decide, write, tell."""
        discovered = discover(snapshot, now)  # also for demands that are at fault for want of pools
        found = look_at(snapshot, planning, self.router, now)
        if snapshot.fleet.mode is not Mode.PAUSED:
            _log(await self.write((*pool_writes(snapshot, discovered), *found.step.actions)))
        view = View(
            snapshot=found.snapshot,
            planning=planning,
            plan=found.plan,
            step=found.step,
            service=service_of(found.snapshot, found.plan, found.desired),
            now=now,
            discovered=discovered,
        )
        _log(await self.write(status_writes(view)))
        self.metrics.measure(view)
        return found.step


def _log(outcomes: tuple[Outcome, ...]) -> None:
    for outcome in outcomes:
        if outcome.result is Result.FAILED:
            reason = outcome.reason.value if outcome.reason else ""
            logger.warning("%s", outcome.error, extra={"reason": reason})
        elif outcome.result is Result.DONE and isinstance(outcome.action, Apply | Scale | Delete):
            logger.info("%s", _said(outcome.action))


def _said(action: Action) -> str:
    match action:
        case Apply():
            return f"applied {reference(action.intent)}: {action.why}"
        case Scale():
            return f"scaled {action.target} to {action.replicas}: {action.why}"
        case Delete():
            return f"deleted {action.target}: {action.why}"
        case _:
            return ""
