"""The ``atoll`` command and its sub-commands."""

from importlib.metadata import version
from typing import Annotated

import typer

from atoll.cli import (
    change,
    check,
    diff,
    doctor,
    explain,
    local,
    plan,
    profile,
    report,
    simulate,
    strategies,
    top,
    whatif,
    whypending,
)
from atoll.cli.helptext import Command, Group

app = typer.Typer(
    name="atoll",
    cls=Group,
    help="Serve many LLMs on many kinds of GPU at the proven lowest cost.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_EITHER = "Manifests with -f, or a cluster"
_MANIFESTS = "Manifests alone"
_CLUSTER = "A cluster"

for _name, _run, _epilog, _panel in (
    ("plan", plan.plan, plan.EPILOG, _EITHER),
    ("explain", explain.explain, explain.EPILOG, _EITHER),
    ("report", report.report, report.EPILOG, _EITHER),
    ("what-if", whatif.what_if, whatif.EPILOG, _EITHER),
    ("strategies", strategies.strategies, strategies.EPILOG, _MANIFESTS),
    ("simulate", simulate.simulate, simulate.EPILOG, _MANIFESTS),
    ("check", check.check, check.EPILOG, _MANIFESTS),
    ("profile", profile.profile, profile.EPILOG, _MANIFESTS),
    ("top", top.top, top.EPILOG, _CLUSTER),
    ("doctor", doctor.doctor, doctor.EPILOG, _CLUSTER),
    ("why-pending", whypending.why_pending, whypending.EPILOG, _CLUSTER),
    ("diff", diff.diff, diff.EPILOG, _CLUSTER),
    ("approve", change.approve, change.APPROVE_EPILOG, _CLUSTER),
    ("rollback", change.rollback, change.ROLLBACK_EPILOG, _CLUSTER),
):
    app.command(_name, cls=Command, epilog=_epilog, rich_help_panel=_panel)(_run)
app.add_typer(local.app, name="local", rich_help_panel="This machine")


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"atoll {version('atoll')}")
        raise typer.Exit


@app.callback()
def root(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", metavar="", callback=_tell_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Serve many LLMs on many kinds of GPU at the proven lowest cost."""
