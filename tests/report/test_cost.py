"""The cost of a plan: for whom it is, that it adds up, and what people read of it."""

import csv
import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from rich.console import Console

from atoll.domain.demand import DemandKey
from atoll.domain.gpu import CapacityType
from atoll.domain.plan import Plan, PlannedNodes
from atoll.domain.reason import Fault, Reason
from atoll.domain.workload import Lengths, Workload
from atoll.report.cost import By, CostReport, Grouping
from atoll.report.cost_table import cells, cost_table
from atoll.report.cost_text import cost_csv, cost_markdown
from golden import assert_golden
from report.fleets import demand, key, offering, plan, plans, replicas

GOLDEN = Path(__file__).parent / "golden"
GROUPINGS = [Grouping(by=by, key="team" if by is By.LABEL else "") for by in By]
BY_MODEL = Grouping(by=By.SERVED_MODEL)

L4, H100, SPOT = offering("l4"), offering("h100"), offering("h100", CapacityType.SPOT)
OWNED = offering("a100", CapacityType.RESERVED)
CHAT, CODE, IDLE = key("chat", "team-a"), key("code", "team-b"), key("embed")


def report(of: Plan, grouping: Grouping = BY_MODEL, **changes: Any) -> CostReport:
    workload = Workload(input=Lengths(mean=1000.0), output=Lengths(mean=250.0))
    fields: dict[str, Any] = {"workloads": {item.key: workload for item in of.demands}} | changes
    return CostReport(plan=of, demands=of.demands, grouping=grouping, **fields)


def fleet() -> Plan:
    """Chat on half of a shared H100 node and on L4s, code on the rest and on owned A100s; embed gets nothing."""
    return plan(
        (
            demand(CHAT, replicas(CHAT, H100, tp=2, rate=6.0), replicas(CHAT, L4, count=2, rate=2.0), rate=5.0),
            demand(CODE, replicas(CODE, SPOT, tp=2, rate=3.0), replicas(CODE, OWNED, tp=4, rate=9.0), rate=8.0),
            demand(IDLE, rate=1.5, shortfall=1.5),
        ),
        PlannedNodes(offering=H100, nodes=1, price_per_hour=40.0),
        PlannedNodes(offering=SPOT, nodes=1, price_per_hour=12.0),
        PlannedNodes(offering=L4, nodes=2, price_per_hour=0.8),
        PlannedNodes(offering=OWNED, nodes=1, price_per_hour=0.0, paid_per_hour=20.0),
    )


def rows(of: CostReport) -> dict[str | None, dict[str, Any]]:
    return {row["name"]: row for row in of.as_json()["groups"]}


def micro(value: float) -> int:
    return round(value * 1e6)


@given(of=plans())
def test_every_grouping_adds_up_to_the_fleets_cost_exactly(of: Plan) -> None:
    labels = {item.key: {"team": item.key.namespace} for item in of.demands[1:]}
    for grouping in GROUPINGS:
        listing = report(of, grouping, labels=labels).as_json()
        total, groups = listing["total"], listing["groups"]

        assert micro(total["costPerHour"]) == micro(of.cost_per_hour)
        assert micro(total["listCostPerHour"]) == micro(of.list_cost_per_hour)
        for name in ("costPerHour", "listCostPerHour"):
            assert sum(micro(row[name]) for row in groups) == micro(total[name])
        assert sum(row["gpus"] for row in groups) == total["gpus"]
        if grouping.of_demands:
            assert sum(micro(row["requestsPerSecond"]) for row in groups) == micro(total["requestsPerSecond"])
            assert sum(row["shortfall"] for row in groups) == pytest.approx(total["shortfall"])


@given(of=plans())
def test_the_cents_of_a_table_add_up_too(of: Plan) -> None:
    for grouping in GROUPINGS:
        *groups, total = cells(report(of, grouping).as_json())
        for name in {"$/h", "List $/h"} & set(total):
            cents = [round(float(row[name].replace(",", "")) * 100) for row in (*groups, total)]
            assert sum(cents[:-1]) == cents[-1]


def test_a_shared_node_is_paid_for_by_gpus_held_idle_ones_by_the_same_shares() -> None:
    one, other = replicas(CHAT, H100, tp=2), replicas(CODE, H100, count=1)
    shared = plan((demand(CHAT, one), demand(CODE, other)), PlannedNodes(offering=H100, nodes=1, price_per_hour=48.0))

    found = rows(report(shared))

    assert found[str(CHAT)]["costPerHour"] == 32.0
    assert found[str(CODE)]["costPerHour"] == 16.0
    assert found[str(CHAT)]["share"] == pytest.approx(2 / 3, abs=1e-6)


def test_tokens_are_priced_by_the_whole_cost_at_mean_lengths_and_the_rate_served() -> None:
    found = rows(report(fleet()))[str(CHAT)]

    tokens_per_hour = 5.0 * 3600.0
    assert found["costPerHour"] == 41.6
    assert found["inputTokensPerSecond"] == 5000.0
    assert found["outputTokensPerSecond"] == 1250.0
    assert found["costPerMillionInputTokens"] == pytest.approx(41.6e6 / (tokens_per_hour * 1000.0), abs=1e-6)
    assert found["costPerMillionOutputTokens"] == pytest.approx(41.6e6 / (tokens_per_hour * 250.0), abs=1e-6)
    assert found["costPerMillionTokens"] == pytest.approx(41.6e6 / (tokens_per_hour * 1250.0), abs=1e-6)


def test_owned_nodes_cost_nothing_more_and_show_in_the_list_price() -> None:
    listing = report(fleet(), Grouping(by=By.POOL)).as_json()
    found = {row["name"]: row for row in listing["groups"]}

    assert (found["a100"]["costPerHour"], found["a100"]["listCostPerHour"]) == (0.0, 20.0)
    assert found["a100"]["costPerMillionTokens"] == 0.0
    assert found["a100"]["listCostPerMillionTokens"] > 0.0
    assert listing["total"]["listCostPerHour"] - listing["total"]["costPerHour"] == pytest.approx(20.0)


def test_the_spot_share_is_that_of_the_requests() -> None:
    found = rows(report(fleet()))

    assert found[str(CODE)]["spotShare"] == pytest.approx(3.0 / 12.0)
    assert found[str(CHAT)]["spotShare"] == 0.0
    assert found[str(IDLE)]["spotShare"] is None


def test_a_pipeline_over_two_kinds_counts_for_both_by_gpus() -> None:
    mixed = plan(
        (demand(CHAT, replicas(CHAT, L4, H100, tp=2, rate=3.0), rate=3.0),),
        PlannedNodes(offering=L4, nodes=1, price_per_hour=1.0),
        PlannedNodes(offering=H100, nodes=1, price_per_hour=9.0),
    )

    found = rows(report(mixed, Grouping(by=By.GPU_KIND)))

    assert {name: (row["costPerHour"], row["gpus"], row["requestsPerSecond"]) for name, row in found.items()} == {
        "H100-80GB": (9.0, 2, 1.5),
        "L4-24GB": (1.0, 2, 1.5),
    }
    assert all(row["shortfall"] is None for row in found.values())


def test_demands_without_the_label_are_a_group_of_their_own() -> None:
    found = rows(report(fleet(), Grouping(by=By.LABEL, key="team"), labels={CHAT: {"team": "search"}}))

    assert set(found) == {"search", None}
    assert found["search"]["costPerHour"] == 41.6
    assert found[None]["shortfall"] == 1.5


def test_nodes_that_nobody_holds_are_not_left_out() -> None:
    unheld = plan((demand(CHAT, rate=0.0),), PlannedNodes(offering=L4, nodes=2, price_per_hour=1.0))

    assert rows(report(unheld))[None]["costPerHour"] == 2.0


def test_a_demand_whose_workload_is_not_known_has_no_price_of_tokens_and_it_is_said() -> None:
    listing = report(fleet(), workloads={CODE: Workload(input=Lengths(mean=10.0), output=Lengths(mean=10.0))}).as_json()
    found = {row["name"]: row for row in listing["groups"]}

    assert found[str(CHAT)]["costPerMillionTokens"] is None
    assert found[str(CODE)]["costPerMillionTokens"] is not None
    assert listing["total"]["costPerMillionTokens"] is None
    (said,) = listing["assumptions"]
    assert said.startswith("no $/M tokens where team-a/chat counts: its ModelDemand is gone")


@pytest.mark.parametrize(
    ("budget", "over", "words"),
    [
        (math.inf, False, ""),
        (100.0, False, "Budget 100.00 $/h: 53.6% used, 46.40 $/h left"),
        (50.0, True, "Budget 50.00 $/h: 107.2% used, 3.60 $/h over it"),
        (0.0, True, "Budget 0.00 $/h: - used, 53.60 $/h over it"),
    ],
)
def test_the_budget_is_told_where_there_is_one(budget: float, over: bool, words: str) -> None:
    found = report(fleet(), budget_per_hour=budget)

    assert found.over_budget is over
    assert words in drawn(found)
    assert ("Budget" in drawn(found)) is bool(words)


@pytest.mark.parametrize(
    ("price", "shortfall", "words"),
    [
        (60.0, 1.5, "60.00 $/h and 1.5 requests/s short: 6.40 $/h saved (10.7%)"),
        (53.6, 1.5, "nothing is saved, it costs as much"),
        (50.0, 3.0, "3.60 $/h less than this plan; it serves less"),
        (50.0, 0.0, "3.60 $/h less than this plan; it keeps less of the limits, or this plan needs a longer deadline"),
    ],
)
def test_the_comparison_says_what_is_saved(price: float, shortfall: float, words: str) -> None:
    assert words in " ".join(drawn(report(fleet(), baseline_per_hour=price, baseline_shortfall=shortfall)).split())


@pytest.mark.parametrize("grouping", GROUPINGS, ids=lambda grouping: grouping.by.value)
def test_the_table_is_as_people_know_it(grouping: Grouping) -> None:
    text = drawn(full(grouping))

    assert max(map(len, text.splitlines())) <= 80
    assert_golden(GOLDEN / f"cost-{grouping.by}.txt", text)


def test_a_terminal_that_is_too_narrow_gets_a_block_for_each_group() -> None:
    text = drawn(full(BY_MODEL), 50)

    assert max(map(len, text.splitlines())) <= 50
    assert_golden(GOLDEN / "cost-narrow.txt", text)


def test_markdown_is_a_table_and_a_list() -> None:
    assert_golden(GOLDEN / "cost.md", cost_markdown(full(BY_MODEL).as_json()))


def test_csv_has_a_row_for_each_group_and_none_for_the_total() -> None:
    listing = full(Grouping(by=By.NAMESPACE)).as_json()

    read = list(csv.DictReader(io.StringIO(cost_csv(listing))))

    assert [row["name"] for row in read] == ["team-a", "team-b", "default"]
    assert sum(micro(float(row["costPerHour"])) for row in read) == micro(listing["total"]["costPerHour"])
    assert set(listing["total"]) < set(read[0])
    assert read[2]["costPerMillionTokens"] == ""
    assert read[0]["by"] == "namespace"


def full(grouping: Grouping) -> CostReport:
    """A report with something in every part."""
    labels: dict[DemandKey, dict[str, str]] = {CHAT: {"team": "search"}, CODE: {"team": "dev"}}
    return report(
        fleet(),
        grouping,
        labels=labels,
        budget_per_hour=50.0,
        baseline_per_hour=61.0,
        faults={"ModelDemand default/embed": Fault(reason=Reason.NO_POOL_FITS, field="spec.placement", message="mend")},
        assumptions=("rates from a roofline",),
    )


def drawn(found: CostReport, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(cost_table(found.as_json()))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def test_plans_that_were_left_without_nodes_cost_nothing() -> None:
    empty = replace(plan(()), cost_per_hour=0.0)
    listing = report(empty).as_json()

    assert listing["groups"] == []
    assert listing["total"]["share"] is None
    assert "Total" in drawn(report(empty))
