"""``diff``: the plan against what runs, which is how far a move is or whether somebody interferes."""

import json
from typing import Annotated

import typer

from atoll.cli.clusteroptions import AsJson, Context, FleetName, Kubeconfig, access_of
from atoll.cli.exits import Exit
from atoll.cli.inforce import plan_of
from atoll.cli.output import write
from atoll.cli.screen import drawn
from atoll.cli.seeing import look
from atoll.domain.objects import FLEET_PLAN
from atoll.report.comparison import Comparison, side_of
from atoll.report.comparison_table import comparison_table
from atoll.report.running import running_side

EPILOG = """Examples:

  kubectl atoll diff   # what runs against the FleetPlan in force

  kubectl atoll diff --plan default-0123456789   # against a proposal

  kubectl atoll diff --json | jq '.replicasStarted + .replicasStopped'

Exit codes: 0 whatever differs, 1 there is no plan or the cluster cannot be asked, 2 usage."""


def diff(
    fleet: FleetName = "default",
    *,
    plan: Annotated[str, typer.Option(metavar="NAME", help="This FleetPlan instead of the one in force.")] = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    as_json: AsJson = False,
) -> None:
    """Show what a FleetPlan still has to start and stop, against what runs now."""
    seen = look(access_of(kubeconfig, context), fleet)
    wanted = plan_of(seen.objects[FLEET_PLAN], fleet, plan)
    comparison = Comparison(
        before=running_side(seen.snapshot, seen.now),
        after=side_of(wanted, f"by FleetPlan {wanted.name}"),
        budget_per_hour=seen.snapshot.fleet.solve.budget_per_hour,
    )
    report = comparison.as_json()
    write(f"{json.dumps(report, indent=2)}\n" if as_json else drawn(comparison_table(report)))
    raise typer.Exit(Exit.OK)
