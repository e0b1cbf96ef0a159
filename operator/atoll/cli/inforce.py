"""The plan of a cluster that a command is asked about; nothing is solved and nothing is written."""

import asyncio
from collections.abc import Iterable, Mapping

import typer

from atoll.api.fleetplan_io import read_plans
from atoll.cli.exits import Exit
from atoll.cluster.access import Access, AccessError
from atoll.cluster.client import Client
from atoll.cluster.errors import ClusterError
from atoll.domain.objects import Kind, ObjectLike
from atoll.domain.plan import Plan
from atoll.reconcile.plans import current_plan


def listed(access: Access, *kinds: Kind) -> Mapping[Kind, tuple[ObjectLike, ...]]:
    """All objects of these kinds in a cluster.

    Raises:
        typer.Exit: the cluster cannot be asked; one line on standard error says why.
    """
    try:
        return asyncio.run(_listed(access, kinds))
    except (AccessError, ClusterError) as error:
        raise failed(str(error)) from error


def plan_of(objects: Iterable[ObjectLike], fleet: str, name: str = "") -> Plan:
    """The FleetPlan of this name, or the one that is carried out; before the first, the latest proposal.

    Args:
        objects: FleetPlans, their shards too.
        fleet: name of the Fleet.
        name: of the plan; empty for the one in force.

    Raises:
        typer.BadParameter: there is no plan of that name.
        typer.Exit: the Fleet has no plan yet.
    """
    plans = [item for item in read_plans(objects) if item.fleet == fleet]
    if name:
        plan = next((item for item in plans if item.name == name), None)
        if plan is None:
            known = ", ".join(item.name for item in plans) or "none"
            raise typer.BadParameter(f"no FleetPlan {name!r} of Fleet {fleet!r} ({known})", param_hint="--plan")
        return plan
    plan = current_plan(plans) or (plans[-1] if plans else None)
    if plan is None:
        raise failed(f"Fleet {fleet!r} has no FleetPlan yet: kubectl get fleet,plan tells why")
    return plan


def failed(message: str) -> typer.Exit:
    """The end of a command that cannot go on, its error said."""
    typer.echo(f"error: {message}", err=True)
    return typer.Exit(Exit.ERROR)


async def _listed(access: Access, kinds: Iterable[Kind]) -> dict[Kind, tuple[ObjectLike, ...]]:
    client = Client(access)
    try:
        return {kind: (await client.list(kind)).items for kind in kinds}
    finally:
        await client.close()
