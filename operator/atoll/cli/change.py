"""``approve`` and ``rollback``: what people do to FleetPlans, each one resource edit that the operator honours."""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import typer

from atoll.api.fleetplan_io import plan_objects
from atoll.cli.clusteroptions import AsJson, Context, FleetName, Kubeconfig, Yes, access_of
from atoll.cli.durations import parse_span
from atoll.cli.exits import Exit
from atoll.cli.inforce import failed
from atoll.cli.output import write
from atoll.cli.screen import drawn
from atoll.cli.seeing import Seen, asked, head_of, look
from atoll.cli.waiting import told
from atoll.cluster.access import Access
from atoll.cluster.client import Client
from atoll.cluster.errors import ConflictError
from atoll.domain.fleet import Mode
from atoll.domain.objects import FLEET_PLAN, Delete, ObjectLike, Reference
from atoll.domain.plan import Plan, PlanPhase
from atoll.reconcile.plans import current_plan
from atoll.reconcile.rollback import former_plan, rollback_to
from atoll.report.comparison import Comparison, Side, side_of
from atoll.report.comparison_table import comparison_table

_POLL_SECONDS = 1.0
_TRIES = 3

APPROVE_EPILOG = """Examples:

  kubectl atoll approve   # the proposal that waits, after a look at it

  kubectl atoll approve default-0123456789 --wait

What it does: sets spec.approved of the FleetPlan, as kubectl patch would. The operator then carries it out, unless what
it was made for has changed meanwhile: it is Superseded then, and another proposal waits.

Exit codes: 0 approved (with --wait: reached), 1 there is nothing to approve or it was superseded, 2 usage."""

ROLLBACK_EPILOG = """Examples:

  kubectl atoll rollback   # to the plan before the one in force, after a look at it

  kubectl atoll rollback default-0123456789 --wait

  kubectl atoll approve   # ends the rollback: the operator's own plan is carried out again

What it does: creates a FleetPlan of the same content with spec.rollbackOf. It stays in force, whatever the demands ask
for, until somebody approves another plan; the operator goes on proposing.

Exit codes: 0 rolled back (with --wait: reached), 1 there is nothing to go back to, 2 usage."""

Wait = Annotated[bool, typer.Option("--wait", help="Until the plan is reached.")]
Timeout = Annotated[str, typer.Option(metavar="DURATION", help="With --wait: for how long, such as 10m.")]


def approve(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="FleetPlan; default: the proposal that waits.")] = "",
    fleet: FleetName = "default",
    *,
    yes: Yes = False,
    wait: Wait = False,
    timeout: Timeout = "10m",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    as_json: AsJson = False,
) -> None:
    """Approve a proposed FleetPlan, so that the operator carries it out."""
    seconds = parse_span(timeout, ("1s", "24h"), option="--timeout")
    access = access_of(kubeconfig, context)
    seen = look(access, fleet)
    proposal = _proposal(seen, plan)
    head = head_of(seen, proposal.name)
    if head is None:
        raise failed(f"FleetPlan {proposal.name} is gone")
    _confirm(_against(seen, proposal, "once approved"), f"Approve FleetPlan {proposal.name}?", named=plan, yes=yes)
    reference = Reference(kind=FLEET_PLAN.name, name=proposal.name)
    asked(access, lambda client: _approved(client, reference, head))
    _end(access, proposal.name, "approved", seconds if wait else 0.0, as_json=as_json)


def rollback(
    plan: Annotated[
        str, typer.Argument(metavar="PLAN", help="FleetPlan to go back to; default: the one before that in force.")
    ] = "",
    fleet: FleetName = "default",
    *,
    yes: Yes = False,
    wait: Wait = False,
    timeout: Timeout = "10m",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    as_json: AsJson = False,
) -> None:
    """Go back to a former FleetPlan and stay there until another one is approved."""
    seconds = parse_span(timeout, ("1s", "24h"), option="--timeout")
    access = access_of(kubeconfig, context)
    seen = look(access, fleet)
    source = _former(seen, plan)
    current = current_plan(seen.snapshot.plans)
    back = rollback_to(source, cost_now_per_hour=current.cost_per_hour if current else 0.0)
    if current is not None and back.name == current.name:
        raise failed(f"FleetPlan {current.name}, which goes back to {current.rollback_of}, is in force already")
    question = f"Go back to FleetPlan {source.name}?"
    _confirm(_against(seen, back, "once rolled back"), question, named=plan, yes=yes)
    known = head_of(seen, back.name)
    asked(access, lambda client: _created(client, back, seen.snapshot.fleet.uid, known))
    _end(access, back.name, f"rolls back to {back.rollback_of}", seconds if wait else 0.0, as_json=as_json)


def _proposal(seen: Seen, name: str) -> Plan:
    """The plan that is to be approved; ends the command where there is none that could be."""
    plans, fleet = seen.snapshot.plans, seen.snapshot.fleet.name
    if not name:
        waiting = [item for item in plans if item.phase is PlanPhase.PROPOSED and not item.approved]
        if not waiting:
            raise failed(f"no FleetPlan of Fleet {fleet!r} waits for approval (kubectl get plan)")
        return waiting[-1]
    plan = _named(seen, name)
    if plan.approved:
        raise failed(f"FleetPlan {name} is approved already, and {plan.phase}: go back to it with `rollback {name}`")
    if plan.phase is PlanPhase.SUPERSEDED:
        raise failed(f"FleetPlan {name} is Superseded: what it was made for has changed; approve the one that waits")
    return plan


def _former(seen: Seen, name: str) -> Plan:
    """The plan to go back to; ends the command where there is none."""
    current = current_plan(seen.snapshot.plans)
    if not name:
        plan = former_plan(seen.snapshot.plans)
        if plan is None:
            raise failed(f"Fleet {seen.snapshot.fleet.name!r} has no former FleetPlan to go back to (kubectl get plan)")
        return plan
    plan = _named(seen, name)
    if current is not None and plan.name == current.name:
        raise failed(f"FleetPlan {name} is in force already")
    if not plan.in_force_since:
        raise failed(f"FleetPlan {name} never was in force: `approve` the plan that waits, or name a former one")
    return plan


def _named(seen: Seen, name: str) -> Plan:
    plan = next((item for item in seen.snapshot.plans if item.name == name), None)
    if plan is None:
        known = ", ".join(item.name for item in seen.snapshot.plans) or "none"
        message = f"no FleetPlan {name!r} of Fleet {seen.snapshot.fleet.name!r}; there are: {known}"
        raise typer.BadParameter(message, param_hint="PLAN")
    return plan


def _against(seen: Seen, plan: Plan, title: str) -> Comparison:
    """What would change, and what people should know before."""
    current = current_plan(seen.snapshot.plans)
    wanted = seen.snapshot.demands
    notes = []
    if seen.snapshot.fleet.mode is Mode.PAUSED:
        notes.append(f"Fleet {seen.snapshot.fleet.name} is Paused: nothing moves until spec.mode is another.")
    planned = {item.key: item for item in plan.demands}
    for key, demand in wanted.items():
        item = planned.get(key)
        if item is None or item.uid != demand.uid:
            notes.append(f"ModelDemand {key} is not in it: what runs for it stays as it is.")
        elif abs(item.rate - demand.rate) > 1e-6 * max(1.0, demand.rate):
            notes.append(f"ModelDemand {key} asks for {demand.rate:g} requests/s now; it was made for {item.rate:g}.")
    gone = sorted(str(key) for key in planned.keys() - wanted.keys())
    if gone:
        notes.append(f"Gone since: {', '.join(gone)}.")
    return Comparison(
        before=side_of(current, "now") if current else Side(title="now"),
        after=side_of(plan, title),
        budget_per_hour=seen.snapshot.fleet.solve.budget_per_hour,
        notes=tuple(notes),
    )


def _confirm(comparison: Comparison, question: str, *, named: str, yes: bool) -> None:
    """Show what it does and ask, on a terminal; elsewhere the plan must be named or ``--yes`` be given."""
    if yes:
        return
    if sys.stdin.isatty() and sys.stderr.isatty():
        typer.echo(drawn(comparison_table(comparison.as_json())), err=True)
        typer.confirm(question, abort=True, err=True)
    elif not named:
        raise typer.BadParameter("name the FleetPlan, or give --yes: nobody can be asked here", param_hint="PLAN")


async def _approved(client: Client, reference: Reference, head: ObjectLike) -> None:
    """Approve the plan that was seen; a status that was written meanwhile is no reason to fail."""
    version = head["metadata"]["resourceVersion"]
    for _ in range(_TRIES):
        try:
            await client.merge(reference, {"spec": {"approved": True}}, resource_version=version)
        except ConflictError:
            live = await client.get(reference)
            if live is None or live["metadata"]["uid"] != head["metadata"]["uid"]:
                raise
            if (live.get("status") or {}).get("phase") == PlanPhase.SUPERSEDED.value:
                raise failed(f"{reference} was superseded meanwhile: approve the one that waits") from None
            version = live["metadata"]["resourceVersion"]
        else:
            return
    raise ConflictError(f"{reference}: changed {_TRIES} times while it was being approved: try again")


async def _created(client: Client, plan: Plan, fleet_uid: str, known: ObjectLike | None) -> None:
    """Create the plan's head and shards; an older one of the same name, which nothing refers to, goes first."""
    if known is not None:
        metadata = known["metadata"]
        await client.delete(
            Delete(
                target=Reference(kind=FLEET_PLAN.name, name=plan.name),
                uid=metadata["uid"],
                resource_version=metadata["resourceVersion"],
                why="rolled back to anew",
            )
        )
    head, *_ = plan_objects(plan, fleet_uid=fleet_uid)
    live = await client.create(head)
    for shard in plan_objects(replace(plan, uid=live["metadata"]["uid"]), fleet_uid=fleet_uid)[1:]:
        try:
            await client.create(shard)
        except ConflictError:  # of the one that was deleted, not collected yet
            await _replace(client, shard)


async def _replace(client: Client, shard: ObjectLike) -> None:
    target = Reference(kind=FLEET_PLAN.name, name=shard["metadata"]["name"])
    old = await client.get(target)
    if old is not None:
        uid, version = old["metadata"]["uid"], old["metadata"]["resourceVersion"]
        await client.delete(Delete(target=target, uid=uid, resource_version=version, why="of a former plan"))
    await client.create(shard)


def _end(access: Access, name: str, did: str, wait_seconds: float, *, as_json: bool) -> None:
    phase = ""
    if wait_seconds:
        phase = _reached(access, name, wait_seconds)
    if as_json:
        write(f"{json.dumps({'schemaVersion': 1, 'plan': name, 'phase': phase or None})}\n")
    else:
        write(f"FleetPlan {name} {did}{f', {phase}' if phase else ''}\n")
    if phase == PlanPhase.SUPERSEDED:
        raise typer.Exit(Exit.ERROR)


def _reached(access: Access, name: str, seconds: float) -> str:
    """The phase in which a plan ends; ends the command with an error where that takes too long."""
    reference = Reference(kind=FLEET_PLAN.name, name=name)
    with told() as tell:
        return asked(access, lambda client: _await_end(client, reference, seconds, tell))


async def _await_end(client: Client, reference: Reference, seconds: float, tell: Callable[[str], None]) -> str:
    deadline = time.monotonic() + seconds
    while True:
        live = await client.get(reference)
        if live is None:
            raise failed(f"{reference} is gone")
        status: dict[str, Any] = live.get("status") or {}
        phase = str(status.get("phase") or PlanPhase.PROPOSED)
        if phase in {PlanPhase.COMPLETED, PlanPhase.SUPERSEDED}:
            return phase
        progress: dict[str, int] = status.get("progress") or {}
        said = f"{progress.get('ready', 0)} of {progress.get('wanted', 0)} replicas Ready, " if progress else ""
        tell(f"{phase}: {said}{progress.get('leaving', 0)} to leave …")
        if time.monotonic() >= deadline:
            raise failed(f"{reference} is {phase} still: kubectl atoll why-pending tells what it waits for")
        await asyncio.sleep(_POLL_SECONDS)
