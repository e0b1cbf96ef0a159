"""What the fleet's gauges show at one moment: each a pure function of what statuses are written from.

All samples of a moment belong together, and what is gone has none: a deleted demand leaves no last value behind.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite

from atoll.domain.correction import Correction
from atoll.domain.demand import Demand, DemandKey
from atoll.domain.objects import FLEET, Reference
from atoll.domain.plan import PlannedDemand
from atoll.domain.pool import OfferingKey
from atoll.domain.signal import Measured
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.account import sums_at
from atoll.reconcile.costs import Cost, costs
from atoll.reconcile.lengths import drift
from atoll.reconcile.ownership import is_engine
from atoll.reconcile.status.demand import tokens_price
from atoll.reconcile.status.view import View
from atoll.reconcile.supply import supplies

Sample = tuple[tuple[str, ...], float]
"""Values of the labels, in order, and the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """One gauge of the fleet.

    Attributes:
        name: after the prefix ``atoll_``, with its unit.
        text: what it says.
        labels: after ``fleet``, which all have.
        sample: its samples at a moment.
    """

    name: str
    text: str
    labels: tuple[str, ...]
    sample: Callable[[View], Iterable[Sample]]


Samples = Mapping[str, tuple[Sample, ...]]
"""Samples of every gauge, by its name; label values begin with the fleet's name."""


def samples(view: View) -> Samples:
    """All gauges at one moment."""
    fleet = view.snapshot.fleet.name
    return {gauge.name: tuple(((fleet, *labels), value) for labels, value in gauge.sample(view)) for gauge in GAUGES}


def nodes_in_service(snapshot: Snapshot) -> dict[str, OfferingKey]:
    """Nodes that can be counted on and on which engines run that are to stay, by name."""
    under = {
        pod.node for pod in snapshot.pods if is_engine(pod.labels) and pod.node and not (pod.deleting or pod.finished)
    }
    return {
        name: node.offering
        for name, node in snapshot.nodes.items()
        if name in under and node.offering is not None and node.ready and not node.notice
    }


def lost_nodes(before: Mapping[str, OfferingKey], snapshot: Snapshot) -> Counter[OfferingKey]:
    """Nodes that were in service before and now are gone, have a notice or are not Ready, by offering."""

    def is_lost(name: str) -> bool:
        node = snapshot.nodes.get(name)
        return name not in snapshot.unheard if node is None else bool(node.notice) or not node.ready

    return Counter(offering for name, offering in before.items() if is_lost(name))


_DEMAND = ("namespace", "demand", "served_model", "priority")
_PAYER = ("by", "value")
_OFFERING = ("pool", "zone", "capacity_type")


def _of_fleet(value: float | None) -> Iterable[Sample]:
    return () if value is None else (((), value),)


def _of_demands(view: View, value: Callable[[Demand, PlannedDemand | None], float]) -> Iterable[Sample]:
    planned = {item.key: item for item in view.plan.demands} if view.plan else {}
    for key, demand in sorted(view.snapshot.demands.items()):
        labels = (key.namespace, key.name, demand.served_name, str(demand.priority))
        yield labels, value(demand, planned.get(key))


def _of_offerings(view: View, values: Mapping[OfferingKey, float]) -> Iterable[Sample]:
    for pool in view.snapshot.pools.values():
        for offering in pool.offerings:
            key = offering.key
            yield (key.pool, key.zone, key.capacity_type.value), float(values.get(key, 0.0))


def _budget(view: View) -> Iterable[Sample]:
    budget = view.snapshot.fleet.solve.budget_per_hour
    return _of_fleet(budget if isfinite(budget) else None)


def _demand(view: View) -> Iterable[Sample]:
    return _of_demands(view, lambda demand, _: demand.rate)


def _shortfall(view: View) -> Iterable[Sample]:
    return _of_demands(view, lambda demand, planned: planned.shortfall if planned else demand.rate)


def _served(view: View) -> Iterable[Sample]:
    return _of_demands(view, lambda demand, _: view.service.served_rate.get(demand.key, 0.0))


def _demand_cost(view: View) -> Iterable[Sample]:
    return _of_demands(view, lambda _, planned: planned.cost_per_hour if planned else 0.0)


def _tokens_price(view: View) -> Iterable[Sample]:
    planned = {item.key: item for item in view.plan.demands} if view.plan else {}
    for key, demand in sorted(view.snapshot.demands.items()):
        price = tokens_price(demand, planned.get(key))
        if price is not None:
            yield (key.namespace, key.name, demand.served_name, str(demand.priority)), price


def _account(view: View, index: int) -> Iterable[Sample]:
    live = view.snapshot.objects.get(Reference(kind=FLEET.name, name=view.snapshot.fleet.name), {})
    found = (live.get("status") or {}).get("account")
    return _of_fleet(sums_at(found, view.now)[index] if found else None)


def _costs(view: View, value: Callable[[Cost], float | None]) -> Iterable[Sample]:
    for item in costs(view.snapshot, view.plan):
        found = value(item)
        if found is not None:
            yield (item.payer.by, item.payer.value), found


def _wanted(view: View) -> Iterable[Sample]:
    return _of_demands(view, lambda demand, _: float(view.service.wanted_replicas[demand.key]))


def _ready(view: View) -> Iterable[Sample]:
    return _of_demands(view, lambda demand, _: float(view.service.ready_replicas[demand.key]))


def _of_signals(view: View, value: Callable[[Measured], float | None]) -> Iterable[Sample]:
    """Of measured demands; none where nothing is known."""
    for key, demand in sorted(view.snapshot.demands.items()):
        measured = view.snapshot.measured.get(key)
        found = value(measured) if measured is not None else None
        if found is not None:
            yield (key.namespace, key.name, demand.served_name, str(demand.priority)), found


def _signal_age(view: View) -> Iterable[Sample]:
    return _of_signals(
        view, lambda measured: (view.now - measured.sampled_at).total_seconds() if measured.sampled_at else None
    )


def _signal_held(view: View) -> Iterable[Sample]:
    for labels, held in _of_signals(view, lambda measured: float(measured.held)):
        key = DemandKey(namespace=labels[0], name=labels[1])
        yield (*labels, view.snapshot.measured[key].reason.value), held


def _length_ratios(view: View) -> Iterable[Sample]:
    """Of demands of which enough is known."""
    for key, demand in sorted(view.snapshot.demands.items()):
        found = drift(demand.workload, view.snapshot.lengths.get(key), differed=())
        for kind, ratio in (("input", found.input_ratio), ("output", found.output_ratio)) if found else ():
            yield (key.namespace, key.name, demand.served_name, str(demand.priority), kind), ratio


def _corrections(view: View, value: Callable[[Correction], float]) -> Iterable[Sample]:
    """Of demands that are planned for: of one at fault nobody knows the labels."""
    for key, demand in sorted(view.snapshot.demands.items()):
        for item in view.snapshot.corrections.get(key, ()):
            yield (key.namespace, key.name, demand.served_name, str(demand.priority), item.gpu_kind), value(item)


def _used_nodes(view: View) -> Iterable[Sample]:
    used: Counter[OfferingKey] = Counter()
    for item in view.plan.nodes if view.plan else ():
        used[item.offering] += item.nodes
    return _of_offerings(view, used)


def _ready_nodes(view: View) -> Iterable[Sample]:
    nodes = view.snapshot.nodes.values()
    return _of_offerings(view, Counter(n.offering for n in nodes if n.offering and n.ready and not n.notice))


def _obtainable_nodes(view: View) -> Iterable[Sample]:
    obtainable: Counter[OfferingKey] = Counter()
    for supply in supplies(view.snapshot, view.now):
        obtainable[supply.offering] += supply.obtainable
    return _of_offerings(view, obtainable)


def _prices(view: View) -> Iterable[Sample]:
    offerings = (offering for pool in view.snapshot.pools.values() for offering in pool.offerings)
    return _of_offerings(view, {offering.key: offering.price_per_hour for offering in offerings})


def _masked(view: View) -> Iterable[Sample]:
    return _of_offerings(view, {key: float(view.now < mask.until) for key, mask in view.snapshot.masks.items()})


def _faults(view: View) -> Iterable[Sample]:
    for ref, faults in sorted(view.snapshot.faults.items(), key=lambda item: item[0]):
        if faults:
            yield (ref.kind, ref.namespace, ref.name, faults[0].reason.value), 1.0


def _undecided(view: View) -> Iterable[Sample]:
    fault = view.planning.fleet_fault
    return () if fault is None else (((fault.reason.value,), 1.0),)


GAUGES: tuple[Gauge, ...] = tuple(
    Gauge(name=name, text=text, labels=labels, sample=sample)
    for name, text, labels, sample in (
        (
            "fleet_cost_dollars_per_hour",
            "Cost of the plan in force, beside what is paid for anyway, US$/h.",
            (),
            lambda view: _of_fleet(view.plan.cost_per_hour if view.plan else None),
        ),
        (
            "fleet_list_cost_dollars_per_hour",
            "Price of all nodes that the plan in force uses, owned and reserved ones too, US$/h.",
            (),
            lambda view: _of_fleet(view.plan.list_cost_per_hour if view.plan else None),
        ),
        (
            "fleet_bound_dollars_per_hour",
            "Proven lower bound of the cost, US$/h.",
            (),
            lambda view: _of_fleet(view.plan.bound_per_hour if view.plan else None),
        ),
        (
            "fleet_gap_ratio",
            "(cost - bound) / cost: how far from the least cost the plan can be at most.",
            (),
            lambda view: _of_fleet(view.plan.gap if view.plan else None),
        ),
        (
            "fleet_budget_dollars_per_hour",
            "spec.budgetPerHour of the Fleet, US$/h; no sample where none is set.",
            (),
            _budget,
        ),
        (
            "fleet_spent_dollars",
            "What the fleet has cost since it was first planned, as planned, US$.",
            (),
            lambda view: _account(view, 0),
        ),
        (
            "fleet_saved_dollars",
            "What it has cost less than spec.solve.baseline since then, while there was one, US$.",
            (),
            lambda view: _account(view, 1),
        ),
        (
            "fleet_mode",
            "1 for the mode that the Fleet is in: Automatic, Recommend or Paused.",
            ("mode",),
            lambda view: (((view.snapshot.fleet.mode.value,), 1.0),),
        ),
        (
            "plan_awaiting_approval",
            "1 while a FleetPlan waits for somebody to approve it, else 0.",
            (),
            lambda view: _of_fleet(float(view.to_approve is not None)),
        ),
        (
            "decision_failed",
            "1 while the latest decision failed, by reason; the plan in force stays. No sample where it did not.",
            ("reason",),
            _undecided,
        ),
        ("demand_requests_per_second", "Requests/s wanted of a served model.", _DEMAND, _demand),
        (
            "demand_observed_requests_per_second",
            "Requests/s of a measured demand in the last usable sample.",
            _DEMAND,
            lambda view: _of_signals(view, lambda measured: measured.latest),
        ),
        (
            "demand_level_requests_per_second",
            "Requests/s of a measured demand now, without noise.",
            _DEMAND,
            lambda view: _of_signals(view, lambda measured: measured.level),
        ),
        (
            "demand_estimate_requests_per_second",
            "Requests/s that a measured demand is planned for, before head-room, limits and floors.",
            _DEMAND,
            lambda view: _of_signals(view, lambda measured: measured.estimate),
        ),
        (
            "demand_floor_requests_per_second",
            "Requests/s that a measured demand is planned for at least.",
            _DEMAND,
            lambda view: _of_signals(view, lambda measured: measured.floor),
        ),
        (
            "demand_signal_age_seconds",
            "Seconds since the last usable sample of a measured demand.",
            _DEMAND,
            _signal_age,
        ),
        (
            "demand_signal_held",
            "1 while the estimate of a measured demand is held because its signal fails, else 0; by reason.",
            (*_DEMAND, "reason"),
            _signal_held,
        ),
        (
            "demand_length_ratio",
            "Mean tokens of prompts (input) and answers (output) as measured over those declared.",
            (*_DEMAND, "kind"),
            _length_ratios,
        ),
        (
            "observed_correction",
            "How many times as long as estimated an engine's steps take, as engines report; slow mean.",
            (*_DEMAND, "gpu_kind"),
            lambda view: _corrections(view, lambda item: item.observed),
        ),
        (
            "applied_correction",
            "The same as plans are made with, where the Fleet's solve.corrections is Apply.",
            (*_DEMAND, "gpu_kind"),
            lambda view: _corrections(view, lambda item: item.applied),
        ),
        (
            "shortfall_requests_per_second",
            "Requests/s wanted that the plan in force does not serve.",
            _DEMAND,
            _shortfall,
        ),
        (
            "served_requests_per_second",
            "Requests/s that Ready replicas can serve within the objectives: capacity, not traffic.",
            _DEMAND,
            _served,
        ),
        ("demand_cost_dollars_per_hour", "Its part of the nodes' price, by GPUs, US$/h.", _DEMAND, _demand_cost),
        (
            "demand_cost_dollars_per_million_tokens",
            "Its cost per million tokens of prompts and answers served, US$; no sample where none are.",
            _DEMAND,
            _tokens_price,
        ),
        (
            "cost_dollars_per_hour",
            "Cost of the demands of a namespace, and of each value of the labels of spec.cost of the Fleet, US$/h.",
            _PAYER,
            lambda view: _costs(view, lambda item: item.cost_per_hour),
        ),
        (
            "cost_dollars_per_million_tokens",
            "The same per million tokens of prompts and answers served, US$; no sample where none are.",
            _PAYER,
            lambda view: _costs(view, lambda item: item.per_million_tokens),
        ),
        (
            "cost_budget_dollars_per_hour",
            "What they may cost by spec.cost.budgets of the Fleet, US$/h; no sample where none is set.",
            _PAYER,
            lambda view: _costs(view, lambda item: item.budget_per_hour),
        ),
        ("replicas_wanted", "Replicas that the plan in force wants.", _DEMAND, _wanted),
        ("replicas_ready", "Replicas that requests can reach, of any plan.", _DEMAND, _ready),
        (
            "replicas_leaving",
            "Replicas that no plan wants any more and that still run.",
            (),
            lambda view: _of_fleet(float(view.service.leaving_replicas)),
        ),
        ("nodes", "Nodes that the plan in force uses.", _OFFERING, _used_nodes),
        ("nodes_ready", "Nodes that are Ready and have no notice.", _OFFERING, _ready_nodes),
        ("nodes_obtainable", "Most nodes that are counted on now.", _OFFERING, _obtainable_nodes),
        ("node_price_dollars_per_hour", "Price of one node, US$/h.", _OFFERING, _prices),
        (
            "offering_masked",
            "1 while an offering is not counted on, because it gave no nodes; else 0.",
            _OFFERING,
            _masked,
        ),
        (
            "object_fault",
            "1 while an object cannot be acted on, by reason.",
            ("kind", "namespace", "name", "reason"),
            _faults,
        ),
        (
            "router_synced",
            "1 while every router has taken the present configuration, else 0: nothing old is drained then.",
            (),
            lambda view: _of_fleet(float(view.step.router_synced)),
        ),
        (
            "routers",
            "Routers that are asked for the configuration they have taken.",
            (),
            lambda view: _of_fleet(float(len(view.snapshot.router_versions))),
        ),
        (
            "fleet_converged",
            "1 while nothing is left to do and nothing is waited for, else 0.",
            (),
            lambda view: _of_fleet(float(view.step.converged)),
        ),
    )
)
"""Every gauge of the fleet, in the order of the reference page."""
