"""The step towards a plan, and what it does in a few words."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from atoll.domain.objects import Action, Apply, Delete, Scale
from atoll.domain.plan import Plan, PlannedReplicas, PlanPhase
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.problem import without_faulty
from atoll.reconcile.transition import Step, next_step
from atoll.render import names
from reconcile.worlds import (
    NOW,
    ROUTER,
    Raw,
    demand_object,
    deployments,
    fleet_object,
    node_object,
    plan,
    planned,
    pool_object,
    replicas,
    seen,
    stored,
    stored_plan,
)

DEMAND = demand_object()
FLEET = fleet_object()
POOLS = [pool_object("small", max_nodes=8), pool_object("big", max_nodes=8)]
NODES = [node_object(f"s{index}") for index in range(4)]
GOING = node_object("going", cordoned=True)


def step(
    target: Plan | None,
    *objects: Any,
    before: Sequence[Plan] = (),
    synced: bool = True,
    faults: Any = None,
    pools: Sequence[Raw] = tuple(POOLS),
) -> Step:
    """The step towards a plan, with all companions of it already there."""
    plans = [stored_plan(item, PlanPhase.SUPERSEDED) for item in before if target is None or item.name != target.name]
    world: list[Any] = [FLEET, *pools, *NODES, *plans, *objects]
    if not any(obj["kind"] == "ModelDemand" for obj in objects if isinstance(obj, dict)):
        world.append(DEMAND)
    if target is not None:
        world.append(stored_plan(target))
    desired, _ = desired_objects(seen(*world), target, ROUTER)
    known = {(obj["kind"], obj["metadata"]["name"]) for obj in world if isinstance(obj, dict)}
    world += [stored(obj) for obj in desired.companions if (obj["kind"], obj["metadata"]["name"]) not in known]
    snapshot = seen(*world, versions={"r": desired.router_version if synced else "before"})
    snapshot = without_faulty(snapshot, faults or {})
    desired, _ = desired_objects(snapshot, target, ROUTER)
    if synced:
        snapshot = replace(snapshot, router_versions={"r": desired.router_version})
    return next_step(snapshot, desired, NOW, hold=target is None)


def done(result: Step) -> list[str]:
    """Each write in a few words."""
    return [said(action) for action in result.actions]


def said(action: Action) -> str:
    match action:
        case Apply(intent=intent) if intent["kind"] == "Pod":
            labels = intent["metadata"]["labels"]
            return f"{'route' if labels[names.ROUTABLE] == 'true' else 'drain'} {intent['metadata']['name'][-1]}"
        case Apply(intent=intent):
            verb = "change" if action.live_uid else "create"
            count = f" x{intent['spec']['replicas']}" if intent["kind"] == "Deployment" else ""
            return f"{verb} {intent['kind']}{count}"
        case Scale(replicas=count):
            return f"scale to {count}"
        case Delete(target=target):
            return f"delete {target.kind}{' by force' if action.force else ''}"
        case _:
            raise AssertionError(action)


def one(*groups: PlannedReplicas, **other: Any) -> Plan:
    return plan(planned(*groups, **other))


def only(item: Plan, demand: Raw = DEMAND) -> Any:
    (intent,) = deployments(item, demand, *POOLS)
    return intent


TWO, THREE, BIG = one(replicas("small", count=2)), one(replicas("small", count=3)), one(replicas("big", rate=20.0))
SINGLE = only(TWO)
BIG_ONE = only(BIG)
B0 = node_object("b0", "big")
PAIR = one(replicas("small", "big", rate=20.0))
S0, S1 = deployments(PAIR, DEMAND, *POOLS)


def companions(item: Plan) -> list[Any]:
    found, _ = desired_objects(seen(DEMAND, *POOLS), item, ROUTER)
    return [obj for obj in found.companions if obj["metadata"].get("ownerReferences")]
