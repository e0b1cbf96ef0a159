"""What the plan in force costs for whom: by namespace, and by the labels that the Fleet names."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from atoll.domain.cost import NAMESPACE, Payer, by_label
from atoll.domain.demand import DemandKey
from atoll.domain.objects import MODEL_DEMAND, Reference
from atoll.domain.plan import Plan, PlannedDemand
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.ownership import fleet_of
from atoll.reconcile.shares import per_million_tokens_of

MOST_PAYERS = 100
"""By each label, and by namespace; those that cost least are put together as :data:`OTHERS`. Metrics and status stay of
bounded size whatever people write into labels."""

OTHERS = "(others)"
"""No label and no namespace may be called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one payer's demands cost.

    Attributes:
        payer: who.
        demands: how many they are.
        cost_per_hour: their part of the nodes, US$/h.
        per_million_tokens: US$ per million tokens of prompts and answers; None where none are served, or a workload of
            theirs is not known.
        budget_per_hour: US$/h that they may cost; None where none is set.
    """

    payer: Payer
    demands: int
    cost_per_hour: float
    per_million_tokens: float | None
    budget_per_hour: float | None


def costs(snapshot: Snapshot, plan: Plan | None) -> tuple[Cost, ...]:
    """Every payer's cost, by what puts demands together and its value; a budget without a demand costs nothing."""
    policy = snapshot.fleet.cost
    budgets = dict(policy.budgets)
    found: list[Cost] = []
    for by in (NAMESPACE, *map(by_label, policy.labels)):
        mine: dict[Payer, list[PlannedDemand]] = defaultdict(list)
        for item in plan.demands if plan else ():
            mine[_payer(snapshot, by, item.key)].append(item)
        for payer in budgets:
            if payer.by == by:
                mine[payer]  # so that it is told of
        found += (_cost(snapshot, payer, items, budgets) for payer, items in _bounded(mine, budgets).items())
    return tuple(sorted(found, key=lambda item: item.payer))


def idle_budgets(snapshot: Snapshot) -> tuple[Payer, ...]:
    """For whom budgets are set though no demand of the fleet, valid or not, is theirs: a slip, or before its time."""
    keys = [
        DemandKey(namespace=ref.namespace, name=ref.name)
        for ref, raw in snapshot.objects.items()
        if ref.kind == MODEL_DEMAND.name and fleet_of(raw) == snapshot.fleet.name
    ]
    bounded = [payer for payer, _ in snapshot.fleet.cost.budgets]
    present = {_payer(snapshot, by, key) for by in {payer.by for payer in bounded} for key in keys}
    return tuple(payer for payer in bounded if payer not in present)


def cost_rows(found: Iterable[Cost]) -> list[dict[str, Any]]:
    """``Fleet.status.costs``."""
    return [
        {
            "by": item.payer.by,
            "value": item.payer.value,
            "demands": item.demands,
            "costPerHour": item.cost_per_hour,
            **({} if item.per_million_tokens is None else {"costPerMillionTokens": item.per_million_tokens}),
            **({} if item.budget_per_hour is None else {"budgetPerHour": item.budget_per_hour}),
        }
        for item in found
    ]


def _payer(snapshot: Snapshot, by: str, key: DemandKey) -> Payer:
    payer = Payer(by=by, value=key.namespace)
    if not payer.label:
        return payer
    ref = Reference(kind=MODEL_DEMAND.name, namespace=key.namespace, name=key.name)
    labels = snapshot.objects.get(ref, {}).get("metadata", {}).get("labels") or {}
    return Payer(by=by, value=str(labels.get(payer.label, "")))


def _bounded(
    mine: Mapping[Payer, list[PlannedDemand]], budgets: Mapping[Payer, float]
) -> dict[Payer, list[PlannedDemand]]:
    """At most so many payers, those with a budget before those that cost most, and all others as one."""
    if len(mine) <= MOST_PAYERS:
        return dict(mine)

    def rank(payer: Payer) -> tuple[bool, float, Payer]:
        return payer not in budgets, -sum(item.cost_per_hour for item in mine[payer]), payer

    ordered = sorted(mine, key=rank)
    kept = {payer: mine[payer] for payer in ordered[: MOST_PAYERS - 1]}
    rest = [item for payer in ordered[MOST_PAYERS - 1 :] for item in mine[payer]]
    return kept | {Payer(by=ordered[0].by, value=OTHERS): rest}


def _cost(snapshot: Snapshot, payer: Payer, items: list[PlannedDemand], budgets: Mapping[Payer, float]) -> Cost:
    cost = sum(item.cost_per_hour for item in items)
    served = [(max(0.0, item.rate - item.shortfall), snapshot.demands.get(item.key)) for item in items]
    known = [(rate, demand.workload) for rate, demand in served if demand is not None]
    return Cost(
        payer=payer,
        demands=len(items),
        cost_per_hour=cost,
        per_million_tokens=per_million_tokens_of(cost, known) if len(known) == len(served) else None,
        budget_per_hour=budgets.get(payer),
    )
