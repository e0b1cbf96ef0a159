"""``atoll plan``: the operator's decision without a cluster, from manifests."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from atoll.cli.decision import Asked, decide
from atoll.cli.durations import parse_deadline, parse_moment
from atoll.cli.exits import Exit
from atoll.cli.output import write
from atoll.cli.reading import read_manifests
from atoll.cli.waiting import told
from atoll.report.plan import PlanReport
from atoll.report.tables import plan_table

_DEADLINE = (
    "The deadline covers stage two, the choice of replicas and nodes. Stage one, which finds the serving strategies of "
    "each demand, comes before it; the comparison with one GPU kind per served model comes after it, for as long again "
    "and 10 s at most."
)

EPILOG = f"""Examples:

  atoll plan -f examples/coral-six/

  atoll plan -f demand.yaml -f pools/ --deadline 30s --json | jq .costPerHour

  kustomize build fleet/ | atoll plan -f -

{_DEADLINE}

Exit codes: 0 everything is served, 1 an object is at fault, 2 usage, 3 shortfall, 4 over the Fleet's budget."""


def plan(
    files: Annotated[
        list[Path],
        typer.Option(
            "--filename", "-f", help="Manifest, folder of manifests, or - for standard input; may be repeated."
        ),
    ],
    deadline: Annotated[
        str,
        typer.Option(
            help="Time for stage two, 100ms to 10m, such as 5s; stage one and the comparison come on top. "
            "Default: the Fleet's spec.solve.deadline."
        ),
    ] = "",
    fleet: Annotated[str, typer.Option(help="Name of the Fleet to plan for.")] = "default",
    at: Annotated[
        str, typer.Option(metavar="TIME", help="Moment that schedules are read for, RFC 3339; default: now.")
    ] = "",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    baseline: Annotated[
        bool, typer.Option(help="Then seek the best answer with one GPU kind per served model, for comparison.")
    ] = True,
) -> None:
    """Decide what runs where for a folder of manifests, and prove how good that is; no cluster is needed."""
    asked = Asked(
        fleet=fleet,
        moment=parse_moment(at) if at else datetime.now(UTC),
        deadline_seconds=parse_deadline(deadline) if deadline else None,
        baseline=baseline,
    )
    manifests = read_manifests(files, fleet, asked.moment)
    with told() as tell:
        report = decide(manifests, asked, tell=tell)
    write(f"{json.dumps(report.as_json(), indent=2)}\n" if as_json else drawn(report))
    raise typer.Exit(exit_code(report))


def drawn(report: PlanReport) -> str:
    """The table as text, with the colours that the terminal has."""
    console = Console()
    with console.capture() as captured:
        console.print(plan_table(report.as_json()))
    return captured.get()


def exit_code(report: PlanReport) -> Exit:
    """What the command ends with: the gravest of what is wrong."""
    if report.faults:
        return Exit.ERROR
    if report.shortfall > 1e-6:
        return Exit.SHORTFALL
    if report.plan.cost_per_hour > report.budget_per_hour * (1.0 + 1e-9):
        return Exit.OVER_BUDGET
    return Exit.OK
