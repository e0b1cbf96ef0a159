"""The table as it is drawn, by width and by what there is to say."""

import io
from typing import Any

import pytest
from rich.console import Console

from atoll.report.tables import plan_table


def demand(name: str = "phi", **changes: Any) -> dict[str, Any]:
    stages = [{"gpuKind": "L40S-48GB", "layers": 40}]
    replicas = {"count": 2, "strategy": "1 x L40S-48GB tp1 (40 layers, bf16)", "tp": 1, "stages": stages}
    return {
        "namespace": "default",
        "name": name,
        "rate": 12.0,
        "shortfall": 0.0,
        "shortfallReason": "",
        "costPerHour": 3.8,
        "unmet": [],
        "unkept": [],
        "replicas": [replicas],
    } | changes


def report(*demands: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "costPerHour": 3.8,
        "listCostPerHour": 3.8,
        "lowerBoundPerHour": 3.7,
        "gap": 0.026,
        "boundIsUseful": True,
        "conditional": False,
        "budgetPerHour": None,
        "overBudget": False,
        "shortfall": {f"default/{item['name']}": item["shortfall"] for item in demands},
        "baseline": {"oneKindPerModel": None},
        "solveSeconds": 0.5,
        "deadlineSeconds": None,
        "stageOneSeconds": None,
        "baselineSeconds": None,
        "demands": list(demands),
        "faults": [],
        "assumptions": [],
    } | changes


def drawn(value: dict[str, Any], width: int = 200) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(plan_table(value))
    return stream.getvalue()


def test_what_is_paid_for_anyway_is_told_beside_the_cost() -> None:
    assert "; beside 1.20 $/h for owned and reserved nodes in use" in drawn(report(demand(), listCostPerHour=5.0))
    assert "beside" not in drawn(report(demand()))


@pytest.mark.parametrize(("width", "rows"), [(40, False), (60, False), (79, False), (80, True), (140, True)])
def test_a_narrow_terminal_gets_a_block_for_each_demand(width: int, rows: bool) -> None:
    text = drawn(report(demand()), width)
    assert ("Replicas by strategy" in text) is rows
    assert "phi" in text
    assert "2 L40S-48GB" in text
    assert max(map(len, text.splitlines())) <= width


def test_a_long_name_is_never_broken() -> None:
    name = "a-demand-with-a-rather-long-name-of-f40"
    assert name in drawn(report(demand(name)), 80)


def test_without_a_useful_bound_the_table_says_so_and_what_to_do() -> None:
    text = drawn(report(demand(), lowerBoundPerHour=0.0, gap=1.0, boundIsUseful=False))
    assert "No useful lower bound was proven in time" in text
    assert "--deadline" in text
    assert "gap" not in text


def test_a_comparison_that_is_cheaper_is_said_to_be() -> None:
    rival = {"oneKindPerModel": {"costPerHour": 3.75, "shortfall": 0.0}}
    assert "cheaper than this plan, which needs a longer deadline" in drawn(report(demand(), baseline=rival))


def test_a_comparison_below_the_proven_bound_is_said_to_keep_less() -> None:
    text = drawn(report(demand(), baseline={"oneKindPerModel": {"costPerHour": 3.6, "shortfall": 0.0}}))
    assert "cheaper because it keeps less of priorities, limits, budget or preference" in text
    assert "longer deadline" not in text


def test_each_shortfall_has_its_reason() -> None:
    short = demand(shortfall=1.5, shortfallReason="all nodes are in use")
    text = drawn(report(short))
    assert "10.5 of 12" in text
    assert "phi: 1.5 short: all nodes are in use" in text


def test_a_fault_is_told_once() -> None:
    left_out = demand(replicas=[], shortfall=12.0, shortfallReason="cannot be run")
    fault = {
        "object": "ModelDemand default/phi",
        "reason": "InvalidSpec",
        "field": "spec.engine.name",
        "message": "cannot be run",
    }
    text = drawn(report(left_out, faults=[fault]))
    assert text.count("cannot be run") == 1
    assert "0 of 12" in text


def test_where_nothing_was_planned_only_the_faults_are_told() -> None:
    fault = {"object": "a.yaml:1", "reason": "InvalidSpec", "field": "", "message": "no valid YAML"}
    assert drawn(report(faults=[fault])) == "1 fault in what was given:\na.yaml:1: InvalidSpec: no valid YAML\n"


def test_large_numbers_are_told_without_exponents() -> None:
    text = drawn(report(demand(rate=1e6, costPerHour=123456.0), costPerHour=123456.0))
    assert "1,000,000" in text
    assert "123,456.00" in text
    assert "e+" not in text


def test_a_budget_that_is_not_kept_is_told_once_with_cost_limit_and_mend() -> None:
    unkept = ["OverBudget: spec.budgetPerHour of the Fleet is exceeded: raise it, or lower a demand"]
    shown = drawn(report(demand("a", unkept=unkept), demand("b", unkept=unkept), budgetPerHour=1.0, overBudget=True))

    assert shown.count("OverBudget") == 1
    assert "OverBudget: 3.80 of 1.00 $/h: raise spec.budgetPerHour of the Fleet, or lower a demand" in shown


def test_demands_that_are_short_for_one_reason_share_a_line() -> None:
    short = [demand(f"d{number}", shortfall=2.0, shortfallReason="no node is left") for number in range(5)]

    assert "d0, d1, d2 and 2 more: 10 short: no node is left" in drawn(report(*short))


def test_gpus_stand_in_the_order_of_the_strategies_beside_them() -> None:
    replicas = [
        {"count": 1, "strategy": kind, "tp": 1, "stages": [{"gpuKind": kind, "layers": 40}]} for kind in ("L4", "A100")
    ]
    shown = drawn(report(demand(replicas=replicas)))

    assert shown.index("1 L4") < shown.index("1 A100")


def test_how_many_faults_there_are_is_said_before_them() -> None:
    faults = [{"object": "Fleet default", "reason": "InvalidSpec", "field": "spec.mode", "message": "no"}]

    assert "1 fault in what was given:" in drawn(report(demand(), faults=faults))
