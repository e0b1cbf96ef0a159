"""``atoll check``: whether manifests can be understood; nothing is solved and no cluster is asked."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from atoll.api.documents import STANDARD_INPUT
from atoll.api.manifests import Manifests, load_manifests
from atoll.cli.exits import Exit
from atoll.cli.output import write
from atoll.cli.reading import missing, refuse_empty
from atoll.domain.demand import DemandKey
from atoll.domain.objects import MODEL_DEMAND
from atoll.domain.reason import Reason
from atoll.report.numbers import counted

SCHEMA_VERSION = 1

EPILOG = """Examples:

  atoll check fleet/

  git diff --name-only --diff-filter=d main -- '*.yaml' | xargs atoll check

As a hook of pre-commit: docs/gitops.md. Objects of other kinds are passed over; files need not be a whole fleet.

Exit codes: 0 all can be understood, 1 an object is at fault, 2 usage."""


def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Manifests, folders of manifests, or - for standard input.")
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Say whether manifests can be understood: fields, values, rules between fields, served names given twice."""
    refuse_empty(files, option="FILE")
    try:
        manifests = _as_if_measured(files, datetime.now(UTC))
    except FileNotFoundError as error:
        raise missing(error, option="FILE") from error
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
            objects = (manifests.demands, manifests.pools, manifests.fleets, manifests.profiles)
            write(f"{counted(sum(map(len, objects)), 'object')} of Atoll: valid\n")
    raise typer.Exit(Exit.ERROR if manifests.faults else Exit.OK)


def _as_if_measured(paths: list[Path], moment: datetime) -> Manifests:
    """The manifests, with some rate for every demand that is measured: for lack of one nobody is at fault."""
    manifests = load_manifests(paths, now=moment)
    targets = [item.target for item in manifests.faults if item.fault.reason is Reason.INVALID_SIGNAL]
    if not targets or STANDARD_INPUT in paths:
        return manifests
    keys = [target.removeprefix(f"{MODEL_DEMAND.name} ").partition("/") for target in targets]
    signals = {DemandKey(namespace=namespace, name=name): 0.0 for namespace, _, name in keys}
    return load_manifests(paths, now=moment, signals=signals)
