"""Kubernetes events, so few that they are read: one per object and reason in ten minutes, also over restarts."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from atoll.domain.objects import EVENT, KINDS, Emit

WINDOW_SECONDS = 600.0
_LONGEST_MESSAGE = 1024
"""Kubernetes refuses longer ones."""
_LONGEST_NAME = 253
_COMPONENT = "atoll"


@dataclass(slots=True)
class EventMemory:
    """Which events were emitted lately, by object and reason."""

    _emitted_at: dict[tuple[str, str], float] = field(default_factory=dict)

    def admit(self, wish: Emit, now: float) -> bool:
        """Whether it is to be written; ``now`` is monotonic, seconds."""
        self._emitted_at = {key: at for key, at in self._emitted_at.items() if now - at < WINDOW_SECONDS}
        key = (wish.uid or str(wish.target), wish.reason)
        if key in self._emitted_at:
            return False
        self._emitted_at[key] = now
        return True


def event_object(wish: Emit, now: datetime) -> dict[str, Any]:
    """The v1 Event; named alike for the same object and reason within a window, so that a restart adds none."""
    target = wish.target
    window = int(now.timestamp() // WINDOW_SECONDS)
    identity = hashlib.sha256(f"{target}|{wish.uid}|{wish.reason}|{window}".encode()).hexdigest()[:16]
    at = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    message = wish.message if len(wish.message) <= _LONGEST_MESSAGE else wish.message[: _LONGEST_MESSAGE - 1] + "…"
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.name,
        "metadata": {
            "name": f"{target.name[: _LONGEST_NAME - 17]}.{identity}",
            "namespace": target.namespace or "default",
        },
        "involvedObject": {
            "apiVersion": KINDS[target.kind].api_version,
            "kind": target.kind,
            **({"namespace": target.namespace} if target.namespace else {}),
            "name": target.name,
            "uid": wish.uid,
        },
        "type": wish.type.value,
        "reason": wish.reason,
        "message": message,
        "source": {"component": _COMPONENT},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }
