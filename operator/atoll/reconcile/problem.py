"""From a snapshot to the solver's problem, and whether a new one must be solved."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from atoll.domain.demand import Demand, DemandKey
from atoll.domain.objects import MODEL_DEMAND, Reference
from atoll.domain.plan import Plan
from atoll.domain.planning import Planning
from atoll.domain.pool import Supply
from atoll.domain.problem import DemandRow
from atoll.domain.reason import Fault
from atoll.domain.snapshot import Snapshot
from atoll.domain.startup import WeightsSource
from atoll.domain.strategy import Template
from atoll.reconcile.corrections import applied_factors
from atoll.reconcile.digest import digest
from atoll.reconcile.running import lost_pods
from atoll.reconcile.supply import supplies


def build_rows(demands: Iterable[Demand], templates: Mapping[DemandKey, tuple[Template, ...]]) -> tuple[DemandRow, ...]:
    """Each demand as the solver sees it."""
    return tuple(
        DemandRow(
            key=demand.key,
            rate=demand.rate,
            templates=templates[demand.key],
            priority=demand.priority,
            placement=demand.placement,
        )
        for demand in demands
    )


def widths(items: Iterable[Supply]) -> dict[str, int]:
    """GPUs of the largest node on offer, by GPU kind; a kind of which nothing can be had is still a kind."""
    found: dict[str, int] = {}
    for supply in items:
        found[supply.gpu_kind] = max(supply.gpus, found.get(supply.gpu_kind, 0))
    return found


def inputs_of(snapshot: Snapshot, now: datetime) -> dict[str, str]:
    """A digest of each input of the decision, by what it is: what differs from the last solve is why to solve again.

    Replicas that start or stop as planned are no input; replicas that are lost are.
    """
    return {
        "demands": digest([demand_digest(item) for _, item in sorted(snapshot.demands.items())]),
        "pools": digest(supplies(snapshot, now)),
        "policy": digest(
            [
                snapshot.fleet.solve,
                snapshot.fleet.explain,
                snapshot.fleet.baseline,
                snapshot.fleet.mode,
                snapshot.fleet.start,
            ]
        ),
        "corrections": digest([[key, factors] for key, factors in sorted(applied_factors(snapshot).items())]),
        "profiles": digest([repr(profile) for profile in snapshot.profiles]),
        "losses": digest(sorted([pod.namespace, pod.name] for pod in lost_pods(snapshot))),
    }


def replan_due(snapshot: Snapshot, planning: Planning, current: Plan | None, now: datetime) -> bool:
    """Whether another plan is about to take the current one's place, so that what only hurts had better wait.

    Where the solver fails there is none to wait for, nor while a rollback is in force: the next plan is for somebody to
    approve.
    """
    if planning.fleet_fault is not None or (current is not None and current.rollback_of):
        return False
    decided = planning.proposal(current)
    changed = bool(planning.inputs) and bool(trigger(planning.inputs, inputs_of(snapshot, now)))
    return changed or (decided is not None and decided.approved)


def trigger(before: Mapping[str, str] | None, after: Mapping[str, str]) -> str:
    """Why to solve again, in a few words; empty for no reason."""
    if before is None:
        return "first look"
    changed = [name for name, digest in after.items() if before.get(name) != digest]
    return f"changed: {', '.join(changed)}" if changed else ""


def without_faulty(snapshot: Snapshot, faults: Mapping[DemandKey, Fault]) -> Snapshot:
    """The snapshot without demands that no plan can serve: what runs for them stays as it is, and they say why."""
    if not faults:
        return snapshot
    named = {
        Reference(kind=MODEL_DEMAND.name, namespace=key.namespace, name=key.name): (fault,)
        for key, fault in faults.items()
        if key in snapshot.demands
    }
    return replace(
        snapshot,
        demands={key: item for key, item in snapshot.demands.items() if key not in faults},
        faults={**snapshot.faults, **named},
    )


def demand_digest(demand: Demand) -> str:
    """A digest of what a plan for a demand depends on."""
    inputs = [
        str(demand.key),
        demand.uid,
        demand.rate,
        demand.priority,
        repr(demand.architecture),
        repr(demand.workload),
        repr(demand.objectives),
        demand.quantisations,
        demand.placement,
        demand.engine.name,
        demand.engine.pairs,
        WeightsSource.of(demand.weights),
    ]
    return digest(inputs)
