"""What a ModelDemand says."""

from collections import Counter
from typing import Any

from atoll.domain.demand import Demand, DemandKey
from atoll.domain.fleet import Mode
from atoll.domain.objects import MODEL_DEMAND, Action, ObjectLike, Reference
from atoll.domain.plan import PlannedDemand
from atoll.domain.reason import Fault, Reason
from atoll.reconcile.conditions import Condition, status_actions
from atoll.reconcile.corrections import correction_fields
from atoll.reconcile.policy import policy_fault
from atoll.reconcile.problem import demand_digest
from atoll.reconcile.shares import per_million_tokens
from atoll.reconcile.softlimits import unkept
from atoll.reconcile.status.measured import lengths_said, measured_condition, measured_fields
from atoll.reconcile.status.view import View

_LISTED = 16
"""Strategies listed; the rest is counted."""


def demand_status(view: View, ref: Reference, live: ObjectLike) -> tuple[Action, ...]:
    """The status write of one ModelDemand."""
    key = DemandKey(namespace=ref.namespace, name=ref.name)
    if live["metadata"].get("deletionTimestamp"):
        return ()
    measured = view.snapshot.measured.get(key)
    faults = view.snapshot.faults.get(ref) or ((view.planning.faults[key],) if key in view.planning.faults else ())
    if faults:
        serving = view.service.ready_replicas[key]
        said = _faulty(faults[0], serving) + measured_condition(measured, live)
        return status_actions(MODEL_DEMAND, live, _faulty_fields(serving), said, view.now, exact=_remembered(live))
    demand = view.snapshot.demands.get(key)
    if demand is None:
        return ()  # of another fleet
    as_declared, lengths = lengths_said(demand.workload, view.snapshot.lengths.get(key), live)
    planned = next((item for item in view.plan.demands if item.key == key), None) if view.plan else None
    conditions = _demand_conditions(view, demand, planned, was_ready=_was_ready(live))
    cost = planned.cost_per_hour if planned else 0.0
    return status_actions(
        MODEL_DEMAND,
        live,
        _demand_fields(view, demand, planned),
        conditions + measured_condition(measured, live) + as_declared,
        view.now,
        exact={
            **measured_fields(measured, live, rate=demand.rate, cost=cost),
            **lengths,
            **correction_fields(view.snapshot.corrections.get(key, ()), live),
        },
    )


def _remembered(live: ObjectLike) -> dict[str, Any]:
    """What decisions read back once the fault is mended: a field that is not sent again would be gone."""
    status = live.get("status") or {}
    return {name: status[name] for name in ("measured", "lengths", "corrections") if name in status}


def _faulty_fields(serving: int) -> dict[str, Any]:
    return {"readyReplicas": serving}


def _faulty(fault: Fault, serving: int) -> tuple[Condition, ...]:
    """Conditions of an object that cannot be acted on; what served before goes on."""
    message = str(fault) + (f" ({serving} replicas of the last valid state go on serving)" if serving else "")
    return (
        Condition(type="Ready", status=False, reason=fault.reason, message=message),
        Condition(type="Planned", status=False, reason=fault.reason, message=str(fault)),
        Condition(type="Routed", status=serving > 0, reason=Reason.ROUTED if serving else fault.reason),
        Condition(type="Degraded", status=True, reason=fault.reason, message=str(fault)),
    )


def _was_ready(live: ObjectLike) -> bool:
    """Whether the demand was Ready as it is declared now: moves after that are no news, unless replicas are missing."""
    conditions = (live.get("status") or {}).get("conditions") or ()
    ready: ObjectLike = next((item for item in conditions if item.get("type") == "Ready"), {})
    return ready.get("status") == "True" and ready.get("observedGeneration") == live["metadata"].get("generation")


def _demand_conditions(
    view: View, demand: Demand, planned: PlannedDemand | None, *, was_ready: bool
) -> tuple[Condition, ...]:
    plan_is = _planned_condition(view, demand, planned, was_ready=was_ready)
    routed = _routed_condition(view, demand)
    wanted, ready = view.service.wanted_replicas[demand.key], view.service.ready_replicas[demand.key]
    short = planned is not None and planned.shortfall > 0.0
    if not plan_is.status:
        readiness = Condition(type="Ready", status=False, reason=plan_is.reason, message=plan_is.message)
    elif demand.rate <= 0.0 and not wanted:
        readiness = Condition(type="Ready", status=True, reason=Reason.NO_DEMAND, message="nothing is asked for")
    elif ready < wanted or (not was_ready and demand.key in view.step.waiting):
        readiness = _starting(view, demand, wanted, ready)
    elif not routed.status:
        readiness = Condition(type="Ready", status=False, reason=routed.reason, message=routed.message)
    else:
        message = f"{wanted} replicas serve {demand.rate:g} requests/s"
        readiness = Condition(type="Ready", status=True, reason=Reason.SERVING, message=message)
    unmet = planned.unmet if planned else ()
    if short or unmet:
        named = next((known for known in Reason if unmet and known.value == unmet[0]), Reason.SHORTFALL)
        reason = named if not short or named is Reason.QUOTA_REACHED else Reason.SHORTFALL
        message = plan_is.message if short else "; ".join(unkept(unmet, demand.placement))
        degraded = Condition(type="Degraded", status=True, reason=reason, message=message)
    else:
        degraded = Condition(type="Degraded", status=False, reason=Reason.HEALTHY)
    return readiness, plan_is, routed, degraded


def _planned_condition(view: View, demand: Demand, planned: PlannedDemand | None, *, was_ready: bool) -> Condition:
    def no(reason: Reason, message: str) -> Condition:
        return Condition(type="Planned", status=False, reason=reason, message=message)

    decided = view.planning.demands.get(demand.key)
    # Decided and not in force yet: what the former plan serves says nothing of a demand that was changed.
    decision_comes = view.to_approve is None and view.planning.proposal(view.plan) is not None
    if (
        planned is None
        or planned.uid != demand.uid
        or abs(planned.rate - demand.rate) > 1e-6 * max(1.0, demand.rate)
        or (decided is not None and decided != demand_digest(demand))
        or (decision_comes and not was_ready)
    ):
        if view.planning.fleet_fault is not None:
            return no(view.planning.fleet_fault.reason, str(view.planning.fleet_fault))
        if view.snapshot.fleet.mode is Mode.PAUSED:
            invalid = policy_fault(view.snapshot)
            why = f"is invalid: {invalid}" if invalid else "is Paused: set spec.mode to Automatic or Recommend"
            return no(Reason.PAUSED, f"Fleet {view.snapshot.fleet.name} {why}")
        if view.to_approve is not None:
            name = view.to_approve.name
            return no(
                Reason.AWAITING_APPROVAL,
                f'approve it: kubectl patch fleetplan {name} --type=merge -p \'{{"spec":{{"approved":true}}}}\'',
            )
        return no(Reason.PLANNING, "the next plan will take it up")
    if planned.shortfall > 0.0:
        return no(*_shortfall(demand, planned))
    return Condition(type="Planned", status=True, reason=Reason.PLANNED, message=planned.reason)


def _shortfall(demand: Demand, planned: PlannedDemand) -> tuple[Reason, str]:
    """Why a demand is not served in full, with the mend."""
    part = f"{max(0.0, planned.rate - planned.shortfall):.3g} of {planned.rate:.3g} requests/s can be served"
    if Reason.QUOTA_REACHED in planned.unmet:
        return Reason.QUOTA_REACHED, (
            f"{part} within the GPU quota of namespace {demand.key.namespace}: raise it in spec.quotas of Fleet "
            f"{demand.fleet}, or lower a demand there"
        )
    return Reason.SHORTFALL, (
        f"{part} with what can be had: raise maxNodes of a pool, allow more GPU kinds or regions, or lower the demand"
    )


def _routed_condition(view: View, demand: Demand) -> Condition:
    if demand.rate <= 0.0 and not view.service.wanted_replicas[demand.key]:
        return Condition(type="Routed", status=True, reason=Reason.NO_DEMAND)
    if (fault := view.step.unrouted.get(demand.key)) is not None:
        return Condition(type="Routed", status=False, reason=fault.reason, message=fault.message)
    if not view.service.ready_replicas[demand.key]:
        return Condition(
            type="Routed", status=False, reason=Reason.REPLICAS_STARTING, message="no replica is Ready to be routed to"
        )
    return Condition(type="Routed", status=True, reason=Reason.ROUTED)


def _starting(view: View, demand: Demand, wanted: int, ready: int) -> Condition:
    waiting = view.service.waiting[demand.key]
    gated = view.service.gated[demand.key]
    reason = Reason.REPLICAS_PENDING if waiting else Reason.SCHEDULING_GATED if gated else Reason.REPLICAS_STARTING
    message = (
        f"{ready} of {wanted} replicas are Ready; waits {view.step.waiting.get(demand.key, 'for replicas to start')}"
    )
    if waiting or gated:
        message += f" ({waiting or gated})"
    return Condition(type="Ready", status=False, reason=reason, message=message)


def tokens_price(demand: Demand, planned: PlannedDemand | None) -> float | None:
    """US$ per million tokens of prompts and answers that a plan serves; None where it serves none."""
    if planned is None:
        return None
    served = max(0.0, planned.rate - planned.shortfall)
    return per_million_tokens(planned.cost_per_hour, served, demand.workload)


def _demand_fields(view: View, demand: Demand, planned: PlannedDemand | None) -> dict[str, Any]:
    replicas = planned.replicas if planned else ()
    total: Counter[str] = Counter()
    for item in replicas:
        total[item.group.strategy.id] += item.group.count
    unique = {item.group.strategy.id: item for item in replicas}
    kinds = sorted({stage.gpu_kind for item in replicas for stage in item.group.strategy.stages})
    price = tokens_price(demand, planned)
    return {
        **({} if price is None else {"costPerMillionTokens": price}),
        "demandRate": demand.rate,
        "servedRate": view.service.served_rate[demand.key],
        "shortfall": planned.shortfall if planned else 0.0,
        "costPerHour": planned.cost_per_hour if planned else 0.0,
        "replicas": view.service.wanted_replicas[demand.key],
        "readyReplicas": view.service.ready_replicas[demand.key],
        "gpuKinds": ",".join(kinds),
        "strategies": [
            {
                "id": key,
                "strategy": str(item.group.strategy),
                "replicas": total[key],
                "readyReplicas": view.service.ready_by_strategy[demand.key, key],
                "rate": item.rate,
            }
            for key, item in sorted(unique.items())[:_LISTED]
        ],
        "strategiesTotal": len(unique),
    }
