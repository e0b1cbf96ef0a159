"""What every command does first: read manifests, say what was passed over, and refuse what names nothing."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import typer
from rich.console import Console

from atoll.api.documents import files_of
from atoll.api.manifests import Manifests, load_manifests
from atoll.cli.exits import Exit
from atoll.cli.measured import NOTHING_ASKED, Answers, with_rates
from atoll.domain.demand import DemandKey
from atoll.domain.objects import MODEL_DEMAND

GIVE_MANIFESTS = "give files or folders of manifests, or - for standard input"


def missing(error: FileNotFoundError, *, option: str = "-f", mend: str = GIVE_MANIFESTS) -> typer.BadParameter:
    """What to say of a path that is not there: which, of which option, and the mend."""
    return typer.BadParameter(f"{error.filename}: no such file or folder: {mend}", param_hint=option)


def refuse_empty(paths: Iterable[Path], *, option: str = "-f") -> None:
    """Refuse a folder that holds no manifest: it is another one that was meant.

    Raises:
        typer.BadParameter: there is one.
    """
    for path in paths:
        if path.is_dir() and not any(files_of([path])):
            raise typer.BadParameter(
                f"{path}: holds no *.yaml, *.yml or *.json: name the folder that does", param_hint=option
            )


def read_manifests(
    files: list[Path],
    fleet: str,
    moment: datetime,
    *,
    rates: Mapping[DemandKey, float] = MappingProxyType({}),
    answers: Answers = NOTHING_ASKED,
) -> Manifests:
    """Manifests with at least one ModelDemand of a Fleet, or with faults; notes go to standard error.

    Args:
        files: manifests, folders, or ``-``.
        fleet: name of the Fleet that is asked about.
        moment: that schedules are read for.
        rates: that the user said, requests/s, by demand.
        answers: of a Prometheus that was asked.

    Raises:
        typer.BadParameter: a path does not exist, a folder is empty, or nothing is of that Fleet.
    """
    refuse_empty(files)
    try:
        manifests = load_manifests(files, now=moment, signals={**answers.estimates, **rates})
    except FileNotFoundError as error:
        raise missing(error) from error
    manifests = with_rates(manifests, rates, answers)
    console = Console(stderr=True)
    for note in manifests.notes:
        console.print(f"note: {note}", style="dim", highlight=False, markup=False, soft_wrap=True)
    if not manifests.faults and not any(demand.fleet == fleet for demand in manifests.demands):
        seen = ", ".join(sorted({demand.fleet for demand in manifests.demands})) or "none"
        raise typer.BadParameter(f"no ModelDemand of Fleet {fleet!r} found (fleets named: {seen})", param_hint="-f")
    return manifests


def refuse_faulty(name: str, manifests: Manifests, keys: Iterable[DemandKey]) -> None:
    """End with the faults of the demand that a user named, where none that can be understood is called so.

    Args:
        name: name, or namespace/name.
        manifests: that were read.
        keys: of the demands that can be understood.

    Raises:
        typer.Exit: it is there and at fault; standard error says how.
    """
    if any(name in (str(key), key.name) for key in keys):
        return
    kind = f"{MODEL_DEMAND.name} "
    faults = [
        item
        for item in manifests.faults
        if item.target.startswith(kind) and name in (item.target.removeprefix(kind), item.target.rpartition("/")[2])
    ]
    for item in faults:
        typer.echo(f"error: {item}", err=True)
    if faults:
        raise typer.Exit(Exit.ERROR)
