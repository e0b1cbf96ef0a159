"""docs/reference/json.md against what the commands really print."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.plans import plan as sample_plan
from atoll.cli.exits import Exit
from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.demand import Demand, DemandKey
from atoll.domain.gpu import CapacityType
from atoll.domain.plan import Plan, PlannedDemand, PlannedNodes, PlannedReplicas
from atoll.domain.pool import OfferingKey
from atoll.domain.problem import Level, ReplicaGroup, ReplicaSite
from atoll.domain.reason import Fault, Reason
from atoll.domain.startup import StartPhases
from atoll.domain.strategy import EngineName, Limit, PerformanceSource, Phase, Stage, Strategy, Template
from atoll.domain.workload import Lengths, Objectives, Workload
from atoll.report.comparison import SCHEMA_VERSION as COMPARISON_VERSION
from atoll.report.comparison import Comparison, side_of
from atoll.report.cost import SCHEMA_VERSION as COST_VERSION
from atoll.report.cost import By, CostReport, Grouping
from atoll.report.doctor import SCHEMA_VERSION as DOCTOR_VERSION
from atoll.report.doctor import Check, Result, report_of
from atoll.report.explain import SCHEMA_VERSION as EXPLAIN_VERSION
from atoll.report.explain import ExplainReport
from atoll.report.pending import SCHEMA_VERSION as PENDING_VERSION
from atoll.report.pending import Chain, Link, State
from atoll.report.plan import SCHEMA_VERSION, PlanReport
from atoll.report.strategies import SCHEMA_VERSION as STRATEGIES_VERSION
from atoll.report.strategies import DemandStrategies, RatedStrategy, StrategiesReport, Verdict, with_frontier
from atoll.report.top import SCHEMA_VERSION as TOP_VERSION
from report.test_top import REPORT as TOP

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "json.md"
KEY = DemandKey(namespace="default", name="phi")
OFFERING = OfferingKey(pool="l4", zone="us-east-2a", capacity_type=CapacityType.SPOT)
TYPES = {"integer": int, "number": (int, float), "string": str, "boolean": bool, "list": list, "object": dict}

STRATEGY = Strategy(
    engine=EngineName.VLLM,
    tp=1,
    stages=(Stage(gpu_kind="L4-24GB", layers=40),),
    quantisation=Quantisation.BF16,
    max_sequences=8,
    max_context=4096,
)


def report() -> PlanReport:
    """A report in which nothing is empty."""
    replicas = PlannedReplicas(
        group=ReplicaGroup(demand=KEY, strategy=STRATEGY, site=ReplicaSite(offerings=(OFFERING,)), count=2),
        rate=1.5,
        ttft_seconds=0.4,
        tpot_seconds=0.03,
        source="Roofline",
        expected_error=0.4,
        startup_seconds=60.0,
    )
    planned = PlannedDemand(
        key=KEY,
        uid="",
        rate=4.0,
        shortfall=1.0,
        cost_per_hour=0.8,
        replicas=(replicas,),
        reason="cheapest",
        unmet=(Reason.SPOT_SHARE_UNMET.value,),
    )
    architecture = Architecture(name="phi", layers=40, hidden=1, heads=1, kv_heads=1, head_dim=1, ffn=1, vocabulary=1)
    demand = Demand(
        key=KEY,
        served_name="phi",
        architecture=architecture,
        rate=4.0,
        workload=Workload(input=Lengths(mean=10.0), output=Lengths(mean=10.0)),
        objectives=Objectives(ttft_seconds=1.0, tpot_seconds=0.1),
    )
    return PlanReport(
        plan=Plan(
            fleet="default",
            basis="b",
            demands=(planned,),
            nodes=(PlannedNodes(offering=OFFERING, nodes=2, price_per_hour=0.4),),
            cost_per_hour=0.8,
            previous_cost_per_hour=0.0,
            bound_per_hour=0.79,
        ),
        demands={KEY: demand},
        pools={},
        faults={"pools.yaml": Fault(reason=Reason.PRICE_MISSING, field="spec.offerings[0].price", message="set it")},
        baseline_per_hour=1.0,
        baseline_shortfall=0.5,
        solver="program",
        solve_seconds=0.1,
        budget_per_hour=10.0,
        levels=(Level(name="cost", value=0.8, bound=0.79, proven=False),),
        shortfall_reasons={KEY: "all 2 nodes are in use"},
        premises=("all nodes are Ready",),
        deadline_seconds=5.0,
        stage_one_seconds=1.0,
        baseline_seconds=2.0,
    )


def printed(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field with its value, by path: list items as ``[]``, demands' names as ``<namespace/name>``."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            name = "<namespace/name>" if key == str(KEY) else key
            yield from printed(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield from ((p, v) for p, v in printed(item, f"{path}[]") if p != f"{path}[]")


def section(command: str) -> str:
    """The part of the page that is about one command."""
    (found,) = (
        part for part in re.split(r"^# ", PAGE.read_text(), flags=re.MULTILINE) if f"`atoll {command}" in part[:60]
    )
    return found


def documented(command: str) -> dict[str, str]:
    """Type by path."""
    return dict(re.findall(r"^\| `([^`]+)` \| (\w+) \|", section(command), re.MULTILINE))


def strategies() -> StrategiesReport:
    """A report in which nothing is empty."""
    template = Template(
        strategy=replace(STRATEGY, phase=Phase.DECODE),
        rate=1.5,
        ttft_seconds=0.4,
        tpot_seconds=0.03,
        sequences=8.0,
        limit=Limit.TPOT,
        sources={"L4-24GB": PerformanceSource.ROOFLINE},
        expected_error=0.4,
        startup_seconds=60.0,
        phases=StartPhases(image_seconds=10.0, weights_seconds=16.0, engine_seconds=30.0, weights_bytes=16e9),
    )
    rated = RatedStrategy(template=template, verdict=Verdict.KEPT, price_per_hour=0.8, node_seconds=410.0)
    (demand,) = report().demands.values()
    return StrategiesReport(
        demands=(DemandStrategies(demand=demand, strategies=with_frontier([rated])),),
        faults={"pools.yaml": Fault(reason=Reason.PRICE_MISSING, field="spec.offerings[0].price", message="set it")},
        rate_confidence=0.8,
    )


def explained() -> ExplainReport:
    """A report in which nothing is empty."""
    planned = sample_plan()
    faults = {"pools.yaml": Fault(reason=Reason.PRICE_MISSING, field="spec.offerings[0].price", message="set it")}
    return ExplainReport(plan=planned, demand=planned.demands[0], shortfall_reason="all in use", faults=faults)


def costs() -> CostReport:
    """A report in which nothing is empty."""
    planned = report()
    return CostReport(
        plan=planned.plan,
        demands=planned.all_demands(),
        grouping=Grouping(by=By.SERVED_MODEL),
        workloads={key: demand.workload for key, demand in planned.demands.items()},
        budget_per_hour=10.0,
        baseline_per_hour=1.0,
        baseline_shortfall=0.5,
        account=(12.0, 3.0, 4.0),
        began="2026-11-21T10:00:00Z",
        faults=planned.faults,
        assumptions=planned.assumptions,
    )


def compared() -> Comparison:
    """A comparison in which nothing is empty."""
    before, after = report(), costs().plan
    fault = {"pools.yaml": Fault(reason=Reason.PRICE_MISSING, field="spec.offerings[0].price", message="set it")}
    return Comparison(
        before=side_of(before.plan, "before", faults=fault),
        after=side_of(after, "after", faults=fault),
        changes=("no spot node can be had",),
        budget_per_hour=10.0,
        notes=("as it was",),
    )


def topped() -> dict[str, Any]:
    """The screen's JSON, without what nobody has looked at yet."""
    listed = TOP.as_json()
    return {**listed, "demands": [row for row in listed["demands"] if row["state"]["ready"] is not None]}


def waiting() -> dict[str, Any]:
    """A demand that waits."""
    link = Link(object="Pod a/b", state=State.WAITS, says="it waits", mend="wait")
    return {"schemaVersion": PENDING_VERSION, "demands": [Chain(key=KEY, links=(link,)).as_json()]}


def examined() -> dict[str, Any]:
    """What the doctor prints."""
    return report_of([Check(name="router", result=Result.OK, says="it answers")])


SAMPLES = {
    "plan": report().as_json(),
    "strategies": strategies().as_json(everything=False),
    "explain": explained().as_json(),
    "report": costs().as_json(),
    "what-if": compared().as_json(),
    "top": topped(),
    "why-pending": waiting(),
    "doctor": examined(),
}


@pytest.mark.parametrize("command", SAMPLES)
def test_what_is_printed_is_documented_and_nothing_else(command: str) -> None:
    assert {path for path, _ in printed(SAMPLES[command])} == set(documented(command))


@pytest.mark.parametrize("command", SAMPLES)
def test_every_field_has_the_documented_type(command: str) -> None:
    types = documented(command)

    wrong = {
        path: value
        for path, value in printed(json.loads(json.dumps(SAMPLES[command])))
        if not isinstance(value, TYPES[types[path]]) or (isinstance(value, bool) and types[path] != "boolean")
    }

    assert wrong == {}


def test_the_version_is_the_documented_one() -> None:
    versions = (
        ("plan", SCHEMA_VERSION),
        ("strategies", STRATEGIES_VERSION),
        ("explain", EXPLAIN_VERSION),
        ("report", COST_VERSION),
        ("what-if", COMPARISON_VERSION),
        ("top", TOP_VERSION),
        ("why-pending", PENDING_VERSION),
        ("doctor", DOCTOR_VERSION),
    )
    for command, version in versions:
        assert f"| `schemaVersion` | integer | version of this form: {version} |" in section(command)


def test_every_exit_code_is_documented() -> None:
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", PAGE.read_text(), re.MULTILINE)] == sorted(Exit)
