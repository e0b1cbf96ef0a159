"""Whether a live object already is what is intended: the reason why a converged fleet makes no writes."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

_SUFFIX = {
    "": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
}  # fmt: skip
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_QUANTITY = re.compile(r"^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?)$")
_KEYS = ("name", "containerPort", "mountPath", "port", "type", "key", "zone", "ip")
"""Merge keys of the associative lists in the objects that we write, tried in order."""


def differs(intent: Any, live: Any, *, exact: bool = False) -> bool:
    """Whether some leaf of the intent is not so in the live object; what only the live object has is not ours.

    Quantities are compared by value (``1000m`` is ``1``), associative lists by their merge key, other lists whole.
    An empty list is none: the API server drops it.
    ``exact`` is for what is all ours, such as a status: there an item that only the live list has differs too.
    """
    if isinstance(intent, Mapping):
        return not isinstance(live, Mapping) or any(
            differs(value, live[key], exact=exact) if key in live else value != [] for key, value in intent.items()
        )
    if isinstance(intent, str) or not isinstance(intent, Sequence):
        return not _same(intent, live)
    if isinstance(live, str) or not isinstance(live, Sequence):
        return True
    key = _merge_key(intent)
    if key is None or exact:
        return len(intent) != len(live) or any(
            differs(mine, theirs, exact=exact) for mine, theirs in zip(intent, live, strict=True)
        )
    by_key = {item.get(key): item for item in live if isinstance(item, Mapping)}
    return any(item[key] not in by_key or differs(item, by_key[item[key]]) for item in intent)


def quantity(text: Any) -> Decimal | None:
    """A Kubernetes quantity as a number; None for what is none."""
    if isinstance(text, bool):
        return None
    if isinstance(text, int | float):
        return Decimal(str(text))
    match = _QUANTITY.match(text) if isinstance(text, str) else None
    if match is None:
        return None
    number, suffix = match.groups()
    try:
        value = Decimal(number)
        return value * 1024 ** _BINARY[suffix] if suffix in _BINARY else value.scaleb(_SUFFIX[suffix])
    except ArithmeticError:  # no number, or one beyond all bounds
        return None


def _same(intent: Any, live: Any) -> bool:
    if intent == live:
        return True
    mine, theirs = quantity(intent), quantity(live)
    return mine is not None and mine == theirs


def _merge_key(items: Sequence[Any]) -> str | None:
    for key in _KEYS:
        if items and all(isinstance(item, Mapping) and key in item for item in items):
            values = [item[key] for item in items]
            if len(set(map(str, values))) == len(values):
                return key
    return None
