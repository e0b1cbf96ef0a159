"""Which writes make a decision stand in the cluster as a FleetPlan, and which forget old ones."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from atoll.api.fleetplan_io import plan_objects
from atoll.domain.objects import FLEET_PLAN, Action, Apply, Delete, ObjectLike, Reference
from atoll.domain.plan import Plan, PlanPhase
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.moments import EPOCH, parse_moment
from atoll.reconcile.plans import current_plan, prunable

_WRITTEN_WITHIN = timedelta(minutes=1)
"""After so long a head has its shards, and the watch has told of them, whoever writes them."""


def plan_actions(plan: Plan, snapshot: Snapshot) -> list[Action]:
    """What makes a plan stand in the cluster: nothing where it does, else its head, then its shards.

    A superseded plan of the same content is deleted first: the decision is made, and dated, anew. So is one that nobody
    can read. A proposal that waits for approval gets it where the fleet needs none any more. While a rollback is in
    force it stays so until somebody approves another plan.
    """
    current = current_plan(snapshot.plans)
    if current is not None and current.rollback_of:
        plan = replace(plan, approved=False)
    head = snapshot.objects.get(Reference(kind=FLEET_PLAN.name, name=plan.name))
    if head is None:
        objects = plan_objects(plan, fleet_uid=snapshot.fleet.uid)
        return [Apply(intent=objects[0], why="decided")]
    known = next((item for item in snapshot.plans if item.name == plan.name), None)
    if known is not None and known.phase is PlanPhase.SUPERSEDED:
        return [_delete(head, "decided anew")]
    if known is not None:
        return [_approve(head)] if plan.approved and not known.approved else []
    uid = head["metadata"].get("uid", "")
    shards = plan_objects(replace(plan, uid=uid), fleet_uid=snapshot.fleet.uid)[1:]
    present = snapshot.objects
    missing = [item for item in shards if Reference(kind=FLEET_PLAN.name, name=item["metadata"]["name"]) not in present]
    return [Apply(intent=item, why="decided") for item in missing] or [_delete(head, "cannot be read")]


def prune(snapshot: Snapshot, proposal: Plan | None, now: datetime) -> list[Action]:
    """Deletes of the plans beyond the history that the fleet keeps, and of those that nobody can read.

    Shards go with their head. A head whose shards were never written, because the operator ended or decided otherwise
    in between, can be read by nobody and is not in the history. One that is young may be getting its shards just now.

    Args:
        snapshot: what was seen.
        proposal: the plan that is being written; None where none is.
        now: the moment.
    """
    found = [_delete(head, "cannot be read") for head in _unreadable(snapshot, proposal, now)]
    for plan in prunable(snapshot.plans, snapshot.fleet.plan_history):
        head = snapshot.objects.get(Reference(kind=FLEET_PLAN.name, name=plan.name))
        if head is not None:
            found.append(_delete(head, "beyond planHistory"))
    return list[Action](found)


def _unreadable(snapshot: Snapshot, proposal: Plan | None, now: datetime) -> Iterator[ObjectLike]:
    """Heads of the fleet's plans, of some age and not about to be written whole, that are no plan."""
    known = {plan.name for plan in snapshot.plans} | ({proposal.name} if proposal is not None else set())
    for ref, obj in sorted(snapshot.objects.items(), key=lambda item: item[0]):
        if ref.kind != FLEET_PLAN.name or ref.name in known or obj["metadata"].get("deletionTimestamp"):
            continue
        spec = obj.get("spec") or {}
        created = parse_moment(obj["metadata"].get("creationTimestamp")) or EPOCH
        if spec.get("fleet") == snapshot.fleet.name and not spec.get("shard") and now - created >= _WRITTEN_WITHIN:
            yield obj


def _approve(head: ObjectLike) -> Apply:
    metadata = head["metadata"]
    kept = {key: metadata[key] for key in ("name", "labels", "ownerReferences") if key in metadata}
    return Apply(
        intent={
            "apiVersion": FLEET_PLAN.api_version,
            "kind": FLEET_PLAN.name,
            "metadata": kept,
            "spec": {**head["spec"], "approved": True},
        },
        why="the fleet moves without approval",
        live_uid=metadata["uid"],
        live_resource_version=metadata["resourceVersion"],
    )


def _delete(head: ObjectLike, why: str) -> Delete:
    metadata = head["metadata"]
    return Delete(
        target=Reference(kind=FLEET_PLAN.name, name=metadata["name"]),
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        why=why,
    )
