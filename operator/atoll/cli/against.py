"""Manifests against what they were, as a check of a pull request; and whether they can be understood at all."""

import json
from datetime import datetime
from pathlib import Path

import typer

from atoll.api.documents import STANDARD_INPUT
from atoll.api.manifests import Manifests, load_manifests
from atoll.cli.exits import Exit
from atoll.cli.output import write
from atoll.domain.demand import DemandKey
from atoll.domain.objects import MODEL_DEMAND
from atoll.domain.reason import Reason
from atoll.report.comparison import Comparison, Side, side_of
from atoll.report.numbers import counted
from atoll.report.plan import PlanReport

SCHEMA_VERSION = 1


def read_former(paths: list[Path], moment: datetime) -> Manifests:
    """The manifests as they were; a folder that was empty then is as good as any.

    Raises:
        typer.BadParameter: a path does not exist.
    """
    try:
        return load_manifests(paths, now=moment)
    except FileNotFoundError as error:
        message = f"{error.filename or error}: no such file or folder: export it first, as with `git worktree add`"
        raise typer.BadParameter(message, param_hint="--against") from error


def compared_with(report: PlanReport, before: PlanReport | None) -> Comparison:
    """A plan against that of the manifests as they were; against nothing where there were none."""
    return Comparison(
        before=_side(before, "before") if before is not None else Side(title="nothing"),
        after=_side(report, "after"),
        budget_per_hour=report.budget_per_hour,
        shortfall_reasons=report.shortfall_reasons,
        notes=report.assumptions,
    )


def checked(paths: list[Path], fleet: str, moment: datetime, *, as_json: bool) -> Exit:
    """Say what cannot be understood; how a pre-commit hook looks at files that are no fleet by themselves.

    A demand that is measured is not at fault for lack of a measurement.
    """
    try:
        manifests = _as_if_measured(paths, moment)
    except FileNotFoundError as error:
        message = f"{error.filename or error}: no such file or folder"
        raise typer.BadParameter(message, param_hint="-f") from error
    if as_json:
        faults = [
            {
                "place": item.origin,
                "object": item.target,
                "reason": item.fault.reason.value,
                "field": item.fault.field,
                "message": item.fault.message,
            }
            for item in manifests.faults
        ]
        write(f"{json.dumps({'schemaVersion': SCHEMA_VERSION, 'faults': faults}, indent=2)}\n")
    else:
        for item in manifests.faults:
            typer.echo(f"error: {item}", err=True)
        if not manifests.faults:
            write(f"{_counted(manifests, fleet)} valid\n")
    return Exit.ERROR if manifests.faults else Exit.OK


def _as_if_measured(paths: list[Path], moment: datetime) -> Manifests:
    """The manifests, with some rate for every demand that is measured."""
    manifests = load_manifests(paths, now=moment)
    targets = [item.target for item in manifests.faults if item.fault.reason is Reason.INVALID_SIGNAL]
    if not targets or STANDARD_INPUT in paths:
        return manifests
    keys = [target.removeprefix(f"{MODEL_DEMAND.name} ").partition("/") for target in targets]
    signals = {DemandKey(namespace=namespace, name=name): 0.0 for namespace, _, name in keys}
    return load_manifests(paths, now=moment, signals=signals)


def _counted(manifests: Manifests, fleet: str) -> str:
    demands = sum(item.fleet == fleet for item in manifests.demands)
    pools = sum(item.fleet == fleet for item in manifests.pools)
    return f"{counted(demands, 'ModelDemand')} and {counted(pools, 'GPUNodePool')} of Fleet {fleet}:"


def _side(report: PlanReport, title: str) -> Side:
    return side_of(report.plan, title, demands=report.all_demands(), faults=report.faults)
