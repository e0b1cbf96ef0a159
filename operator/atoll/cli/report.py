"""``atoll report``: what a plan costs and for whom, from manifests or from a cluster's FleetPlan."""

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from atoll.api.documents import labels_of
from atoll.api.parse import parse_model_demand
from atoll.cli.clusteroptions import Context, Kubeconfig, access_of
from atoll.cli.decision import Asked, decide
from atoll.cli.durations import parse_deadline
from atoll.cli.exits import Exit
from atoll.cli.inforce import listed, plan_of
from atoll.cli.output import write
from atoll.cli.reading import read_manifests
from atoll.cli.waiting import told
from atoll.cluster.access import Access
from atoll.domain.demand import DemandKey
from atoll.domain.objects import FLEET, FLEET_PLAN, MODEL_DEMAND, ObjectLike
from atoll.domain.reason import Fault, InvalidObjectError
from atoll.domain.workload import Workload
from atoll.reconcile.account import sums_at
from atoll.reconcile.policy import policy_of
from atoll.report.cost import By, CostReport, Grouping
from atoll.report.cost_table import cost_table
from atoll.report.cost_text import cost_csv, cost_markdown

_HOW = (
    "With -f the fleet is planned as `atoll plan` does it. Without it the FleetPlan in force is read from the cluster; "
    "nothing is solved and nothing is written."
)
_PARTS = (
    "A node that demands share is paid for by the GPUs that each holds of its offering, idle GPUs by the same shares. "
    "All groupings add up to the same, exactly."
)

EPILOG = f"""Examples:

  atoll report   # the plan in force, by served model

  atoll report --by namespace --format csv > costs.csv

  atoll report --by label=team --json | jq '.groups[] | {{name, costPerHour}}'

  atoll report -f examples/coral-six/ --by gpu-kind --format markdown

{_HOW}

{_PARTS}

Exit codes: 0 everything is served, 1 an object is at fault or there is no plan, 2 usage, 3 shortfall, 4 over budget."""


class Format(StrEnum):
    """How the report is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


def report(
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--filename", "-f", help="Manifest, folder of manifests, or - for standard input; may be repeated."
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            metavar="GROUPING",
            help="served-model, namespace, label=KEY (of the ModelDemands), gpu-kind or pool.",
        ),
    ] = By.SERVED_MODEL,
    deadline: Annotated[
        str,
        typer.Option(
            metavar="DURATION",
            help="With -f: time for stage two, 100ms to 10m. Default: the Fleet's spec.solve.deadline.",
        ),
    ] = "",
    fleet: Annotated[str, typer.Option(metavar="NAME", help="Name of the Fleet.")] = "default",
    *,
    plan: Annotated[
        str, typer.Option(metavar="NAME", help="Without -f: this FleetPlan instead of the one in force.")
    ] = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    baseline: Annotated[
        bool, typer.Option(help="With -f: also seek the best answer with one GPU kind per served model.")
    ] = True,
    output: Annotated[
        Format | None,
        typer.Option("--format", metavar="FORMAT", help="How to print it; default: table.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Tell what a plan costs and for whom: $/h, share, $/M tokens, GPUs, list price, and what is saved."""
    if files and (plan or context):
        raise typer.BadParameter("is for plans of a cluster: leave out -f", param_hint="--plan / --context")
    if as_json and output not in {None, Format.JSON}:
        raise typer.BadParameter(f"is not {output}: give one of them", param_hint="--json / --format")
    grouping = parse_grouping(by)
    if files:
        seconds = parse_deadline(deadline) if deadline else None
        asked = Asked(fleet=fleet, moment=datetime.now(UTC), deadline_seconds=seconds, baseline=baseline)
        found = _from_manifests(files, asked, grouping)
    else:
        if deadline:
            raise typer.BadParameter("is for manifests: a plan of a cluster is solved already", param_hint="--deadline")
        access = access_of(kubeconfig, context)
        found = _from_cluster(access, fleet, plan, grouping)
    write(_printed(found.as_json(), Format.JSON if as_json else output or Format.TABLE))
    raise typer.Exit(_exit_code(found))


def parse_grouping(text: str) -> Grouping:
    """The grouping that ``--by`` names.

    Raises:
        typer.BadParameter: it names none.
    """
    name, equals, key = text.partition("=")
    if name == By.LABEL and key:
        return Grouping(by=By.LABEL, key=key)
    if name in set(By) - {By.LABEL} and not equals:
        return Grouping(by=By(name))
    choices = ", ".join("label=KEY" if by is By.LABEL else str(by) for by in By)
    raise typer.BadParameter(f"{text[:80]!r} is no grouping: give one of {choices}", param_hint="--by")


def _from_manifests(files: list[Path], asked: Asked, grouping: Grouping) -> CostReport:
    manifests = read_manifests(files, asked.fleet, asked.moment)
    labels = {demand.key: manifests.labels[demand.key] for demand in manifests.demands if demand.fleet == asked.fleet}
    _check_label(grouping, labels, asked.fleet)
    with told() as tell:
        decided = decide(manifests, asked, tell=tell)
    return CostReport(
        plan=decided.plan,
        demands=decided.all_demands(),
        grouping=grouping,
        workloads={key: demand.workload for key, demand in decided.demands.items()},
        labels=labels,
        budget_per_hour=decided.budget_per_hour,
        baseline_per_hour=decided.baseline_per_hour,
        baseline_shortfall=decided.baseline_shortfall,
        faults=decided.faults,
        assumptions=decided.assumptions,
    )


def _from_cluster(access: Access, fleet: str, name: str, grouping: Grouping) -> CostReport:
    objects = listed(access, FLEET_PLAN, FLEET, MODEL_DEMAND)
    plan = plan_of(objects[FLEET_PLAN], fleet, name)
    planned = {item.key for item in plan.demands}
    live = {key: raw for raw in objects[MODEL_DEMAND] if (key := _key(raw)) in planned}
    labels = {key: labels_of(raw) for key, raw in live.items()}
    _check_label(grouping, labels, fleet)
    faults: dict[str, Fault] = {}
    booked = _booked(objects[FLEET], fleet) if not name else {}
    return CostReport(
        plan=plan,
        demands=tuple(sorted(plan.demands, key=lambda item: item.key)),
        grouping=grouping,
        workloads=_workloads(live, faults),
        labels=labels,
        budget_per_hour=_budget(objects[FLEET], fleet, faults),
        baseline_per_hour=plan.baseline_per_hour,
        baseline_shortfall=plan.baseline_shortfall,
        account=sums_at(booked, datetime.now(UTC)) if booked else None,
        began=booked.get("began", ""),
        faults=faults,
    )


def _key(raw: ObjectLike) -> DemandKey:
    return DemandKey(namespace=raw["metadata"].get("namespace", ""), name=raw["metadata"]["name"])


def _workloads(live: Mapping[DemandKey, ObjectLike], faults: dict[str, Fault]) -> dict[DemandKey, Workload]:
    """Of the ModelDemands that can be understood; the rates asked for now do not matter: the plan has its own."""
    any_rate = dict.fromkeys(live, 0.0)
    now = datetime.now(UTC)
    found = {}
    for key, raw in live.items():
        try:
            found[key] = parse_model_demand(raw, signals=any_rate, now=now).workload
        except InvalidObjectError as error:
            faults[f"{MODEL_DEMAND.name} {key}"] = error.fault
    return found


def _budget(fleets: Iterable[ObjectLike], name: str, faults: dict[str, Fault]) -> float:
    """Of the settings that hold for the Fleet, US$/h; one that is not declared has none."""
    for raw in fleets:
        if raw["metadata"]["name"] == name:
            policy, fault = policy_of(raw)
            if fault is not None:
                faults[f"{FLEET.name} {name}"] = fault
            return policy.solve.budget_per_hour
    return math.inf


def _booked(fleets: Iterable[ObjectLike], name: str) -> Mapping[str, Any]:
    """What a Fleet's status keeps of what it has cost; empty where it keeps nothing."""
    raw = next((item for item in fleets if item["metadata"]["name"] == name), {})
    return (raw.get("status") or {}).get("account") or {}


def _check_label(grouping: Grouping, labels: Mapping[DemandKey, Mapping[str, str]], fleet: str) -> None:
    """Refuse a label that no demand has: everything would be in one group, of those without it."""
    known = {key for own in labels.values() for key in own}
    if grouping.by is By.LABEL and grouping.key not in known:
        there = f"labels there: {', '.join(sorted(known))}" if known else "they have no labels"
        raise typer.BadParameter(
            f"no {MODEL_DEMAND.name} of Fleet {fleet!r} has metadata.labels[{grouping.key!r}] ({there}): "
            "name one of these, or label the demands",
            param_hint="--by",
        )


def _printed(listing: Mapping[str, Any], form: Format) -> str:
    match form:
        case Format.JSON:
            return f"{json.dumps(listing, indent=2)}\n"
        case Format.CSV:
            return cost_csv(listing)
        case Format.MARKDOWN:
            return cost_markdown(listing)
        case Format.TABLE:
            console = Console()
            with console.capture() as captured:
                console.print(cost_table(listing))
            return captured.get()


def _exit_code(found: CostReport) -> Exit:
    """As `atoll plan` ends: by the gravest of what is wrong."""
    if found.faults:
        return Exit.ERROR
    if found.shortfall > 1e-6:
        return Exit.SHORTFALL
    return Exit.OVER_BUDGET if found.over_budget else Exit.OK
