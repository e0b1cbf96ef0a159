"""Who wrote what: the API server's audit log as values.

Tests that promise "a converged fleet writes nothing but its lease" count here, at the server, and not in the client
that would have to confess.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "omitManagedFields": True,
    "rules": [{"level": "None", "verbs": ["get", "list", "watch"]}, {"level": "Metadata"}],
}
"""Metadata of every request that changes something; reads are not logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One request that changes something, as the API server saw it."""

    user: str
    verb: str
    resource: str
    """Plural, with its subresource: `deployments`, `pods/status`."""
    namespace: str
    """Empty for cluster-scoped objects."""
    name: str
    status: int
    """HTTP status of the answer: 409 is a refused write."""
    at: str
    """When the request arrived, RFC 3339 with microseconds."""


def writes(audit_log: Path, *, user: str | None = None) -> Iterator[Write]:
    """The writes so far, oldest first; of one user where named. A line still being written is left out."""
    named = (user or "").encode()
    with audit_log.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                return
            if named not in line:
                continue  # tests read a whole log ten times a second: what others wrote need not be understood
            write = parse_write(msgspec.json.decode(line))
            if user is None or write.user == user:
                yield write


def parse_write(event: dict[str, Any]) -> Write:
    """One audit event."""
    target = event.get("objectRef", {})
    parts = (target.get("resource", ""), target.get("subresource", ""))
    return Write(
        user=event["user"]["username"],
        verb=event["verb"],
        resource="/".join(part for part in parts if part),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        status=event.get("responseStatus", {}).get("code", 0),
        at=event["requestReceivedTimestamp"],
    )
