"""For whom a fleet's cost is told: whole sums, of bounded size, in status and metrics alike."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.cost import CostPolicy, Payer
from atoll.domain.objects import Reference
from atoll.domain.plan import Plan
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.costs import MOST_PAYERS, OTHERS, Cost, cost_rows, costs
from reconcile.worlds import Raw, demand_object, fleet_object, plan, planned, replicas, seen

TEAM = {"labels": ["team"], "budgets": [{"by": "label=team", "value": "search", "perHour": 5.0}]}


def labelled(name: str, **labels: str) -> Raw:
    found = demand_object(name, rate=10.0)
    found["metadata"]["labels"] = labels
    return found


def costing(*items: tuple[str, float], **about: Any) -> Plan:
    demands = [
        replace(planned(replicas("small", demand=name), demand=name), cost_per_hour=cost) for name, cost in items
    ]
    return plan(*(replace(item, **about) for item in demands))


def world(*demands: Raw, cost: Raw | None = None) -> Snapshot:
    return seen(fleet_object(cost=cost or TEAM), *demands)


def told(found: tuple[Cost, ...]) -> dict[tuple[str, str], tuple[int, float]]:
    return {(item.payer.by, item.payer.value): (item.demands, item.cost_per_hour) for item in found}


def test_each_demand_counts_for_its_namespace_and_for_the_value_of_each_label() -> None:
    snapshot = world(labelled("a", team="search"), labelled("b", team="search", tier="x"), labelled("c"))
    found = costs(snapshot, costing(("a", 1.0), ("b", 2.0), ("c", 4.0)))
    assert told(found) == {
        ("label=team", ""): (1, 4.0),
        ("label=team", "search"): (2, 3.0),
        ("namespace", "team-a"): (3, 7.0),
    }
    assert [item.budget_per_hour for item in found] == [None, 5.0, None]


def test_tokens_of_all_served_requests_share_the_whole_cost() -> None:
    snapshot = world(labelled("a", team="search"), labelled("b", team="search"))
    alone = {item.payer: item.per_million_tokens for item in costs(snapshot, costing(("a", 2.0)))}
    both = {item.payer: item.per_million_tokens for item in costs(snapshot, costing(("a", 2.0), ("b", 2.0)))}
    search = Payer(by="label=team", value="search")
    assert alone[search] == pytest.approx(both[search])  # twice the cost of twice the tokens
    nothing = costs(snapshot, costing(("a", 2.0), rate=10.0, shortfall=10.0))
    assert {item.per_million_tokens for item in nothing} == {None}


def test_a_demand_that_is_not_understood_any_more_costs_and_has_no_price_of_tokens() -> None:
    broken = labelled("a", team="search")
    broken["spec"]["objectives"]["ttft"] = "-1s"
    (search,) = [item for item in costs(world(broken), costing(("a", 2.0))) if item.payer.value == "search"]
    assert (search.cost_per_hour, search.per_million_tokens) == (2.0, None)


def test_a_budget_is_told_of_before_there_is_a_demand_or_a_plan() -> None:
    (row,) = cost_rows(costs(world(), None))
    assert row == {"by": "label=team", "value": "search", "demands": 0, "costPerHour": 0.0, "budgetPerHour": 5.0}


@given(st.lists(st.floats(0.0, 100.0), min_size=1, max_size=3 * MOST_PAYERS))
def test_however_many_values_a_label_has_the_sums_are_whole_and_the_rows_are_few(prices: list[float]) -> None:
    names = [f"d{index}" for index in range(len(prices))]
    demands = {name: {"metadata": {"labels": {"team": f"t-{name}"}}} for name in names}
    policy = CostPolicy(labels=("team",), budgets=((Payer(by="label=team", value="t-d0"), 1.0),))
    base = seen()
    snapshot = replace(
        base,
        fleet=replace(base.fleet, cost=policy),
        objects={ref: demands[ref.name] for ref in map(_reference, names)},
    )
    template = planned(replicas("small"))
    items = tuple(
        replace(template, key=replace(template.key, name=name), cost_per_hour=price)
        for name, price in zip(names, prices, strict=True)
    )
    found = [item for item in costs(snapshot, replace(plan(), demands=items)) if item.payer.label]

    assert len(found) <= MOST_PAYERS
    assert sum(item.cost_per_hour for item in found) == pytest.approx(sum(prices))
    assert sum(item.demands for item in found) == len(prices)
    assert Payer(by="label=team", value="t-d0") in {item.payer for item in found}
    assert (len(prices) > MOST_PAYERS) == (OTHERS in {item.payer.value for item in found})


def _reference(name: str) -> Reference:
    return Reference(kind="ModelDemand", namespace="team-a", name=name)


def test_what_next_to_nobody_asks_for_has_no_price_of_tokens_that_no_status_could_hold() -> None:
    found = costs(world(labelled("a", team="search")), costing(("a", 98.0), rate=1e-9))
    assert {item.per_million_tokens for item in found} == {None}
