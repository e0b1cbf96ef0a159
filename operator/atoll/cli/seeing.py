"""A cluster as the operator sees it, for commands: one look at all objects; nothing is written."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from atoll.cli.inforce import failed
from atoll.cluster.access import Access, AccessError
from atoll.cluster.client import Client
from atoll.cluster.errors import ClusterError, ForbiddenError, NotFoundError
from atoll.domain.objects import (
    CHILD_KINDS,
    DEVICE_KINDS,
    FLEET_PLAN,
    NODE,
    OUR_KINDS,
    POD,
    RESOURCE_CLAIM,
    RESOURCE_SLICE,
    Kind,
    ObjectLike,
)
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.observe import observe
from atoll.render import names

FIELD_MANAGER = "kubectl-atoll"
"""Whose the fields are that people set through a command: theirs, not the operator's."""

_OURS = f"{names.MANAGED_BY}={names.FIELD_MANAGER}"
_KINDS = (*OUR_KINDS, *CHILD_KINDS, NODE, POD)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A cluster at one moment.

    Attributes:
        snapshot: as the operator reads it.
        objects: raw, by kind.
        now: the moment.
    """

    snapshot: Snapshot
    objects: Mapping[Kind, tuple[ObjectLike, ...]]
    now: datetime


def look(access: Access, fleet: str, *more: Kind, own_pods: bool = False) -> Seen:
    """Look at a cluster.

    Args:
        access: which one, as whom.
        fleet: name of the Fleet.
        more: further kinds whose objects are wanted; none where the API server does not serve the kind.
        own_pods: leave out the pods of others, which decisions need and people do not.

    Raises:
        typer.Exit: it cannot be asked; one line on standard error says why.
    """
    return asked(access, lambda client: see(client, fleet, *more, own_pods=own_pods))


async def see(client: Client, fleet: str, *more: Kind, own_pods: bool = False) -> Seen:
    """The same with a client at hand; ClusterError where the API server does not answer as it should."""
    ours = {*CHILD_KINDS, POD} if own_pods else set(CHILD_KINDS)
    more = (*more, RESOURCE_SLICE, RESOURCE_CLAIM)
    first, *rest = (*_KINDS, *more)
    one = await _listed(client, first)  # alone: it makes the connection that the others share
    asking = (_listed(client, kind, labels=_OURS if kind in ours else "", optional=kind in more) for kind in rest)
    others = await asyncio.gather(*asking)
    objects = dict(zip((first, *rest), (one, *others), strict=True))
    now = datetime.now(UTC)
    snapshot = observe(objects, fleet=fleet, router_versions={}, now=now)
    return Seen(snapshot=snapshot, objects=objects, now=now)


def asked(access: Access, question: Callable[[Client], Awaitable[_T]]) -> _T:
    """What a cluster answers; typer.Exit with one line where it cannot be asked."""

    async def ask() -> _T:
        client = Client(access, field_manager=FIELD_MANAGER)
        try:
            return await question(client)
        finally:
            await client.close()

    try:
        return asyncio.run(ask())
    except AccessError as error:
        raise failed(str(error)) from error
    except NotFoundError as error:
        if any(kind.plural in str(error) for kind in OUR_KINDS):
            message = f"{error}: Atoll's custom resources are not installed in this cluster (kubectl atoll doctor)"
            raise failed(message) from error
        raise failed(str(error)) from error
    except ClusterError as error:
        raise failed(str(error)) from error


async def _listed(client: Client, kind: Kind, *, labels: str = "", optional: bool = False) -> tuple[ObjectLike, ...]:
    try:
        return (await client.list(kind, labels=labels)).items
    except NotFoundError:
        if optional:
            return ()
        raise
    except ForbiddenError:
        if kind in DEVICE_KINDS:  # the view roles of Kubernetes do not show them; claimed GPUs are then not known
            return ()
        raise


def head_of(seen: Seen, name: str) -> ObjectLike | None:
    """The raw FleetPlan of a name."""
    return next((raw for raw in seen.objects[FLEET_PLAN] if raw["metadata"]["name"] == name), None)
