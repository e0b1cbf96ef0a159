"""What is to be decided at a moment: the same case for the operator, the simulation and what-if."""

from datetime import datetime

from atoll.domain.fleet import Baseline
from atoll.domain.snapshot import Snapshot
from atoll.optimize.case import Case
from atoll.reconcile.corrections import applied_factors
from atoll.reconcile.plans import current_plan
from atoll.reconcile.running import running
from atoll.reconcile.supply import supplies


def case_of(snapshot: Snapshot, now: datetime) -> Case:
    """Everything that a decision of this moment depends on."""
    current = current_plan(snapshot.plans)
    return Case(
        demands=tuple(snapshot.demands.values()),
        supplies=supplies(snapshot, now),
        running=running(snapshot, now),
        former=current.groups if current else (),
        policy=snapshot.fleet.solve,
        profiles=snapshot.profiles,
        start=snapshot.fleet.start,
        corrections=applied_factors(snapshot),
        compare=snapshot.fleet.baseline is Baseline.ONE_KIND_PER_MODEL,
        explain=snapshot.fleet.explain,
    )
