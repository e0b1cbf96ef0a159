"""The operator's decision for what manifests declare, with nothing running."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType

from atoll.api.manifests import Manifests
from atoll.domain.demand import Demand, DemandKey
from atoll.domain.fleet import Fleet
from atoll.domain.objects import MODEL_DEMAND
from atoll.domain.pool import Provisioning, Supply
from atoll.domain.reason import Fault, Reason
from atoll.domain.snapshot import Snapshot
from atoll.optimize.baseline import one_kind_per_served_model
from atoll.optimize.case import Case
from atoll.optimize.decide import pose
from atoll.optimize.solve import solve
from atoll.performance.estimate import ShippedPerformance
from atoll.reconcile.adopt import adopt
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.supply import supplies
from atoll.render.router.routing import RouterSettings
from atoll.report.numbers import amount, counted
from atoll.report.plan import PlanReport
from atoll.report.shortfall import shortfall_reasons

_LONGEST_BASELINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a decision is asked for.

    Attributes:
        fleet: name of the Fleet.
        moment: that schedules are read for.
        deadline_seconds: for stage two, seconds; None for the Fleet's own.
        baseline: seek the best answer with one GPU kind per served model too.
    """

    fleet: str
    moment: datetime
    deadline_seconds: float | None = None
    baseline: bool = True


@dataclass(slots=True)
class _Watch:
    """Wall-clock time since the last look."""

    last: float = field(default_factory=time.monotonic)

    def lap(self) -> float:
        now = time.monotonic()
        seconds, self.last = now - self.last, now
        return seconds


def decide(manifests: Manifests, asked: Asked, *, tell: Callable[[str], object]) -> PlanReport:
    """Decide what runs where.

    Args:
        manifests: what is declared.
        asked: for which fleet, moment and deadline.
        tell: is told what is being done, for people.
    """
    snapshot = snapshot_of(manifests, asked.fleet)
    policy = snapshot.fleet.solve
    if asked.deadline_seconds is not None:
        policy = replace(policy, deadline_seconds=asked.deadline_seconds)
    demands = tuple(snapshot.demands.values())
    watch = _Watch()
    tell(f"Stage one: serving strategies of {counted(len(demands), 'demand')} …")
    case = Case(
        demands=demands,
        supplies=offline_supplies(snapshot, asked.moment),
        running=(),
        policy=policy,
        profiles=snapshot.profiles,
        start=snapshot.fleet.start,
    )
    problem, impossible = pose(case, ShippedPerformance())
    stage_one = watch.lap()
    tell(f"Stage two: replicas and nodes, at most {policy.deadline_seconds:g} s …")
    allocation = solve(problem)
    watch.lap()
    rival = None
    if asked.baseline:
        shorter = min(policy.deadline_seconds, _LONGEST_BASELINE_SECONDS)
        tell(f"For comparison: one GPU kind per served model, at most {shorter:g} s …")
        rival = one_kind_per_served_model(replace(problem, policy=replace(policy, deadline_seconds=shorter)))
    comparison = watch.lap()
    plan = adopt(problem, allocation, demands=snapshot.demands, fleet=snapshot.fleet, previous_cost_per_hour=0.0)
    _, unrendered = desired_objects(snapshot, plan, RouterSettings())
    return PlanReport(
        plan=plan,
        demands=snapshot.demands,
        pools=snapshot.pools,
        faults=named_faults(manifests, snapshot, impossible, unrendered),
        baseline_per_hour=rival.cost_per_hour if rival else None,
        baseline_shortfall=_unserved(rival.shortfall, snapshot.demands, impossible) if rival else 0.0,
        solver=allocation.solver,
        solve_seconds=allocation.solve_seconds,
        budget_per_hour=policy.budget_per_hour,
        levels=allocation.levels,
        shortfall_reasons=shortfall_reasons(problem, allocation),
        premises=_premises(manifests, snapshot, asked.moment),
        deadline_seconds=policy.deadline_seconds,
        stage_one_seconds=stage_one,
        baseline_seconds=comparison if rival else None,
    )


def _unserved(
    shortfall: Mapping[DemandKey, float], demands: Mapping[DemandKey, Demand], impossible: Iterable[DemandKey]
) -> float:
    """Requests/s not served, all demands: those that nothing can serve are in no answer of the solver."""
    return sum(shortfall.values()) + sum(demands[key].rate for key in impossible if key not in shortfall)


def snapshot_of(manifests: Manifests, fleet: str) -> Snapshot:
    """What the operator would see of these manifests in an empty cluster."""
    policy = next((item for item in manifests.fleets if item.name == fleet), Fleet(name=fleet))
    return Snapshot(
        fleet=policy,
        demands={item.key: item for item in sorted(manifests.demands, key=lambda d: d.key) if item.fleet == fleet},
        pools={item.name: item for item in manifests.pools if item.fleet == fleet},
        profiles=tuple(sorted(manifests.profiles, key=lambda item: item.name)),
    )


def offline_supplies(snapshot: Snapshot, now: datetime) -> tuple[Supply, ...]:
    """Supplies where no cluster tells how many nodes of ``Fixed`` pools are Ready: all that they may have."""
    owned = {
        offering.key: offering.max_nodes
        for pool in snapshot.pools.values()
        if pool.provisioning is Provisioning.FIXED
        for offering in pool.offerings
    }
    rows = supplies(snapshot, now)
    return tuple(replace(row, obtainable=owned.get(row.offering, row.obtainable)) for row in rows)


def named_faults(
    manifests: Manifests,
    snapshot: Snapshot,
    impossible: Mapping[DemandKey, Fault],
    unrendered: Mapping[DemandKey, Fault] = MappingProxyType({}),
) -> dict[str, Fault]:
    """All faults by what they are of: place and object in the manifests, or the demand.

    Args:
        manifests: with the faults found in reading them.
        snapshot: what they declare.
        impossible: demands that no strategy serves.
        unrendered: demands that rendering refuses; these win.
    """
    found = {f"{item.origin}: {item.target}" if item.target else item.origin: item.fault for item in manifests.faults}
    faulty = {**_without_pools(manifests, snapshot, impossible), **unrendered}
    return found | {f"{MODEL_DEMAND.name} {key}": fault for key, fault in faulty.items()}


def _without_pools(
    manifests: Manifests, snapshot: Snapshot, faults: Mapping[DemandKey, Fault]
) -> Mapping[DemandKey, Fault]:
    """Faults of demands that are no fault of theirs where pools were given, but refused."""
    refused = manifests.pools_refused
    if not refused:
        return faults
    places = ", ".join(refused[:3]) + (f" and {len(refused) - 3} more" if len(refused) > 3 else "")
    mend = f"mend what is refused at {places}: pools are missing that may fit"
    found = {}
    for key, fault in faults.items():
        if fault.reason is Reason.NO_POOL_FITS:
            message = f"{fault.message}; or {mend}" if snapshot.pools else mend
            found[key] = replace(fault, message=message, field=fault.field if snapshot.pools else "")
        else:
            found[key] = fault
    return found


def _premises(manifests: Manifests, snapshot: Snapshot, moment: datetime) -> tuple[str, ...]:
    """What a plan without a cluster takes for granted."""
    said = f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    lines = [
        f"{demand.key} wants {amount(demand.rate)} requests/s by its schedule at {said} "
        f"(at most {amount(manifests.peaks[key])} at other times: --at TIME)"
        for key, demand in snapshot.demands.items()
        if key in manifests.peaks
    ]
    lines += [
        f"{demand.key} is measured: {amount(demand.rate)} requests/s taken, with head-room, minimum and floors"
        for demand in snapshot.demands.values()
        if demand.signal is not None
    ]
    fixed = [pool for pool in snapshot.pools.values() if pool.provisioning is Provisioning.FIXED]
    if fixed:
        nodes = sum(offering.max_nodes for pool in fixed for offering in pool.offerings)
        names = ", ".join(sorted(pool.name for pool in fixed)[:3]) + (", …" if len(fixed) > 3 else "")
        lines.append(
            f"all {counted(nodes, 'node')} of {counted(len(fixed), 'Fixed pool')} ({names}) are Ready (maxNodes); "
            "they are paid for anyway and cost nothing here"
        )
    lines.append(_margin(snapshot.fleet.solve.rate_confidence))
    return tuple(lines)


def _margin(confidence: float) -> str:
    setting = "Fleet spec.solve.rateConfidence"
    if confidence <= 1.0 / 2.0:
        return f"rates are as estimated, without a margin for the estimates' errors ({setting})"
    return (
        f"rates have a margin for the estimates' errors: replicas of a strategy deliver theirs with probability "
        f"{100 * confidence:.0f} % ({setting})"
    )
