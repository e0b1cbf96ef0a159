"""Which Deployment that runs a plan's replicas go on in, though pods would be made a little differently today.

A pod template is part of a Deployment's name, so each change of it moves replicas. Most changes are worth that: pods
that run cannot be had otherwise. A longer or shorter time to start is not, nor is an annotation that they can be given.
"""

from collections.abc import Callable, Mapping
from typing import Any

from atoll.domain.demand import DemandKey
from atoll.domain.objects import DEPLOYMENT, ObjectLike, Reference
from atoll.domain.problem import ReplicaGroup
from atoll.domain.snapshot import Snapshot
from atoll.render import names
from atoll.render.standing import Standing, standing_of

Render = Callable[[Standing | None], ObjectLike]
"""Renders the Deployment of a group's first stage: for pods that are new, or as pods that run have it."""


def as_it_runs(
    snapshot: Snapshot, demand: DemandKey, group: ReplicaGroup, render: Render, *, start_seconds: float
) -> Standing | None:
    """What a group's pods keep from a Deployment that runs; None where none does that differs in such things alone.

    A Deployment whose pods would be expected to fail their start, ``start_seconds`` with nothing beside them, is left.
    """
    templates = _templates(snapshot, demand, group)
    if not templates or _hash(render(None)) in templates:
        return None
    for identity, template in sorted(templates.items()):
        standing = standing_of(template)
        fits = standing is not None and standing.start_budget >= start_seconds
        if fits and _hash(render(standing)) == identity:
            return standing
    return None


def _templates(snapshot: Snapshot, demand: DemandKey, group: ReplicaGroup) -> dict[str, Mapping[str, Any]]:
    """Pod templates of the first stages that run for a group, by the hashes in their names."""
    found = {}
    for item in snapshot.deployments:
        same = item.demand == demand and item.strategy == group.strategy and item.offerings == group.site.offerings
        if same and item.stage == 0 and not item.deleting:
            ref = Reference(kind=DEPLOYMENT.name, namespace=item.namespace, name=item.name)
            found[item.selector.get(names.TEMPLATE, "")] = snapshot.objects[ref]["spec"]["template"]
    return found


def _hash(deployment: ObjectLike) -> str:
    return str(deployment["spec"]["selector"]["matchLabels"][names.TEMPLATE])
