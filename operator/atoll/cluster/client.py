"""Typed requests on plain objects: every write has our field manager, and names the one object it may touch."""

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from atoll.cluster.access import Access
from atoll.cluster.errors import ConflictError, NotFoundError, ThrottledError, TooLargeError, UnavailableError
from atoll.cluster.throttle import TokenBucket
from atoll.cluster.transport import Request, Transport
from atoll.domain.objects import CONFIG_MAP, KINDS, Delete, Kind, ObjectLike, Reference, Scale, reference

FIELD_MANAGER = "atoll"
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_ADOPTION_TRIES = 3
_READ_SECONDS = 30.0
_WRITE_SECONDS = 10.0
_URGENT_SECONDS = 4.0
"""Well below the Lease's renewal deadline, so that a lost answer leaves time for another try."""
_PAGE = 500
_KIBIBYTE = 1024
_LARGEST_BYTES = 256 * _KIBIBYTE
_LARGEST_CONFIG_MAP_BYTES = 900 * _KIBIBYTE
"""Of the router. Beyond 1 MiB the API server refuses a ConfigMap; metadata needs the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All objects of a kind at one moment.

    Attributes:
        items: with ``apiVersion`` and ``kind``, which the API server leaves out of list items.
        resource_version: of the whole list: everything before it is in it.
    """

    items: tuple[ObjectLike, ...]
    resource_version: str


class Client:
    """Reads and writes objects as JSON.

    Attributes:
        access: which cluster, as whom.
        field_manager: whose the fields are that are written; the operator's unless people write through us.
        write_seconds: longest that a write may take now, seconds, 0 for none at all; the leader sets it to what is left
            of the Lease. Urgent writes, those of the Lease itself, are exempt.
    """

    def __init__(
        self,
        access: Access,
        *,
        field_manager: str = FIELD_MANAGER,
        bucket: TokenBucket | None = None,
        clock: Callable[[], float] = time.monotonic,
        write_seconds: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self.access = access
        self.field_manager = field_manager
        self.write_seconds = write_seconds
        self._transport = Transport(access)
        self._bucket = bucket or TokenBucket()
        self._clock = clock

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def read(self, path: str, *, what: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        """GET a path that is no object of ours, such as ``/version``."""
        return await self._transport.send(
            Request(method="GET", path=path, what=what, query=query or {}, seconds=_READ_SECONDS)
        )

    async def ask(self, path: str, question: ObjectLike, *, what: str) -> dict[str, Any]:
        """POST a review that changes nothing, such as a SelfSubjectAccessReview."""
        return await self._transport.send(
            Request(method="POST", path=path, what=what, body=question, seconds=_READ_SECONDS)
        )

    async def list(
        self,
        kind: Kind,
        *,
        labels: str = "",
        fields: str = "",
        each: Callable[[Kind, ObjectLike], ObjectLike] = lambda _, obj: obj,
    ) -> Listing:
        """All objects of a kind, page by page; ``each`` is applied at once so that whole pages need not be kept.

        Raises:
            ClusterError: also ConflictError where the list grew too old between two pages; start again then.
        """
        query = {"limit": str(_PAGE)}
        query |= {"labelSelector": labels} if labels else {}
        query |= {"fieldSelector": fields} if fields else {}
        items: list[ObjectLike] = []
        while True:
            page = await self.read(_collection(kind, ""), what=f"list {kind.plural}", query=query)
            items += (
                each(kind, {**item, "apiVersion": kind.api_version, "kind": kind.name})
                for item in page.get("items") or ()
            )
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return Listing(items=tuple(items), resource_version=metadata.get("resourceVersion", ""))
            query["continue"] = metadata["continue"]

    async def get(self, target: Reference) -> dict[str, Any] | None:
        """One object, or None where there is none."""
        try:
            return await self.read(_path(target), what=f"get {target}")
        except NotFoundError:
            return None

    async def exists(self, target: Reference) -> bool:
        """Whether a cluster-scoped object is there now, and not only as some watch cache has it.

        Asked by a list of one, so that we need not be allowed to ``get`` what we ``list`` anyway.
        """
        return bool((await self.list(KINDS[target.kind], fields=f"metadata.name={target.name}")).items)

    async def create(self, obj: ObjectLike, *, urgent: bool = False) -> dict[str, Any]:
        """Create an object; ConflictError where one of that name exists. ``urgent`` writes wait for no token."""
        target = reference(obj)
        path = _collection(KINDS[target.kind], target.namespace)
        return await self._write("POST", path, f"create {target}", obj, urgent=urgent)

    async def apply(
        self, intent: ObjectLike, *, uid: str, resource_version: str = "", urgent: bool = False
    ) -> dict[str, Any]:
        """Server-side apply of a whole intent to the live object that has this uid and version.

        Fields that we set at creation belong to our "Update" and would outlive their removal from the intent; the first
        apply moves them to our "Apply" (as client-go's csaupgrade does), so it may take three requests.
        """
        target = reference(intent)
        what = f"apply {target}"
        answer = await self._patch(_path(target), what, _with_identity(intent, uid, resource_version), urgent=urgent)
        for _ in range(_ADOPTION_TRIES):
            adopted = _adopt_created_fields(answer)
            if adopted is None:
                return answer
            metadata = {"managedFields": adopted, "resourceVersion": answer["metadata"]["resourceVersion"]}
            with contextlib.suppress(ConflictError):  # controllers write to it at the same time: look again
                await self._write("PATCH", _path(target), what, {"metadata": metadata}, content=_MERGE, urgent=urgent)
            answer = await self._patch(_path(target), what, _with_identity(intent, uid, ""), urgent=urgent)
        return answer

    async def apply_status(self, intent: ObjectLike, *, uid: str = "") -> dict[str, Any]:
        """Server-side apply of the status subresource."""
        target = reference(intent)
        body = _with_identity(intent, uid, "")
        return await self._patch(f"{_path(target)}/status", f"apply status of {target}", body)

    async def merge(self, target: Reference, change: ObjectLike, *, resource_version: str) -> dict[str, Any]:
        """Change some fields of exactly the object that was seen, as people do with ``kubectl patch``."""
        body = {**change, "metadata": {"resourceVersion": resource_version}}
        return await self._write("PATCH", _path(target), f"change {target}", body, content=_MERGE)

    async def scale(self, wish: Scale) -> dict[str, Any]:
        """Set the replicas of exactly the Deployment that was seen."""
        body = {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {
                "name": wish.target.name,
                "namespace": wish.target.namespace,
                "uid": wish.uid,
                "resourceVersion": wish.resource_version,
            },
            "spec": {"replicas": wish.replicas},
        }
        return await self._write("PUT", f"{_path(wish.target)}/scale", f"scale {wish.target}", body)

    async def delete(self, wish: Delete) -> dict[str, Any]:
        """Delete exactly the object that was seen; what it owns goes after it."""
        preconditions = {"uid": wish.uid}
        preconditions |= {"resourceVersion": wish.resource_version} if wish.resource_version else {}
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": preconditions,
            "propagationPolicy": "Background",
        }
        body |= {"gracePeriodSeconds": 0} if wish.force else {}
        return await self._write("DELETE", _path(wish.target), f"delete {wish.target}", body, owned=False)

    async def _patch(self, path: str, what: str, body: ObjectLike, *, urgent: bool = False) -> dict[str, Any]:
        return await self._write("PATCH", path, what, body, content=_APPLY, force=True, urgent=urgent)

    async def _write(
        self,
        method: str,
        path: str,
        what: str,
        body: ObjectLike,
        *,
        content: str = "application/json",
        force: bool = False,
        owned: bool = True,
        urgent: bool = False,
    ) -> dict[str, Any]:
        _check_size(body, what)
        left = _URGENT_SECONDS
        if not urgent:
            await asyncio.sleep(self._bucket.take(self._clock()))
            left = min(_WRITE_SECONDS, self.write_seconds())
        if left <= 0:
            raise UnavailableError(f"{what}: not sent, the Lease ran out while it waited for its turn")
        query = {"fieldManager": self.field_manager} if owned else {}
        query |= {"force": "true"} if force else {}
        request = Request(
            method=method, path=path, what=what, query=query, body=body, content_type=content, seconds=left
        )
        try:
            return await self._transport.send(request)
        except ThrottledError as error:
            self._bucket.block(self._clock(), error.retry_after)
            raise


def _collection(kind: Kind, namespace: str) -> str:
    return f"{kind.path}/namespaces/{namespace}/{kind.plural}" if namespace else f"{kind.path}/{kind.plural}"


def _path(target: Reference) -> str:
    return f"{_collection(KINDS[target.kind], target.namespace)}/{target.name}"


def _with_identity(intent: ObjectLike, uid: str, resource_version: str) -> ObjectLike:
    metadata = dict(intent["metadata"])
    metadata |= {"uid": uid} if uid else {}
    metadata |= {"resourceVersion": resource_version} if resource_version else {}
    return {**intent, "metadata": metadata}


def _adopt_created_fields(obj: ObjectLike) -> list[dict[str, Any]] | None:
    """Managed fields in which what we set at creation is ours by Apply; None where that is so already."""
    entries: list[dict[str, Any]] = obj["metadata"].get("managedFields") or []
    ours = [e for e in entries if e.get("manager") == FIELD_MANAGER and not e.get("subresource")]
    created = next((e for e in ours if e.get("operation") == "Update"), None)
    if created is None:
        return None
    return [{**created, "operation": "Apply"}, *(e for e in entries if e not in ours)]


def _check_size(body: ObjectLike, what: str) -> None:
    size = len(json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode())
    limit = _LARGEST_CONFIG_MAP_BYTES if body.get("kind") == CONFIG_MAP.name else _LARGEST_BYTES
    if size > limit:
        raise TooLargeError(f"{what}: {size / _KIBIBYTE:.0f} KiB, but at most {limit // _KIBIBYTE} KiB are written")
