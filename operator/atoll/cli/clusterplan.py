"""``atoll plan`` without manifests: a cluster's FleetPlans, and the proposal that waits against the one in force."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from atoll.cli.clusteroptions import access_of
from atoll.cli.exits import Exit
from atoll.cli.inforce import plan_of
from atoll.cli.output import write
from atoll.cli.screen import drawn
from atoll.cli.seeing import Seen, look
from atoll.domain.objects import FLEET_PLAN
from atoll.domain.plan import Plan, PlanPhase
from atoll.reconcile.moments import parse_moment
from atoll.reconcile.plans import current_plan
from atoll.report.ages import age
from atoll.report.comparison import Comparison, side_of
from atoll.report.comparison_table import comparison_table
from atoll.report.numbers import amount, money
from atoll.report.plan import PlanReport
from atoll.report.tables import plan_table

SCHEMA_VERSION = 1


def cluster_plan(kubeconfig: Path | None, context: str, fleet: str, name: str, *, as_json: bool) -> Exit:
    """Tell what a cluster's Fleet is to be, and what waits for approval.

    Args:
        kubeconfig: of the cluster; None for the default one.
        context: of the kubeconfig; empty for its own.
        fleet: name of the Fleet.
        name: of the FleetPlan that is asked about; empty for the one in force.
        as_json: print JSON.
    """
    seen = look(access_of(kubeconfig, context), fleet)
    plan = plan_of(seen.objects[FLEET_PLAN], fleet, name)
    comparison = _proposal(seen, plan)
    report = plan_report(seen, plan).as_json()
    if as_json:
        listing = {
            "schemaVersion": SCHEMA_VERSION,
            "plans": [_row(item, seen.now) for item in seen.snapshot.plans],
            "plan": report | {"phase": plan.phase.value, "approved": plan.approved, "rollbackOf": plan.rollback_of},
            "proposal": comparison.as_json() if comparison else None,
        }
        write(f"{json.dumps(listing, indent=2)}\n")
    else:
        write(drawn(Group(*_screen(seen, plan, report, comparison))))
    return _exit_code(seen, plan)


def plan_report(seen: Seen, plan: Plan) -> PlanReport:
    """A cluster's plan as a report."""
    return PlanReport(
        plan=plan,
        demands=seen.snapshot.demands,
        pools=seen.snapshot.pools,
        faults={str(ref): found[0] for ref, found in seen.snapshot.faults.items()},
        baseline_per_hour=None,
        baseline_shortfall=0.0,
        solver="",
        solve_seconds=0.0,
        budget_per_hour=seen.snapshot.fleet.solve.budget_per_hour,
    )


def _proposal(seen: Seen, plan: Plan) -> Comparison | None:
    """The proposal that waits, or the plan that was asked about, against the one in force."""
    current = current_plan(seen.snapshot.plans)
    waiting = [item for item in seen.snapshot.plans if item.phase is PlanPhase.PROPOSED and not item.approved]
    other = plan if current is None or plan.name != current.name else (waiting[-1] if waiting else None)
    if current is None or other is None or other.name == current.name:
        return None
    return Comparison(
        before=side_of(current, "in force"),
        after=side_of(other, f"by {other.name}"),
        budget_per_hour=seen.snapshot.fleet.solve.budget_per_hour,
    )


def _screen(seen: Seen, plan: Plan, report: dict[str, Any], comparison: Comparison | None) -> list[RenderableType]:
    parts: list[RenderableType] = [_history(seen), Text(f"FleetPlan {plan.name}, {plan.phase}", style="bold")]
    parts.append(plan_table(report))
    if plan.rollback_of:
        parts.append(
            Text(f"A rollback to {plan.rollback_of}: it stays until another plan is approved.", style="yellow")
        )
    if comparison is not None:
        name = comparison.after.name
        parts += [Text(), Text(f"FleetPlan {name} against it", style="bold"), comparison_table(comparison.as_json())]
        if any(item.name == name and not item.approved for item in seen.snapshot.plans):
            parts.append(Text(f"To carry it out: kubectl atoll approve {name}", style="bold"))
    return parts


def _history(seen: Seen) -> Table:
    table = Table(header_style="bold", box=SIMPLE_HEAD)
    for title in ("Plan", "Phase"):
        table.add_column(title, no_wrap=True)
    for title in ("$/h", "Saving", "Gap", "Short", "Age"):
        table.add_column(title, justify="right", no_wrap=True)
    current = current_plan(seen.snapshot.plans)
    for item in seen.snapshot.plans:
        row = _row(item, seen.now)
        table.add_row(
            item.name,
            item.phase,
            money(row["costPerHour"]),
            money(row["savingPerHour"]),
            f"{100 * row['gap']:.2f} %",
            amount(row["shortfall"]),
            row["age"],
            style="bold" if current is not None and item.name == current.name else "",
        )
    return table


def _row(plan: Plan, now: datetime) -> dict[str, Any]:
    created = parse_moment(plan.created)
    return {
        "name": plan.name,
        "phase": plan.phase.value,
        "approved": plan.approved,
        "rollbackOf": plan.rollback_of,
        "costPerHour": plan.cost_per_hour,
        "savingPerHour": round(plan.previous_cost_per_hour - plan.cost_per_hour, 6),
        "gap": plan.gap,
        "shortfall": sum(item.shortfall for item in plan.demands),
        "created": plan.created,
        "age": age(now - created) if created else "",
    }


def _exit_code(seen: Seen, plan: Plan) -> Exit:
    if any(item.shortfall > 1e-6 for item in plan.demands):
        return Exit.SHORTFALL
    budget = seen.snapshot.fleet.solve.budget_per_hour
    return Exit.OVER_BUDGET if plan.cost_per_hour > budget * (1.0 + 1e-9) else Exit.OK
