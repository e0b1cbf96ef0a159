"""``what-if``: what the operator would do, and what it would cost, if prices, supply, demand or the budget changed."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from atoll.api.manifests import Manifests
from atoll.cli.changes import parse_changes
from atoll.cli.clusteroptions import AsJson, Context, FleetName, Kubeconfig, access_of
from atoll.cli.decision import named_faults, offline_supplies, snapshot_of
from atoll.cli.durations import parse_deadline
from atoll.cli.exits import Exit
from atoll.cli.inforce import failed
from atoll.cli.output import write
from atoll.cli.reading import read_manifests
from atoll.cli.screen import drawn
from atoll.cli.seeing import look
from atoll.cli.waiting import told
from atoll.domain.demand import DemandKey
from atoll.domain.plan import PlannedDemand
from atoll.domain.reason import Fault
from atoll.domain.snapshot import Snapshot
from atoll.optimize.case import Case
from atoll.optimize.decide import pose
from atoll.optimize.posing import case_of
from atoll.optimize.solve import solve
from atoll.optimize.whatif import changed
from atoll.performance.estimate import ShippedPerformance
from atoll.reconcile.adopt import adopt
from atoll.report.comparison import Comparison, Side, side_of
from atoll.report.comparison_table import comparison_table
from atoll.report.numbers import counted
from atoll.report.shortfall import shortfall_reasons

_WORTH_SAYING = 0.01
"""Gap of an answer from which on a difference of cost may be the search's."""

EPILOG = """Examples:

  kubectl atoll what-if --without-spot

  kubectl atoll what-if --lose-zone us-east-2a --demand chat=2x

  kubectl atoll what-if --price h100-us-east-2/us-east-2b/spot=9.5 --json | jq .moreCostPerHour

  atoll what-if -f examples/coral-six/ --demand phi-4-14b=+50% --without-pool l4-us-east-2

The fleet is solved twice, as it is and with all changes together, each within the Fleet's spec.solve.deadline or
--deadline. Of a cluster, what runs is kept where that is worth more than moving, as the operator does it; what ran on
nodes that are gone is lost. Nothing is written.

Exit codes: 0 everything would be served, 1 an object is at fault or the cluster cannot be asked, 2 usage, 3 shortfall,
4 over the budget."""


def what_if(
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--filename",
            "-f",
            help="Manifest, folder of manifests, or - for standard input instead of a cluster; may be repeated.",
        ),
    ] = None,
    fleet: FleetName = "default",
    *,
    without_spot: Annotated[bool, typer.Option("--without-spot", help="No spot node can be had.")] = False,
    lose_zone: Annotated[
        list[str] | None, typer.Option(metavar="ZONE", help="All nodes of a zone are gone; may be repeated.")
    ] = None,
    without_pool: Annotated[
        list[str] | None, typer.Option(metavar="POOL", help="All nodes of a GPUNodePool are gone; may be repeated.")
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(metavar="POOL[/ZONE[/TYPE]]=X", help="Another price, US$ per node and hour; may be repeated."),
    ] = None,
    demand: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=RATE", help="Another demand: 30 (requests/s), 2x, 50% or +20%; may be repeated."),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(min=0.0, max=1e9, metavar="X", help="Another budget of the Fleet, US$/h.")
    ] = None,
    deadline: Annotated[
        str,
        typer.Option(
            metavar="DURATION", help="Time for each solve, 100ms to 10m. Default: the Fleet's spec.solve.deadline."
        ),
    ] = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    as_json: AsJson = False,
) -> None:
    """Show what would change if prices, supply, demand or the budget were different: cost, shortfall and moves."""
    seconds = parse_deadline(deadline) if deadline else None
    if files and context:
        raise typer.BadParameter("is for clusters: leave out -f", param_hint="--context")
    if files:
        situation = _of_manifests(files, fleet)
    else:
        seen = look(access_of(kubeconfig, context), fleet)
        situation = _Situation(seen.snapshot, _case(seen.snapshot, seen.now), None)
        if not situation.case.demands:
            raise failed(f"Fleet {fleet!r} has no valid ModelDemand (kubectl get md -A)")
    case = situation.case
    if seconds is not None:
        case = replace(case, policy=replace(case.policy, deadline_seconds=seconds))
    change, said = parse_changes(
        case,
        without_spot=without_spot,
        zones=lose_zone or (),
        pools=without_pool or (),
        prices=price or (),
        demands=demand or (),
        budget=budget,
    )
    other = changed(case, change)
    with told() as tell:
        before = _decided(situation, case, "as it is", tell)
        after = _decided(situation, other, "then", tell)
    comparison = Comparison(
        before=before.side,
        after=after.side,
        changes=said,
        budget_per_hour=other.policy.budget_per_hour,
        shortfall_reasons=after.reasons,
        notes=tuple(_notes(before, after)),
    )
    report = comparison.as_json()
    write(f"{json.dumps(report, indent=2)}\n" if as_json else drawn(comparison_table(report)))
    raise typer.Exit(_exit_code(comparison))


class _Situation:
    """What is solved twice: a snapshot, its case, and the manifests where it is theirs."""

    def __init__(self, snapshot: Snapshot, case: Case, manifests: Manifests | None) -> None:
        self.snapshot = snapshot
        self.case = case
        self.manifests = manifests

    def faults(self, impossible: dict[DemandKey, Fault]) -> dict[str, Fault]:
        """All that is wrong, by what it is called."""
        if self.manifests is not None:
            return named_faults(self.manifests, self.snapshot, impossible)
        named = {str(ref): found[0] for ref, found in self.snapshot.faults.items()}
        return named | {f"ModelDemand {key}": fault for key, fault in impossible.items()}


class _Answer:
    """One of the two: its side, why it falls short, and how sure it is."""

    def __init__(self, side: Side, reasons: dict[DemandKey, str], gap: float) -> None:
        self.side = side
        self.reasons = reasons
        self.gap = gap


def _of_manifests(files: list[Path], fleet: str) -> _Situation:
    moment = datetime.now(UTC)
    manifests = read_manifests(files, fleet, moment)
    snapshot = snapshot_of(manifests, fleet)
    case = Case(
        demands=tuple(snapshot.demands.values()),
        supplies=offline_supplies(snapshot, moment),
        running=(),
        policy=snapshot.fleet.solve,
        profiles=snapshot.profiles,
        start=snapshot.fleet.start,
    )
    return _Situation(snapshot, case, manifests)


def _case(snapshot: Snapshot, now: datetime) -> Case:
    """As the planner would pose it at this moment, but for what is for people only."""
    return replace(case_of(snapshot, now), compare=False, explain=False)


def _decided(situation: _Situation, case: Case, title: str, tell: Callable[[str], None]) -> _Answer:
    tell(f"Solving {title}: {counted(len(case.demands), 'demand')}, at most {case.policy.deadline_seconds:g} s …")
    problem, impossible = pose(case, ShippedPerformance())
    allocation = solve(problem)
    wanted = {item.key: item for item in case.demands}
    plan = adopt(problem, allocation, demands=wanted, fleet=situation.snapshot.fleet, previous_cost_per_hour=0.0)
    planned = {item.key: item for item in plan.demands}
    for key, fault in impossible.items():
        planned[key] = PlannedDemand(
            key=key,
            uid=wanted[key].uid,
            rate=wanted[key].rate,
            shortfall=wanted[key].rate,
            cost_per_hour=0.0,
            replicas=(),
            reason=str(fault),
        )
    side = side_of(
        plan,
        title,
        demands=[planned[key] for key in sorted(planned)],
        faults=situation.faults(impossible),
    )
    return _Answer(side, shortfall_reasons(problem, allocation), plan.gap)


def _notes(before: _Answer, after: _Answer) -> list[str]:
    """Where the search may be why costs differ."""
    unsure = [
        f"{answer.side.title} {100 * answer.gap:.1f} %" for answer in (before, after) if answer.gap >= _WORTH_SAYING
    ]
    if not unsure:
        return []
    return [f"Proven only to within: {', '.join(unsure)}. A longer --deadline tells more."]


def _exit_code(comparison: Comparison) -> Exit:
    if comparison.after.faults:
        return Exit.ERROR
    if comparison.falls_short:
        return Exit.SHORTFALL
    return Exit.OVER_BUDGET if comparison.is_over_budget else Exit.OK
