"""``atoll strategies``: what stage one finds for each demand, and what became of it."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from atoll.api.manifests import Manifests
from atoll.cli.decision import named_faults, offline_supplies, snapshot_of
from atoll.cli.exits import Exit
from atoll.cli.output import write
from atoll.cli.reading import read_manifests, refuse_faulty
from atoll.cli.waiting import told
from atoll.domain.demand import Demand
from atoll.domain.pool import Supply
from atoll.domain.snapshot import Snapshot
from atoll.domain.strategy import Strategy
from atoll.optimize.case import Case
from atoll.optimize.decide import allowed_supplies, known_of, pose, starts_of
from atoll.optimize.templates import Candidate, candidates_for
from atoll.performance.estimate import ShippedPerformance
from atoll.reconcile.problem import widths
from atoll.report.numbers import counted
from atoll.report.strategies import (
    DemandStrategies,
    Prices,
    RatedStrategy,
    StrategiesReport,
    Verdict,
    with_frontier,
)
from atoll.report.strategies_plot import FORMATS, draw_strategies
from atoll.report.strategies_table import strategies_table

EPILOG = """Examples:

  atoll strategies -f examples/coral-six/ --demand qwen3-32b

  atoll strategies -f fleet.yaml --all --json | jq '.demands[].strategies[] | select(.frontier)'

  atoll strategies -f fleet.yaml --plot strategies.svg

What is kept does not depend on prices or on the rate wanted: a strategy goes only where copies of another need no more
GPUs, deliver as much and start no later, or where its stages deliver as much in pipelines of fewer GPU kinds. Prices
come from the offerings of the pools.

Exit codes: 0 every demand has a strategy, 1 an object is at fault or the plot cannot be written, 2 usage."""


def strategies(
    files: Annotated[
        list[Path],
        typer.Option(
            "--filename", "-f", help="Manifest, folder of manifests, or - for standard input; may be repeated."
        ),
    ],
    demand: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this ModelDemand, name or namespace/name; may be repeated."),
    ] = None,
    fleet: Annotated[str, typer.Option(metavar="NAME", help="Name of the Fleet.")] = "default",
    top: Annotated[int, typer.Option(min=1, help="Most strategies of a demand in the table.")] = 20,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Draw US$/h against requests/s into this file ({', '.join(FORMATS)})."),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table; it holds all, not --top.")] = (
        False
    ),
    everything: Annotated[bool, typer.Option("--all", help="Show what is dominated or too slow as well.")] = False,
) -> None:
    """Show the serving strategies of each demand: rate, TTFT, TPOT, what limits them, price, and how sure that is."""
    if plot is not None and plot.suffix not in FORMATS:
        raise typer.BadParameter(f"{plot}: must end with {', '.join(FORMATS)}", param_hint="--plot")
    moment = datetime.now(UTC)
    manifests = read_manifests(files, fleet, moment)
    snapshot = snapshot_of(manifests, fleet)
    for name in demand or ():
        refuse_faulty(name, manifests, snapshot.demands)
    wanted = _chosen(snapshot, tuple(demand or ()))
    with told() as tell:
        report = _report(manifests, snapshot, wanted, moment, tell)
    if plot is not None:
        _draw(report, plot)
    listed = report.as_json(everything=everything)
    if as_json:
        write(f"{json.dumps(listed, indent=2)}\n")
    else:
        console = Console()
        with console.capture() as captured:
            console.print(strategies_table(listed, most=top))
        write(captured.get())
    raise typer.Exit(Exit.ERROR if report.faults else Exit.OK)


def _chosen(snapshot: Snapshot, names: tuple[str, ...]) -> tuple[Demand, ...]:
    """Demands by name, all where none is named."""
    demands = tuple(snapshot.demands.values())
    for name in names:
        if not any(name in _names(item) for item in demands):
            known = ", ".join(item.key.name for item in demands) or "none"
            raise typer.BadParameter(f"{name!r} is no valid ModelDemand of this Fleet ({known})", param_hint="--demand")
    return tuple(item for item in demands if not names or set(names) & _names(item))


def _names(demand: Demand) -> set[str]:
    return {demand.key.name, str(demand.key)}


def _report(
    manifests: Manifests,
    snapshot: Snapshot,
    demands: tuple[Demand, ...],
    moment: datetime,
    tell: Callable[[str], object],
) -> StrategiesReport:
    performance, supplies = ShippedPerformance(), offline_supplies(snapshot, moment)
    tell(f"Serving strategies of {counted(len(demands), 'demand')} …")
    case = Case(
        demands=demands,
        supplies=supplies,
        running=(),
        policy=snapshot.fleet.solve,
        profiles=snapshot.profiles,
        start=snapshot.fleet.start,
    )
    problem, faults = pose(case, performance)
    kept = {row.key: {template.strategy for template in row.templates} for row in problem.demands}
    found = []
    for demand in demands:
        allowed = allowed_supplies(demand, supplies)
        known, starts = known_of(demand, case, performance), starts_of(demand, allowed, case.start)
        rated = candidates_for(demand, widths(allowed), known, starts=starts)
        if demand.key in faults and any(item.feasible for item in rated):
            rated = ()  # what stands in the way is none of the strategies
        prices = Prices(snapshot.pools.values(), demand)
        nodes = _node_seconds(allowed)
        items = [_rated(item, kept.get(demand.key, set()), prices, nodes) for item in rated]
        found.append(DemandStrategies(demand=demand, strategies=with_frontier(items)))
    return StrategiesReport(
        demands=tuple(found),
        faults=named_faults(manifests, snapshot, faults),
        rate_confidence=snapshot.fleet.solve.rate_confidence,
    )


def _node_seconds(supplies: Iterable[Supply]) -> dict[str, float]:
    """Seconds to a Ready node in the slowest pool, by GPU kind."""
    found: dict[str, float] = {}
    for supply in supplies:
        found[supply.gpu_kind] = max(supply.startup_seconds, found.get(supply.gpu_kind, 0.0))
    return found


def _rated(item: Candidate, kept: set[Strategy], prices: Prices, nodes: Mapping[str, float]) -> RatedStrategy:
    strategy = item.template.strategy
    verdict = Verdict.KEPT if strategy in kept else Verdict.DOMINATED if item.feasible else Verdict.TOO_SLOW
    return RatedStrategy(
        template=item.template,
        verdict=verdict,
        price_per_hour=prices.per_hour(strategy),
        node_seconds=max((nodes[kind] for kind in strategy.need if kind in nodes), default=None),
    )


def _draw(report: StrategiesReport, path: Path) -> None:
    try:
        draw_strategies(report, path)
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        message = "error: --plot needs matplotlib, which is not installed: pip install matplotlib"
        typer.echo(message, err=True)
        raise typer.Exit(Exit.ERROR) from error
    except OSError as error:
        typer.echo(f"error: cannot write the plot: {error.strerror or error}: {path}", err=True)
        raise typer.Exit(Exit.ERROR) from error
