"""``atoll simulate``: a fleet over time, without a cluster and without waiting for it."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from atoll.api.documents import STANDARD_INPUT
from atoll.api.manifests import Manifests, load_manifests
from atoll.api.quantities import seconds
from atoll.cli.decision import snapshot_of
from atoll.cli.durations import parse_span
from atoll.cli.exits import Exit
from atoll.cli.output import write
from atoll.domain.demand import DemandKey
from atoll.domain.objects import MODEL_DEMAND
from atoll.domain.reason import Reason
from atoll.performance.estimate import ShippedPerformance
from atoll.report.simulation import simulation_tables
from atoll.simulate.conditions import conditions_of
from atoll.simulate.curves import curves_of, priorities_of
from atoll.simulate.deciders import DECIDERS, Baseline, atoll
from atoll.simulate.outcome import outcome
from atoll.simulate.run import Played, Setting, play
from atoll.simulate.scenario import LONGEST_EPOCHS, ScenarioError, ScenarioFile, read_scenario

EPILOG = """Examples:

  atoll simulate -f examples/coral-six --scenario examples/scenarios/noise.yaml

  atoll simulate -f fleet/ --scenario losses.yaml --epochs 30 --baseline none

  atoll simulate -f fleet/ --scenario scarcity.yaml --baseline uniform --json | jq '.runs[].totals'

The scenario's fields are in docs/reference/scenario.md. The operator's own decisions are played, with a work budget
instead of a deadline: the same scenario gives the same figures on every machine.

Baselines: replan-always makes the best plan of every epoch as if nothing ran; uniform scales all demands alike when not
all can be served; first-come lets one demand after the other take what is left. Default: all three.

Exit codes: 0 played, 1 an object or the scenario is at fault, 2 usage."""


def simulate(
    files: Annotated[
        list[Path],
        typer.Option(
            "--filename", "-f", help="Manifest, folder of manifests, or - for standard input; may be repeated."
        ),
    ],
    scenario: Annotated[Path, typer.Option(metavar="FILE", help="What happens over time, YAML.")],
    *,
    epochs: Annotated[
        int | None, typer.Option(min=1, max=LONGEST_EPOCHS, help="How many epochs; default: the scenario's.")
    ] = None,
    epoch: Annotated[
        str, typer.Option(metavar="DURATION", help="Length of one, such as 60s; default: the scenario's.")
    ] = "",
    baseline: Annotated[
        list[Baseline] | None, typer.Option(help="What to compare with; may be repeated. Default: all but none.")
    ] = None,
    fleet: Annotated[str, typer.Option(metavar="NAME", help="Name of the Fleet to play.")] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Play a scenario: demand, prices and supply change, nodes are lost, and the fleet follows, or does not need to."""
    length = parse_span(epoch, ("1s", "24h"), option="--epoch") if epoch else None
    console = Console(stderr=True)
    missing = next((path for path in files if path != STANDARD_INPUT and not path.exists()), None)
    if missing is not None:
        raise typer.BadParameter(f"{missing}: no such file or folder", param_hint="-f")
    try:
        played = read_scenario(scenario)
        manifests, queried = _manifests(files, played)
        if not any(demand.fleet == fleet for demand in manifests.demands):
            seen = ", ".join(sorted({demand.fleet for demand in manifests.demands})) or "none"
            _say_faults(console, manifests)
            raise typer.BadParameter(f"no ModelDemand of Fleet {fleet!r} found (fleets named: {seen})", param_hint="-f")
        setting = _setting(manifests, queried, played, fleet)
    except FileNotFoundError as error:
        raise typer.BadParameter(f"{error.filename or error}: no such file", param_hint="--scenario") from error
    except ScenarioError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(Exit.ERROR) from error
    setting = replace(setting, epochs=epochs or setting.epochs, epoch_seconds=length or setting.epoch_seconds)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        runs = _play(setting, _chosen(baseline), progress)
    faults = {f"{item.origin}: {item.target}" if item.target else item.origin: item.fault for item in manifests.faults}
    faults |= {f"{MODEL_DEMAND.name} {key}": fault for key, fault in runs[0].faults.items()}
    report = outcome(str(scenario), played.content.seed, setting, runs, faults)
    write(f"{json.dumps(report, indent=2, allow_nan=False)}\n" if as_json else _drawn(report))
    raise typer.Exit(Exit.ERROR if faults else Exit.OK)


def _manifests(files: Iterable[Path], scenario: ScenarioFile) -> tuple[Manifests, frozenset[DemandKey]]:
    """The manifests, and the demands in them that are measured by a query."""
    paths, start = tuple(files), scenario.start
    manifests = load_manifests(paths, now=start)
    prefix = f"{MODEL_DEMAND.name} "
    queried = frozenset(
        DemandKey(namespace=namespace, name=name)
        for item in manifests.faults
        if item.fault.reason is Reason.INVALID_SIGNAL
        for namespace, _, name in [item.target.removeprefix(prefix).partition("/")]
    )
    if not queried:
        return manifests, queried
    return load_manifests(paths, now=start, signals=dict.fromkeys(queried, 0.0)), queried


def _setting(manifests: Manifests, queried: frozenset[DemandKey], scenario: ScenarioFile, fleet: str) -> Setting:
    snapshot = snapshot_of(manifests, fleet)
    demands = snapshot.demands
    priorities = priorities_of(scenario, demands.values())
    return Setting(
        fleet=snapshot.fleet,
        demands={key: replace(demand, priority=priorities[key]) for key, demand in demands.items()},
        curves=curves_of(scenario, demands.values(), queried=queried & demands.keys()),
        conditions=conditions_of(scenario, snapshot.pools.values()),
        start=scenario.start,
        epochs=scenario.content.epochs,
        epoch_seconds=seconds(scenario.content.epoch),
        begin=scenario.content.begin,
        profiles=snapshot.profiles,
    )


def _chosen(baseline: list[Baseline] | None) -> list[Baseline]:
    asked = baseline or list(DECIDERS)
    return [item for item in DECIDERS if item in asked]


def _play(setting: Setting, baselines: list[Baseline], progress: Progress) -> list[Played]:
    performance = ShippedPerformance()
    task = progress.add_task("serving strategies", total=setting.epochs)

    def told(name: str) -> Callable[[int], object]:
        progress.update(task, description=name, completed=0)
        return lambda done: progress.update(task, completed=done)

    runs = [play(setting, atoll(performance), name="atoll", tell=told("atoll"))]
    for item in baselines:
        holds = item is not Baseline.REPLAN_ALWAYS
        decide = DECIDERS[item](performance)
        runs.append(play(setting, decide, name=item.value, holds=holds, tell=told(item.value)))
    return runs


def _say_faults(console: Console, manifests: Manifests) -> None:
    for fault in manifests.faults:
        console.print(str(fault), style="red", highlight=False, markup=False, soft_wrap=True)


def _drawn(report: dict[str, object]) -> str:
    console = Console()
    with console.capture() as captured:
        console.print(simulation_tables(report))
    return captured.get()
