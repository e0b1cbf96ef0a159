"""What the API server does not take of our own kinds, because its definitions are older than the operator.

It drops such fields of an object that is created, and refuses the whole of one that is applied, with status 500 (seen
on Kubernetes 1.36).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from atoll.domain.objects import OUR_KINDS, Action, Apply, ApplyStatus, ObjectLike
from atoll.reconcile.difference import differs

Path = tuple[str, ...]
"""Keys from the object's root; ``[]`` stands for each item of a list."""

_ITEM = "[]"
_SELECTED = re.compile(r"\[[^\]]*\]")
_UNDECLARED = re.compile(r"(\.[\w.\[\]]+): field not declared in schema")
_OURS = frozenset(kind.name for kind in OUR_KINDS)


def dropped_fields(intent: ObjectLike, answer: ObjectLike) -> tuple[frozenset[Path], frozenset[Path]]:
    """Fields of spec and status that an apply meant and its answer lacks, the uppermost of each; and those it has."""
    meant, kept = set(_paths(_fields(intent))), set(_paths(_fields(answer)))
    lacking = meant - kept
    return frozenset(path for path in lacking if path[:-1] not in lacking), frozenset(meant & kept)


def undeclared_fields(error: str) -> frozenset[Path]:
    """Fields that an apply was refused for, by the API server's words."""
    plain = _SELECTED.sub(f".{_ITEM}", error)
    return frozenset(tuple(path.strip(".").split(".")) for path in _UNDECLARED.findall(plain))


def fitted(action: Action, dropped: frozenset[Path]) -> Action:
    """The write without fields that the API server does not take."""
    if not dropped or not isinstance(action, Apply | ApplyStatus) or action.intent["kind"] not in _OURS:
        return action
    rest = _without(action.intent, dropped)
    return action if rest == action.intent else replace(action, intent=rest)


def in_vain(action: Action, live: ObjectLike | None, dropped: frozenset[Path]) -> bool:
    """Whether a write would leave an object of ours as it is, but for fields that the API server does not take."""
    rest = fitted(action, dropped)
    if live is None or rest is action or not isinstance(rest, Apply | ApplyStatus) or not rest.live_uid:
        return False
    return not differs(_fields(rest.intent), _fields(live), exact=isinstance(rest, ApplyStatus))


def is_ours_by_kind(obj: ObjectLike) -> bool:
    """Whether it is of a kind that our definitions define."""
    return obj.get("kind") in _OURS


def _fields(obj: ObjectLike) -> dict[str, Any]:
    return {part: obj[part] for part in ("spec", "status") if part in obj}


def _paths(value: Any, at: Path = ()) -> Iterator[Path]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if item is not None:
                yield (*at, key)
                yield from _paths(item, (*at, key))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield (*at, _ITEM)
            yield from _paths(item, (*at, _ITEM))


def _without(value: Any, dropped: frozenset[Path], at: Path = ()) -> Any:
    if isinstance(value, Mapping):
        kept = {key: item for key, item in value.items() if (*at, key) not in dropped}
        return {key: _without(item, dropped, (*at, key)) for key, item in kept.items()}
    if isinstance(value, list | tuple):
        return [_without(item, dropped, (*at, _ITEM)) for item in value]
    return value
