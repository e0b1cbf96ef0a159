"""The ``atoll`` command and its sub-commands."""

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

app = typer.Typer(
    name="atoll",
    help="Serve many LLMs on many kinds of GPU at the proven lowest cost.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("plan", epilog=plan.EPILOG)(plan.plan)
app.command("strategies", epilog=strategies.EPILOG)(strategies.strategies)
app.command("simulate", epilog=simulate.EPILOG)(simulate.simulate)
app.command("explain", epilog=explain.EPILOG)(explain.explain)
app.command("report", epilog=report.EPILOG)(report.report)
app.command("profile", epilog=profile.EPILOG)(profile.profile)
app.command("check", epilog=check.EPILOG)(check.check)
app.command("diff", epilog=diff.EPILOG)(diff.diff)
app.command("approve", epilog=change.APPROVE_EPILOG)(change.approve)
app.command("rollback", epilog=change.ROLLBACK_EPILOG)(change.rollback)
app.command("top", epilog=top.EPILOG)(top.top)
app.command("doctor", epilog=doctor.EPILOG)(doctor.doctor)
app.command("why-pending", epilog=whypending.EPILOG)(whypending.why_pending)
app.command("what-if", epilog=whatif.EPILOG)(whatif.what_if)
app.add_typer(local.app, name="local")


@app.callback()
def root() -> None:
    """Serve many LLMs on many kinds of GPU at the proven lowest cost."""
