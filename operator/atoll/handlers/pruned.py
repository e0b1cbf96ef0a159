"""Remembers which fields the API server drops, so that nobody writes them again and again."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from atoll.cluster.execute import Outcome, Result
from atoll.domain.objects import Action, Apply, ApplyStatus, ObjectLike
from atoll.reconcile.pruned import Path, dropped_fields, in_vain, is_ours_by_kind

logger = logging.getLogger(__name__)

_FORGOTTEN_SECONDS = 3600.0
"""After so long a field is tried again: nothing tells that definitions were upgraded."""


@dataclass(slots=True, kw_only=True)
class Pruned:
    """What answers to our writes lacked, by kind.

    Attributes:
        clock: monotonic, seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _found: dict[str, dict[Path, float]] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def fields(self) -> tuple[str, ...]:
        """Dropped fields for people to read, such as ``Fleet status.costs``."""
        return tuple(sorted(_named(kind, path) for kind in self._found for path in self._dropped(kind)))

    def in_vain(self, action: Action, live: ObjectLike | None) -> bool:
        """Whether a write would change nothing, since the API server drops all that it has of new."""
        return live is not None and in_vain(action, live, self._dropped(str(live["kind"])))

    def learn(self, outcome: Outcome) -> None:
        """Take note of what the answer to a write of an object of ours lacks, or has again."""
        action, answer = outcome.action, outcome.obj
        if outcome.result is not Result.DONE or answer is None or not isinstance(action, Apply | ApplyStatus):
            return
        if not is_ours_by_kind(action.intent):
            return
        kind, (lacking, kept) = str(action.intent["kind"]), dropped_fields(action.intent, answer)
        known = {path: at for path, at in self._found.get(kind, {}).items() if path not in kept}
        self._found[kind] = known | dict.fromkeys(lacking, self.clock())
        news = {_named(kind, path) for path in lacking} - self._told
        if news:
            self._told |= news
            logger.warning(
                "the API server drops %s: its custom resource definitions are older than this operator; upgrade them",
                ", ".join(sorted(news)),
            )

    def _dropped(self, kind: str) -> frozenset[Path]:
        now = self.clock()
        return frozenset(path for path, at in self._found.get(kind, {}).items() if now - at < _FORGOTTEN_SECONDS)


def _named(kind: str, path: Path) -> str:
    return f"{kind} {'.'.join(path).replace('.[]', '[]')}"
