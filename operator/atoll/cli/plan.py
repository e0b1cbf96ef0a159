"""``atoll plan``: the operator's decision without a cluster, from manifests."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from atoll.api.manifests import Manifests, load_manifests
from atoll.cli.durations import parse_duration
from atoll.cli.exits import Exit
from atoll.domain.fleet import Fleet
from atoll.domain.snapshot import Snapshot
from atoll.optimize.baseline import one_kind_per_served_model
from atoll.optimize.case import Case
from atoll.optimize.decide import pose
from atoll.optimize.solve import solve
from atoll.performance.estimate import ShippedPerformance
from atoll.reconcile.adopt import adopt
from atoll.reconcile.supply import supplies
from atoll.report.plan import PlanReport
from atoll.report.tables import plan_table

_LONGEST_BASELINE_SECONDS = 10.0

EPILOG = """Examples:

  atoll plan -f examples/coral-six/

  atoll plan -f demand.yaml -f pools/ --deadline 30s --json | jq .costPerHour

Exit codes: 0 everything is served, 1 an object is at fault, 2 usage, 3 shortfall, 4 over the Fleet's budget."""


def plan(
    files: Annotated[
        list[Path], typer.Option("--filename", "-f", help="Manifest or folder of manifests; may be repeated.")
    ],
    deadline: Annotated[
        str, typer.Option(help="Time for the solve, such as 5s or 1m; default: the Fleet's spec.solve.deadline.")
    ] = "",
    fleet: Annotated[str, typer.Option(help="Name of the Fleet to plan for.")] = "default",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    baseline: Annotated[bool, typer.Option(help="Seek the best answer with one GPU kind per served model too.")] = True,
) -> None:
    """Decide what runs where for a folder of manifests, and prove how good that is; no cluster is needed."""
    seconds = parse_duration(deadline) if deadline else None
    try:
        manifests = load_manifests(files, now=datetime.now(UTC))
    except FileNotFoundError as error:
        raise typer.BadParameter(f"{error.filename or error}: no such file or folder", param_hint="-f") from error
    progress = Console(stderr=True)
    for note in manifests.notes:
        progress.print(f"note: {note}", style="dim", highlight=False)
    if not manifests.faults and not any(demand.fleet == fleet for demand in manifests.demands):
        seen = ", ".join(sorted({demand.fleet for demand in manifests.demands})) or "none"
        raise typer.BadParameter(f"no ModelDemand of Fleet {fleet!r} found (fleets named: {seen})", param_hint="-f")
    report = plan_report(manifests, fleet=fleet, deadline_seconds=seconds, with_baseline=baseline, progress=progress)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
    else:
        Console().print(plan_table(report.as_json()))
    raise typer.Exit(exit_code(report))


def exit_code(report: PlanReport) -> Exit:
    """What the command ends with: the gravest of what is wrong."""
    if report.faults:
        return Exit.ERROR
    if report.shortfall > 1e-6:
        return Exit.SHORTFALL
    if report.plan.cost_per_hour > report.budget_per_hour * (1.0 + 1e-9):
        return Exit.OVER_BUDGET
    return Exit.OK


def plan_report(
    manifests: Manifests, *, fleet: str, deadline_seconds: float | None, with_baseline: bool, progress: Console
) -> PlanReport:
    """The decision for what manifests declare, as the operator would make it with nothing running."""
    snapshot = snapshot_of(manifests, fleet)
    policy = snapshot.fleet.solve
    if deadline_seconds is not None:
        policy = replace(policy, deadline_seconds=deadline_seconds)
    case = Case(
        demands=tuple(snapshot.demands.values()),
        supplies=supplies(snapshot, datetime.now(UTC)),
        running=(),
        policy=policy,
    )
    with progress.status("Stage one: serving strategies …") as status:
        problem, faulty = pose(case, ShippedPerformance())
        rival = None
        if with_baseline:
            status.update("Baseline: one GPU kind per served model …")
            shorter = min(policy.deadline_seconds, _LONGEST_BASELINE_SECONDS)
            rival = one_kind_per_served_model(replace(problem, policy=replace(policy, deadline_seconds=shorter)))
        status.update(f"Stage two: at most {policy.deadline_seconds:g} s …")
        allocation = solve(problem, incumbents=(rival,) if rival else ())
    decision = adopt(problem, allocation, demands=snapshot.demands, fleet=snapshot.fleet, previous_cost_per_hour=0.0)
    faults = {f"{item.origin}: {item.target}" if item.target else item.origin: item.fault for item in manifests.faults}
    faults |= {f"ModelDemand {key}": fault for key, fault in faulty.items()}
    return PlanReport(
        plan=decision,
        demands=snapshot.demands,
        pools=snapshot.pools,
        faults=faults,
        baseline_per_hour=rival.cost_per_hour if rival else None,
        baseline_shortfall=sum(rival.shortfall.values()) if rival else 0.0,
        solver=allocation.solver,
        solve_seconds=allocation.solve_seconds,
        budget_per_hour=policy.budget_per_hour,
        levels=tuple(
            {"name": level.name, "value": level.value, "bound": level.bound, "proven": level.proven}
            for level in allocation.levels
        ),
    )


def snapshot_of(manifests: Manifests, fleet: str) -> Snapshot:
    """What the operator would see of these manifests in an empty cluster."""
    policy = next((item for item in manifests.fleets if item.name == fleet), Fleet(name=fleet))
    return Snapshot(
        fleet=policy,
        demands={item.key: item for item in sorted(manifests.demands, key=lambda d: d.key) if item.fleet == fleet},
        pools={item.name: item for item in manifests.pools if item.fleet == fleet},
    )
