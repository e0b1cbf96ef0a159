"""When each alert fires and when it does not, as promtool says of the shipped rules."""

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from atoll.domain.demand import DemandKey
from atoll.domain.signal import DemandSignal
from atoll.local.tools import ensure_tool
from atoll.reconcile.queries import demand_query, length_queries
from atoll.report.monitoring.alerts import RUNBOOK, SITE, alerts

ROOT = Path(__file__).parents[1]
RULES = ROOT / "charts" / "atoll" / "rules" / "atoll.yaml"
CHAT = 'fleet="default", namespace="team-a", demand="chat", served_model="phi-4"'
TEAM = 'fleet="default", by="label=team", value="search"'
OFFERING = 'fleet="default", pool="l40s", zone="a", capacity_type="spot"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Series in which one alert fires, at one time and not before.

    Attributes:
        alert: its name.
        series: promtool's values, a sample a minute, by series.
        silent: minute at which it does not fire yet.
        fires: minute at which it does.
        labels: of the alert, beside its severity.
        summary: what it says.
        never: other series, among which nothing fires.
    """

    alert: str
    series: dict[str, str]
    silent: int
    fires: int
    labels: dict[str, str]
    summary: str
    never: dict[str, str] = field(default_factory=dict)


CHAT_LABELS = {"fleet": "default", "namespace": "team-a", "demand": "chat", "served_model": "phi-4"}
OFFERING_LABELS = {"fleet": "default", "pool": "l40s", "zone": "a", "capacity_type": "spot"}

CASES = (
    Case(
        alert="AtollHighPriorityShortfall",
        series={f'atoll_shortfall_requests_per_second{{{CHAT}, priority="100"}}': "0x4 2.5x30"},
        silent=14,
        fires=16,
        labels={**CHAT_LABELS, "priority": "100"},
        summary="team-a/chat (priority 100) lacks 2.5 requests/s",
        never={f'atoll_shortfall_requests_per_second{{{CHAT}, priority="99"}}': "2.5x40"},
    ),
    Case(
        alert="AtollShortfall",
        series={f'atoll_shortfall_requests_per_second{{{CHAT}, priority="99"}}': "2.5x80"},
        silent=59,
        fires=61,
        labels={**CHAT_LABELS, "priority": "99"},
        summary="team-a/chat (priority 99) lacks 2.5 requests/s",
        never={f'atoll_shortfall_requests_per_second{{{CHAT}, priority="1000"}}': "2.5x80"},
    ),
    Case(
        alert="AtollCapacityMissing",
        series={
            f"atoll_demand_requests_per_second{{{CHAT}}}": "10x60",
            f"atoll_shortfall_requests_per_second{{{CHAT}}}": "2x60",
            f"atoll_served_requests_per_second{{{CHAT}}}": "8x4 6x60",
        },
        silent=24,
        fires=26,
        labels=CHAT_LABELS,
        summary="Ready replicas of team-a/chat lack 2 requests/s of what is planned",
        never={
            f"atoll_demand_requests_per_second{{{CHAT}}}": "10x60",
            f"atoll_shortfall_requests_per_second{{{CHAT}}}": "2x60",
            f"atoll_served_requests_per_second{{{CHAT}}}": "7.9x60",
        },
    ),
    Case(
        alert="AtollOverBudget",
        series={
            'atoll_fleet_cost_dollars_per_hour{fleet="default"}': "12x30",
            'atoll_fleet_budget_dollars_per_hour{fleet="default"}': "10x30",
        },
        silent=14,
        fires=16,
        labels={"fleet": "default"},
        summary="Fleet default costs 120% of its budget",
        never={'atoll_fleet_cost_dollars_per_hour{fleet="default"}': "12x30"},
    ),
    Case(
        alert="AtollPayerOverBudget",
        series={
            f"atoll_cost_dollars_per_hour{{{TEAM}}}": "12x30",
            f"atoll_cost_budget_dollars_per_hour{{{TEAM}}}": "10x30",
        },
        silent=14,
        fires=16,
        labels={"fleet": "default", "by": "label=team", "value": "search"},
        summary="label=team search of fleet default costs more than its budget",
        never={
            f"atoll_cost_dollars_per_hour{{{TEAM}}}": "9x30",
            f"atoll_cost_budget_dollars_per_hour{{{TEAM}}}": "10x30",
            'atoll_cost_dollars_per_hour{fleet="default", by="namespace", value="a"}': "12x30",
            'atoll_cost_dollars_per_hour{fleet="default", by="namespace", value="b"}': "0x30",
            'atoll_cost_budget_dollars_per_hour{fleet="default", by="namespace", value="b"}': "0x30",
        },
    ),
    Case(
        alert="AtollDecisionFailed",
        series={'atoll_decision_failed{fleet="default", reason="SolverTimeout"}': "_x4 1x20"},
        silent=13,
        fires=16,
        labels={"fleet": "default", "reason": "SolverTimeout"},
        summary="Fleet default cannot be decided on: SolverTimeout",
    ),
    Case(
        alert="AtollPlanStale",
        series={'atoll_loop_looked_timestamp_seconds{instance="a:8081", loop="planner"}': "0x40"},
        silent=15,
        fires=18,
        labels={"instance": "a:8081", "loop": "planner"},
        summary="The planner has not looked at the fleet for 18m 0s",
        never={'atoll_loop_looked_timestamp_seconds{instance="a:8081", loop="planner"}': "0+60x40"},
    ),
    Case(
        alert="AtollPlanAwaitsApproval",
        series={'atoll_plan_awaiting_approval{fleet="default"}': "1x80"},
        silent=59,
        fires=61,
        labels={"fleet": "default"},
        summary="A FleetPlan of fleet default has waited for approval for an hour",
    ),
    Case(
        alert="AtollNoLeader",
        series={
            'atoll_leader{namespace="gold", instance="a:8081"}': "1x4 0x20",
            'atoll_leader{namespace="gold", instance="b:8081"}': "0x30",
            'atoll_leader{namespace="silver", instance="c:8081"}': "1x30",
        },
        silent=6,
        fires=9,
        labels={"namespace": "gold"},
        summary="No Atoll operator holds the Lease, or none is scraped",
        never={'atoll_leader{instance="a:8081"}': "1x4 0x30", 'atoll_leader{instance="b:8081"}': "0x4 1x30"},
    ),
    Case(
        alert="AtollCacheStale",
        series={'atoll_cache_age_seconds{instance="a:8081"}': "1900x20"},
        silent=4,
        fires=6,
        labels={"instance": "a:8081"},
        summary="Operator a:8081 has not listed some kind of object for 31m 40s",
    ),
    Case(
        alert="AtollSignalHeld",
        series={f'atoll_demand_signal_held{{{CHAT}, priority="0", reason="SignalStale"}}': "0x4 1x30"},
        silent=19,
        fires=21,
        labels={"namespace": "team-a", "demand": "chat", "reason": "SignalStale"},
        summary="The measured demand of team-a/chat is held: SignalStale",
        never={f'atoll_demand_signal_held{{{CHAT}, priority="0", reason="Measured"}}': "0x40"},
    ),
    Case(
        alert="AtollLengthsDiffer",
        series={f'atoll_demand_length_ratio{{{CHAT}, priority="0", kind="input"}}': "1x4 2x80"},
        silent=64,
        fires=66,
        labels={"namespace": "team-a", "demand": "chat", "kind": "input"},
        summary="Requests of team-a/chat have 2 times the declared input tokens",
        never={f'atoll_demand_length_ratio{{{CHAT}, priority="0", kind="output"}}': "1.4x90"},
    ),
    Case(
        alert="AtollObjectFault",
        series={'atoll_object_fault{kind="ModelDemand", namespace="t", name="n", reason="NoPoolFits"}': "1x30"},
        silent=14,
        fires=16,
        labels={"kind": "ModelDemand", "namespace": "t", "name": "n", "reason": "NoPoolFits"},
        summary="ModelDemand t/n cannot be acted on: NoPoolFits",
    ),
    Case(
        alert="AtollOfferingMasked",
        series={f"atoll_offering_masked{{{OFFERING}}}": "1x60"},
        silent=29,
        fires=31,
        labels=OFFERING_LABELS,
        summary="l40s/a/spot gives no nodes and is not counted on",
    ),
    Case(
        alert="AtollNodesLost",
        series={f"atoll_nodes_lost_total{{{OFFERING}}}": "0x10 8x60"},
        silent=9,
        fires=12,
        labels={"fleet": "default", "capacity_type": "spot"},
        summary="Fleet default lost 8 spot nodes in half an hour",
        never={f"atoll_nodes_lost_total{{{OFFERING}}}": "0x10 1x60"},
    ),
    Case(
        alert="AtollRouterNotInStep",
        series={'atoll_router_synced{fleet="default"}': "1x4 0x30"},
        silent=14,
        fires=16,
        labels={"fleet": "default"},
        summary="Some router of fleet default has not taken the present configuration",
    ),
    Case(
        alert="AtollErrors",
        series={'atoll_loop_errors_total{loop="planner"}': "0x4 0+1x30"},
        silent=5,
        fires=12,
        labels={"loop": "planner"},
        summary="Looks of the planner end with unexpected errors",
        never={'atoll_loop_errors_total{loop="planner"}': "0x4 1x30"},
    ),
    Case(
        alert="AtollRequestsFail",
        series={
            'envoy_atoll_router_requests{demand="team-a/chat", status="200"}': "0+90x40",
            'envoy_atoll_router_requests{demand="team-a/chat", status="503"}': "0+10x40",
        },
        silent=9,
        fires=12,
        labels={"demand": "team-a/chat"},
        summary="10% of the requests for team-a/chat fail",
        never={
            'envoy_atoll_router_requests{demand="team-a/chat", status="200"}': "0+90x40",
            'envoy_atoll_router_requests{demand="team-a/chat", status="404"}': "0+90x40",
            'envoy_atoll_router_requests{demand="unknown", status="503"}': "0+90x40",
        },
    ),
)


def test_every_alert_has_a_case() -> None:
    assert [case.alert for case in CASES] == [alert.name for alert in alerts()]


def test_rules_are_such_as_prometheus_takes() -> None:
    promtool("check", "rules", str(RULES))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_when_it_should_and_not_before(case: Case, tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path / RULES.name)
    tests = tmp_path / "tests.yaml"
    content = {"rule_files": [RULES.name], "evaluation_interval": "1m", "tests": list(groups(case))}
    tests.write_text(yaml.safe_dump(content), encoding="utf-8")

    promtool("test", "rules", str(tests))


def test_shipped_queries_say_what_engines_and_routers_counted(tmp_path: Path) -> None:
    """A router that sends five requests/s, one of ten a second time, and one a second to nobody; an engine."""
    key = DemandKey(namespace="team-a", name="chat")
    requests, prompts, answers = length_queries("chat")
    series = {
        'envoy_cluster_upstream_rq_total{envoy_cluster_name="team-a/chat", pod="a"}': "0+165x140",
        'envoy_cluster_upstream_rq_retry{envoy_cluster_name="team-a/chat", pod="a"}': "0+15x140",
        'envoy_cluster_upstream_rq_pending_failure_eject{envoy_cluster_name="team-a/chat", pod="a"}': "0+15x140",
        'envoy_cluster_upstream_cx_none_healthy{envoy_cluster_name="team-a/chat", pod="a"}': "0+15x140",
        'vllm:request_success_total{model_name="chat", finished_reason="stop"}': "0+60x140",
        'vllm:request_success_total{model_name="chat", finished_reason="length"}': "0+30x140",
        'vllm:prompt_tokens_total{model_name="chat"}': "0+90000x140",
        'vllm:generation_tokens_total{model_name="chat"}': "0+9000x140",
    }
    # Prometheus 3 leaves the left end of a range out: a rate needs two samples within.
    wanted = {
        demand_query(key, "chat", DemandSignal(window_seconds=14_400.0)): 6.0,
        requests: 90.0 * 120.0,
        prompts: 90_000.0 * 120.0,
        answers: 9_000.0 * 120.0,
    }
    expected = [
        {"expr": f"round({expr}, 0.001)", "eval_time": "65m", "exp_samples": [{"labels": "{}", "value": value}]}
        for expr, value in wanted.items()
    ]
    tests = tmp_path / "tests.yaml"
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    content = {"tests": [{"interval": "30s", "input_series": inputs, "promql_expr_test": expected}]}
    tests.write_text(yaml.safe_dump(content), encoding="utf-8")
    promtool("test", "rules", str(tests))


def groups(case: Case) -> list[dict[str, Any]]:
    alert = next(alert for alert in alerts() if alert.name == case.alert)
    annotations = {
        "summary": case.summary,
        "description": alert.means,
        "runbook_url": f"{SITE}/{RUNBOOK}.html#{alert.anchor}",
    }
    expected = {"exp_labels": {"severity": alert.severity, **case.labels}, "exp_annotations": annotations}
    found = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
            "alert_rule_test": [
                {"eval_time": f"{case.silent}m", "alertname": case.alert, "exp_alerts": []},
                {"eval_time": f"{case.fires}m", "alertname": case.alert, "exp_alerts": [expected]},
            ],
        }
    ]
    if case.never:
        series = [{"series": name, "values": values} for name, values in case.never.items()]
        quiet = [{"eval_time": f"{case.fires}m", "alertname": case.alert, "exp_alerts": []}]
        found.append({"interval": "1m", "input_series": series, "alert_rule_test": quiet})
    return found


def promtool(*arguments: str) -> None:
    done = subprocess.run([str(ensure_tool("promtool")), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
