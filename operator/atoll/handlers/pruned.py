"""Remembers which fields the API server does not take, so that nobody writes them again and again."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from atoll.cluster.execute import Outcome, Result
from atoll.domain.objects import Action, Apply, ApplyStatus, ObjectLike
from atoll.reconcile.pruned import Path, dropped_fields, fitted, in_vain, is_ours_by_kind, undeclared_fields

logger = logging.getLogger(__name__)

_FORGOTTEN_SECONDS = 3600.0
"""After so long a field is tried again: nothing tells that definitions were upgraded."""


@dataclass(slots=True, kw_only=True)
class Pruned:
    """What was refused of our writes, or lacking in answers to them, by kind.

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

    def fitted(self, action: Action) -> Action:
        """The write without fields that the API server does not take."""
        if not isinstance(action, Apply | ApplyStatus):
            return action
        return fitted(action, self._dropped(str(action.intent["kind"])))

    def learn(self, outcome: Outcome) -> None:
        """Take note of what a write of an object of ours was refused for, what its answer lacks, or has again."""
        action, answer = outcome.action, outcome.obj
        if not isinstance(action, Apply | ApplyStatus) or not is_ours_by_kind(action.intent):
            return
        lacking, kept = undeclared_fields(outcome.error), frozenset[Path]()
        if outcome.result is Result.DONE and answer is not None:
            lacking, kept = dropped_fields(action.intent, answer)
        kind = str(action.intent["kind"])
        known = {path: at for path, at in self._found.get(kind, {}).items() if path not in kept}
        self._found[kind] = known | dict.fromkeys(lacking, self.clock())
        news = {_named(kind, path) for path in lacking} - self._told
        if news:
            self._told |= news
            logger.warning(
                "the API server does not take %s: its definitions are older than this operator; upgrade them",
                ", ".join(sorted(news)),
            )

    def _dropped(self, kind: str) -> frozenset[Path]:
        now = self.clock()
        return frozenset(path for path, at in self._found.get(kind, {}).items() if now - at < _FORGOTTEN_SECONDS)


def _named(kind: str, path: Path) -> str:
    return f"{kind} {'.'.join(path).replace('.[]', '[]')}"
