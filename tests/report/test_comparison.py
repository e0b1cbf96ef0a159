"""Two plans side by side: what changes, what moves, and how it reads as a table and as Markdown."""

from pathlib import Path

import pytest
from rich.console import Console

from atoll.domain.gpu import CapacityType
from atoll.domain.plan import Plan, PlannedDemand, PlannedNodes
from atoll.domain.reason import Fault, Reason
from atoll.report.comparison import Comparison, Side, side_of
from atoll.report.comparison_table import comparison_table
from atoll.report.comparison_text import comparison_markdown
from golden import assert_golden
from report.fleets import demand, key, offering, plan, replicas

GOLDEN = Path(__file__).parent / "golden"
L4, L4_SPOT, H100 = offering("l4"), offering("l4", CapacityType.SPOT), offering("h100")


def of(*demands: PlannedDemand) -> Plan:
    """A plan on two L4 nodes, a spot one or an H100 one, whichever it uses."""
    prices = {L4: (2, 1.0), L4_SPOT: (1, 0.5), H100: (1, 10.0)}
    used = {place for item in demands for group in item.replicas for place in group.group.site.offerings}
    nodes = [
        PlannedNodes(offering=place, nodes=count, price_per_hour=price)
        for place, (count, price) in prices.items()
        if place in used
    ]
    return plan(demands, *nodes)


BEFORE = of(
    demand(key("chat"), replicas(key("chat"), L4, count=2, rate=5.0), rate=10.0),
    demand(key("code", "team-b"), replicas(key("code", "team-b"), H100), rate=1.0),
    demand(key("same"), replicas(key("same"), L4), rate=1.0),
    demand(key("old"), replicas(key("old"), L4), rate=1.0),
)
AFTER = of(
    demand(key("chat"), replicas(key("chat"), L4, count=4, rate=5.0), rate=25.0, shortfall=5.0),
    demand(key("code", "team-b"), replicas(key("code", "team-b"), L4_SPOT), rate=1.0),
    next(item for item in BEFORE.demands if item.key.name == "same"),
    demand(key("new"), replicas(key("new"), H100), rate=1.0),
)
COMPARISON = Comparison(
    before=side_of(BEFORE, "before"),
    after=side_of(
        AFTER,
        "after",
        faults={"pools.yaml:3": Fault(reason=Reason.PRICE_MISSING, field="spec.offerings", message="a|b <c>")},
    ),
    changes=("chat wants 25 requests/s instead of 10",),
    budget_per_hour=5.0,
    shortfall_reasons={key("chat"): "all 2 nodes are in use: raise maxNodes"},
    notes=("prices that GPUNodePools state",),
)


def test_each_demand_says_how_it_changes_and_how_many_replicas_move() -> None:
    rows = {row["name"]: row for row in COMPARISON.as_json()["demands"]}

    moves = {n: (r["change"], r["replicasStarted"], r["replicasStopped"]) for n, r in rows.items()}
    assert moves == {
        "chat": ("Changed", 2, 0),
        "code": ("Changed", 1, 1),
        "same": ("Same", 0, 0),
        "old": ("Removed", 0, 1),
        "new": ("Added", 1, 0),
    }
    assert rows["chat"]["shortfallReason"] == "all 2 nodes are in use: raise maxNodes"


def test_sums_are_those_of_the_plans() -> None:
    report = COMPARISON.as_json()

    assert report["moreCostPerHour"] == pytest.approx(AFTER.cost_per_hour - BEFORE.cost_per_hour)
    assert (report["moreShortfall"], report["replicasStarted"], report["replicasStopped"]) == (5.0, 4, 2)
    assert report["overBudget"]


def test_a_plan_against_itself_changes_nothing() -> None:
    report = Comparison(before=side_of(AFTER, "a"), after=side_of(AFTER, "b")).as_json()

    assert {row["change"] for row in report["demands"]} == {"Same"}
    assert (report["moreCostPerHour"], report["replicasStarted"], report["overBudget"]) == (0.0, 0, False)
    assert "costs the same" in comparison_markdown(report)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_at_two_widths(width: int) -> None:
    console = Console(width=width, no_color=True)
    with console.capture() as captured:
        console.print(comparison_table(COMPARISON.as_json()))
    assert all(len(line) <= width for line in captured.get().splitlines())
    assert_golden(GOLDEN / f"comparison-{width}.txt", captured.get())


def test_the_markdown_ends_no_cell_early() -> None:
    text = comparison_markdown(COMPARISON.as_json())

    assert r"a\|b &lt;c>" in text
    assert_golden(GOLDEN / "comparison.md", text)


def test_the_markdown_of_a_first_plan_has_nothing_before() -> None:
    report = Comparison(before=Side(title="nothing"), after=side_of(BEFORE, "after")).as_json()

    assert "| nothing | after |" in comparison_markdown(report)
    assert {row["change"] for row in report["demands"]} == {"Added"}
