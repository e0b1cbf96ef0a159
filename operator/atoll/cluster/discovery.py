"""What this API server has and allows, found out before anything relies on it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from atoll.cluster.client import Client
from atoll.cluster.errors import NotFoundError
from atoll.domain.objects import (
    CHILD_KINDS,
    CONFIG_MAP,
    DEPLOYMENT,
    DEVICE_KINDS,
    EVENT,
    FLEET_PLAN,
    GPU_NODE_POOL,
    HTTP_ROUTE,
    LEASE,
    NODE,
    NODE_POOL,
    OUR_KINDS,
    POD,
    RESOURCE_CLAIM_TEMPLATE,
    Kind,
)
from atoll.render.router.routing import ROUTER

_STREAMING_LISTS = (1, 34)
"""First minor release in which streaming lists (``sendInitialEvents``) are on by default (KEP-3157)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerVersion:
    """Of the API server."""

    major: int
    minor: int
    text: str

    @property
    def streams_lists(self) -> bool:
        """The first list may come through the watch."""
        return (self.major, self.minor) >= _STREAMING_LISTS


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Permission:
    """One verb on one resource, in every namespace unless one is named."""

    verb: str
    kind: Kind
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        """Read as ``patch deployments.apps/scale in namespace x``."""
        group = self.kind.api_version.rpartition("/")[0]
        resource = f"{self.kind.plural}.{group}" if group else self.kind.plural
        suffix = f"/{self.subresource}" if self.subresource else ""
        where = f" in namespace {self.namespace}" if self.namespace else ""
        which = f" named {self.name}" if self.name else ""
        return f"{self.verb} {resource}{suffix}{which}{where}"


async def server_version(client: Client) -> ServerVersion:
    """The version; 0.0 where it cannot be understood, so that nothing new is relied upon."""
    answer = await client.read("/version", what="get /version")
    numbers = [re.match(r"\d+", str(answer.get(key, ""))) for key in ("major", "minor")]
    major, minor = (int(found.group()) if found else 0 for found in numbers)
    return ServerVersion(major=major, minor=minor, text=str(answer.get("gitVersion", "unknown")))


async def missing_kinds(client: Client, kinds: Iterable[Kind] = OUR_KINDS) -> tuple[Kind, ...]:
    """Those kinds that the API server does not serve, because their CustomResourceDefinition is not installed."""
    missing: list[Kind] = []
    served: dict[str, set[str]] = {}
    for kind in kinds:
        if kind.path not in served:
            try:
                answer = await client.read(kind.path, what=f"discover {kind.api_version}")
            except NotFoundError:
                answer = {}
            served[kind.path] = {resource["name"] for resource in answer.get("resources") or ()}
        if kind.plural not in served[kind.path]:
            missing.append(kind)
    return tuple(missing)


def needed_permissions(namespace: str, lease_name: str, router_name: str = ROUTER) -> tuple[Permission, ...]:
    """Everything that the operator may ever do; the chart grants exactly this.

    Args:
        namespace: of the operator.
        lease_name: of its Lease.
        router_name: of the only ConfigMap that it reads and writes. Creating cannot be granted by name.
    """
    companions = tuple(kind for kind in CHILD_KINDS if kind != CONFIG_MAP)
    read = (*OUR_KINDS, NODE, POD, *companions)
    return (
        *(Permission(verb=verb, kind=kind) for kind in read for verb in ("list", "watch")),
        *(Permission(verb="patch", kind=kind, subresource="status") for kind in OUR_KINDS),
        *(Permission(verb=verb, kind=FLEET_PLAN) for verb in ("create", "patch", "delete")),
        # Where pools are discovered.
        *(Permission(verb=verb, kind=GPU_NODE_POOL) for verb in ("create", "patch", "delete")),
        Permission(verb="list", kind=NODE_POOL),
        # Where GPUs are claimed; asked for on every cluster.
        *(Permission(verb="list", kind=kind) for kind in DEVICE_KINDS),
        *(Permission(verb=verb, kind=RESOURCE_CLAIM_TEMPLATE) for verb in ("create", "patch", "delete")),
        *(Permission(verb=verb, kind=kind) for kind in companions for verb in ("create", "patch", "delete")),
        *(Permission(verb=verb, kind=CONFIG_MAP, name=router_name) for verb in ("list", "watch")),
        Permission(verb="create", kind=CONFIG_MAP, namespace=namespace),
        *(Permission(verb=v, kind=CONFIG_MAP, namespace=namespace, name=router_name) for v in ("patch", "delete")),
        # Asked for on every cluster, used where a Fleet has Gateways carry requests.
        *(Permission(verb=verb, kind=HTTP_ROUTE) for verb in ("list", "create", "patch", "delete")),
        Permission(verb="update", kind=DEPLOYMENT, subresource="scale"),
        *(Permission(verb=verb, kind=POD) for verb in ("patch", "delete")),
        # What autoscalers say of pods that they make no node for.
        *(Permission(verb=verb, kind=EVENT) for verb in ("list", "create")),
        Permission(verb="create", kind=LEASE, namespace=namespace),
        *(Permission(verb=verb, kind=LEASE, namespace=namespace, name=lease_name) for verb in ("get", "patch")),
        *(Permission(verb=verb, kind=LEASE, name=lease_name) for verb in ("list", "watch")),
    )


async def missing_permissions(client: Client, needed: Sequence[Permission]) -> tuple[Permission, ...]:
    """Those permissions that we do not have, asked one by one (SelfSubjectAccessReview)."""
    return tuple([permission for permission in needed if not await _allowed(client, permission)])


async def _allowed(client: Client, permission: Permission) -> bool:
    group, _, version = permission.kind.api_version.rpartition("/")
    attributes = {
        "verb": permission.verb,
        "group": group,
        "version": version,
        "resource": permission.kind.plural,
        "subresource": permission.subresource,
        "namespace": permission.namespace,
        "name": permission.name,
    }
    answer = await client.ask(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
        },
        what=f"ask whether we may {permission}",
    )
    return bool((answer.get("status") or {}).get("allowed"))
