"""``atoll explain``: why a demand is served as it is, from manifests or from a cluster's FleetPlan."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from atoll.api.manifests import Manifests
from atoll.cli.clusteroptions import Context, Kubeconfig, access_of
from atoll.cli.decision import named_faults, offline_supplies, snapshot_of
from atoll.cli.durations import parse_deadline
from atoll.cli.exits import Exit
from atoll.cli.inforce import listed, plan_of
from atoll.cli.output import write
from atoll.cli.reading import read_manifests, refuse_faulty
from atoll.cluster.access import Access
from atoll.domain.demand import DemandKey
from atoll.domain.objects import FLEET_PLAN, MODEL_DEMAND
from atoll.domain.plan import PlannedDemand
from atoll.optimize.case import Case
from atoll.optimize.decide import pose
from atoll.optimize.explain.explain import explain as explain_allocation
from atoll.optimize.solve import solve
from atoll.performance.estimate import ShippedPerformance
from atoll.reconcile.adopt import adopt
from atoll.reconcile.desired import desired_objects
from atoll.render.router.routing import RouterSettings
from atoll.report.explain import ExplainReport
from atoll.report.explain_table import explain_text
from atoll.report.shortfall import shortfall_reasons

SHARE = 0.5
LEAST_SECONDS = 3.0
MOST_SECONDS = 15.0
"""Time for the explanation, as a share of the deadline, and its bounds, seconds: somebody waits for the answer."""

ALTERNATIVES = 5

_HOW = (
    "With -f the fleet is planned as `atoll plan` does it, then explained for half of the deadline again, 3 to 15 s. "
    "Without it the FleetPlan in force is read from the cluster; nothing is solved and nothing is written."
)

EPILOG = f"""Examples:

  atoll explain qwen3-32b -f examples/coral-six/

  atoll explain team-a/chat -f fleet.yaml --json | jq .alternatives

  atoll explain qwen3-32b   # in the cluster that kubectl talks to

  atoll explain qwen3-32b --plan default-0123456789   # a proposal

{_HOW}

Exit codes: 0 the demand is served, 1 an object is at fault or there is no plan, 2 usage, 3 the demand falls short."""


def explain(
    demand: Annotated[str, typer.Argument(metavar="DEMAND", help="ModelDemand: name or namespace/name.")],
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--filename", "-f", help="Manifest, folder of manifests, or - for standard input; may be repeated."
        ),
    ] = None,
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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Tell why a demand is served as it is: what else it could run as, and what one more node is worth."""
    if files and (plan or context):
        raise typer.BadParameter("is for plans of a cluster: leave out -f", param_hint="--plan / --context")
    if files:
        seconds = parse_deadline(deadline) if deadline else None
        report = _from_manifests(demand, files, fleet, seconds)
    else:
        if deadline:
            raise typer.BadParameter("is for manifests: a plan of a cluster is solved already", param_hint="--deadline")
        access = access_of(kubeconfig, context)
        report = _from_cluster(demand, access, fleet, plan)
    said = report.as_json()
    if as_json:
        write(f"{json.dumps(said, indent=2)}\n")
    else:
        console = Console()
        with console.capture() as captured:
            console.print(explain_text(said))
        write(captured.get())
    raise typer.Exit(_exit_code(report))


def _exit_code(report: ExplainReport) -> Exit:
    if report.faults:
        return Exit.ERROR
    return Exit.SHORTFALL if report.demand.shortfall > 1e-6 else Exit.OK  # as in `atoll plan`


def _from_manifests(name: str, files: list[Path], fleet: str, deadline_seconds: float | None) -> ExplainReport:
    moment = datetime.now(UTC)
    manifests = read_manifests(files, fleet, moment)
    known = snapshot_of(manifests, fleet).demands
    refuse_faulty(name, manifests, known)
    key = chosen(name, known)
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        progress.add_task(f"Planning the fleet, then explaining {key} …")
        return _planned(key, manifests, fleet, moment, deadline_seconds)


def _planned(
    key: DemandKey, manifests: Manifests, fleet: str, moment: datetime, deadline_seconds: float | None
) -> ExplainReport:
    snapshot = snapshot_of(manifests, fleet)
    policy = snapshot.fleet.solve
    if deadline_seconds is not None:
        policy = replace(policy, deadline_seconds=deadline_seconds)
    demands = tuple(snapshot.demands.values())
    case = Case(
        demands=demands,
        supplies=offline_supplies(snapshot, moment),
        running=(),
        policy=policy,
        profiles=snapshot.profiles,
        start=snapshot.fleet.start,
    )
    problem, impossible = pose(case, ShippedPerformance())
    allocation = solve(problem)
    seconds = min(MOST_SECONDS, max(LEAST_SECONDS, SHARE * policy.deadline_seconds))
    told = explain_allocation(problem, allocation, seconds=seconds, demands=[key], most=ALTERNATIVES)
    plan = adopt(
        problem,
        allocation,
        demands=snapshot.demands,
        fleet=snapshot.fleet,
        previous_cost_per_hour=0.0,
        explanation=told,
    )
    _, unrendered = desired_objects(snapshot, plan, RouterSettings())
    planned = next((item for item in plan.demands if item.key == key), None)
    if planned is None:
        wanted = snapshot.demands[key]
        fault = impossible.get(key)
        planned = PlannedDemand(
            key=key,
            uid="",
            rate=wanted.rate,
            shortfall=wanted.rate,
            cost_per_hour=0.0,
            replicas=(),
            reason=str(fault) if fault else "not in the plan",
        )
    faults = named_faults(manifests, snapshot, impossible, unrendered)
    why = shortfall_reasons(problem, allocation).get(key) or str(impossible.get(key, ""))
    return ExplainReport(plan=plan, demand=planned, shortfall_reason=why, faults=faults)


def _from_cluster(name: str, access: Access, fleet: str, plan_name: str) -> ExplainReport:
    plan = plan_of(listed(access, FLEET_PLAN)[FLEET_PLAN], fleet, plan_name)
    key = chosen(name, (item.key for item in plan.demands))
    return ExplainReport(plan=plan, demand=next(item for item in plan.demands if item.key == key))


def chosen(name: str, keys: Iterable[DemandKey], *, option: str = "DEMAND") -> DemandKey:
    """The one demand of this name, or of this namespace and name.

    Args:
        name: given by a user.
        keys: of the demands that there are.
        option: that it was given to, for the error.

    Raises:
        typer.BadParameter: there is none, or more than one; the message lists what there is.
    """
    known = sorted(keys)
    found = [key for key in known if name in (str(key), key.name)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(map(str, found))
        raise typer.BadParameter(f"{name!r} is the name of {len(found)}: say which ({names})", param_hint=option)
    names = ", ".join(str(key).removeprefix("default/") for key in known) or "none"
    raise typer.BadParameter(f"no valid {MODEL_DEMAND.name} {name!r} there; there are: {names}", param_hint=option)
