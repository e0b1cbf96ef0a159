"""``atoll plan``: the operator's decision for manifests, without a cluster; or what a cluster's FleetPlans say."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.text import Text

from atoll.cli.against import compared_with, read_former
from atoll.cli.clusteroptions import Context, Kubeconfig
from atoll.cli.clusterplan import cluster_plan
from atoll.cli.decision import Asked, decide
from atoll.cli.durations import parse_deadline, parse_moment
from atoll.cli.exits import Exit
from atoll.cli.measured import NOTHING_ASKED, ask, parse_rates
from atoll.cli.output import write
from atoll.cli.reading import read_manifests
from atoll.cli.screen import drawn
from atoll.cli.waiting import told
from atoll.report.comparison_table import comparison_table
from atoll.report.comparison_text import comparison_markdown
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

  atoll plan -f fleet/ --demand team-a/chat=25   # what is measured in a cluster

  atoll plan -f fleet/ --against main/fleet/ --format markdown   # as a comment on a pull request

  kubectl atoll plan   # the FleetPlans of a cluster, and the one that waits for approval against the one in force

{_DEADLINE}

Exit codes: 0 everything is served, 1 an object is at fault, 2 usage, 3 shortfall, 4 over the Fleet's budget."""


class Format(StrEnum):
    """How a plan is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


def plan(
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--filename",
            "-f",
            help="Manifest, folder of manifests, or - for standard input; may be repeated. Without it: the FleetPlans "
            "of a cluster.",
        ),
    ] = None,
    deadline: Annotated[
        str,
        typer.Option(
            metavar="DURATION",
            help="Time for stage two, 100ms to 10m, such as 5s; stage one and the comparison come on top. "
            "Default: the Fleet's spec.solve.deadline.",
        ),
    ] = "",
    fleet: Annotated[str, typer.Option(metavar="NAME", help="Name of the Fleet to plan for.")] = "default",
    at: Annotated[
        str, typer.Option(metavar="TIME", help="Moment that schedules are read for, RFC 3339; default: now.")
    ] = "",
    *,
    demand: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=RATE",
            help="Requests/s of a demand, such as team-a/chat=25: what is measured, or instead of what is declared; "
            "may be repeated.",
        ),
    ] = None,
    prometheus: Annotated[
        str, typer.Option(metavar="URL", help="Prometheus to ask now for demands that are measured.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    output: Annotated[
        Format | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="table (the default), json or markdown, which is for pull requests.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="Manifests as they were, to tell what changes and costs; may be repeated."),
    ] = None,
    baseline: Annotated[
        bool, typer.Option(help="Then seek the best answer with one GPU kind per served model, for comparison.")
    ] = True,
    plan_name: Annotated[
        str, typer.Option("--plan", metavar="NAME", help="Without -f: this FleetPlan instead of the one in force.")
    ] = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
) -> None:
    """Decide what runs where for manifests, and prove how good that is; without -f: tell a cluster's FleetPlans."""
    form = _form(output, as_json=as_json)
    if not files:
        markdown = form is Format.MARKDOWN
        _only_with_manifests(
            deadline=deadline, at=at, against=against, demand=demand, prometheus=prometheus, markdown=markdown
        )
        code = cluster_plan(kubeconfig, context, fleet, plan_name, as_json=form is Format.JSON)
        raise typer.Exit(code)
    if plan_name or context:
        raise typer.BadParameter("is for plans of a cluster: leave out -f", param_hint="--plan / --context")
    asked = Asked(
        fleet=fleet,
        moment=parse_moment(at) if at else datetime.now(UTC),
        deadline_seconds=parse_deadline(deadline) if deadline else None,
        baseline=baseline,
    )
    rates = parse_rates(demand or ())
    answers = ask(files, prometheus, asked.moment) if prometheus else NOTHING_ASKED
    manifests = read_manifests(files, fleet, asked.moment, rates=rates, answers=answers)
    former = read_former(against, asked.moment) if against else None
    with told() as tell:
        before = decide(former, replace(asked, baseline=False), tell=tell) if former is not None else None
        report = decide(manifests, asked, tell=tell)
    write(_printed(report, before, form))
    raise typer.Exit(exit_code(report))


def _form(output: Format | None, *, as_json: bool) -> Format:
    if as_json and output not in {None, Format.JSON}:
        raise typer.BadParameter(f"is not {output}: give one of them", param_hint="--json / --format")
    return Format.JSON if as_json else output or Format.TABLE


def _only_with_manifests(**options: object) -> None:
    """Refuse what has no meaning for a cluster's plans."""
    names = {"markdown": "--format markdown"}
    given = [names.get(name, f"--{name}") for name, value in options.items() if value]
    if given:
        raise typer.BadParameter("is for manifests: give -f", param_hint=" / ".join(given))


def _printed(report: PlanReport, before: PlanReport | None, form: Format) -> str:
    listing = report.as_json()
    compared = compared_with(report, before) if before is not None or form is Format.MARKDOWN else None
    match form:
        case Format.JSON:
            more = {"against": compared.as_json()} if compared is not None else {}
            return f"{json.dumps(listing | more, indent=2)}\n"
        case Format.MARKDOWN if compared is not None:
            return comparison_markdown(compared.as_json())
        case _ if compared is not None:
            return drawn(Group(plan_table(listing), Text(), comparison_table(compared.as_json())))
        case _:
            return drawn(plan_table(listing))


def exit_code(report: PlanReport) -> Exit:
    """What the command ends with: the gravest of what is wrong."""
    if report.faults:
        return Exit.ERROR
    if report.shortfall > 1e-6:
        return Exit.SHORTFALL
    if report.is_over_budget:
        return Exit.OVER_BUDGET
    return Exit.OK
