"""What every command does first: read manifests, say what was passed over, and refuse what names nothing."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import typer
from rich.console import Console

from atoll.api.manifests import Manifests, load_manifests
from atoll.cli.measured import NOTHING_ASKED, Answers, with_rates
from atoll.domain.demand import DemandKey

GIVE_MANIFESTS = "give files or folders of manifests, or - for standard input"


def missing(error: FileNotFoundError, *, option: str = "-f", mend: str = GIVE_MANIFESTS) -> typer.BadParameter:
    """What to say of a path that is not there: which, of which option, and the mend."""
    return typer.BadParameter(f"{error.filename}: no such file or folder: {mend}", param_hint=option)


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
        typer.BadParameter: a path does not exist, or nothing is of that Fleet.
    """
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
