"""An explanation as text, against golden files: what people read in a terminal of 80 columns."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from api.plans import CHAT, H100, L4, STRATEGY
from api.plans import plan as sample_plan
from atoll.domain.explanation import Alternative, Basis, Bind, Binding, NodeWorth, WinningPrice
from atoll.domain.plan import PlannedDemand
from atoll.domain.reason import Fault, Reason
from atoll.domain.strategy import Stage
from atoll.report.explain import ExplainReport
from atoll.report.explain_table import explain_text
from golden import assert_golden

GOLDEN = Path(__file__).parent / "golden"


def alternative(kind: str, more: float, least: float, basis: Basis, below: float = 0.0) -> Alternative:
    strategy = replace(STRATEGY, stages=(Stage(gpu_kind=kind, layers=64),))
    price = WinningPrice(offering=H100, price_per_hour=5.5, below_per_hour=below) if below else None
    return Alternative(
        strategy=strategy,
        replicas=2,
        zone="us-east-2a",
        more_per_hour=more,
        least_per_hour=least,
        basis=basis,
        wins_below=price,
    )


def worth(saves: float, most: float, basis: Basis, *, serves: float = 0.0, obtainable: int = 6) -> NodeWorth:
    return NodeWorth(
        offering=L4, obtainable=obtainable, saves_per_hour=saves, most_per_hour=most, basis=basis, serves=serves
    )


RESOLVED, PRICES, UNKNOWN = Basis.RESOLVED, Basis.PRICES, float("inf")
DEMAND = sample_plan().demands[0]
SERVED = replace(
    DEMAND,
    shortfall=0.0,
    alternatives=(
        alternative("A100-80GB", -0.4, -0.5, RESOLVED),
        alternative("A10G-24GB", 0.001, -0.5, RESOLVED),
        alternative("H100-80GB", 1.25, 0.75, RESOLVED, below=4.25),
        alternative("L4-24GB", 2.0, 1.5, PRICES, below=3.0),
        alternative("L40S-48GB", 2.5, -0.5, PRICES),
        alternative("H200-141GB", 0.001, -0.5, PRICES),
    ),
    bindings=(
        Binding(limit=Bind.AVAILABILITY),
        *(
            Binding(limit=limit, saves_per_hour=None if limit in {Bind.BUDGET, Bind.QUOTA} else 2.5)
            for limit in Bind
            if limit is not Bind.AVAILABILITY
        ),
    ),
)
WORTHS = (
    worth(3.2, 3.5, RESOLVED),
    worth(3.2, 90.0, RESOLVED),
    worth(1.5, UNKNOWN, PRICES),
)
SHORT_WORTHS = (
    worth(-5.0, UNKNOWN, RESOLVED, serves=2.5),
    worth(1.0, UNKNOWN, RESOLVED, serves=2.5),
    worth(-0.5, UNKNOWN, PRICES, serves=0.75, obtainable=0),
)


@pytest.mark.parametrize(
    ("name", "demand", "worths"),
    [
        ("explain-served", SERVED, WORTHS),
        ("explain-short", replace(DEMAND, alternatives=()), SHORT_WORTHS),
    ],
)
def test_the_text_reads_as_the_golden_file(name: str, demand: PlannedDemand, worths: tuple[NodeWorth, ...]) -> None:
    report = ExplainReport(
        plan=replace(sample_plan(demand), worths=worths),
        demand=demand,
        shortfall_reason="all 6 nodes are in use" if demand.shortfall else "",
        faults={"pools.yaml": Fault(reason=Reason.PRICE_MISSING, field="spec.offerings[0].price", message="set it")},
    )
    console = Console(file=io.StringIO(), width=80)

    console.print(explain_text(report.as_json()))

    text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO from above
    assert_golden(GOLDEN / f"{name}.txt", "".join(f"{line.rstrip()}\n" for line in text.splitlines()))


def test_demands_of_other_namespaces_than_default_are_named_in_full() -> None:
    console = Console(file=io.StringIO(), width=80)

    console.print(explain_text(ExplainReport(plan=sample_plan(), demand=DEMAND).as_json()))

    assert console.file.getvalue().startswith(str(CHAT))  # type: ignore[attr-defined]  # it is the StringIO from above
