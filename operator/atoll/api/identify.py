"""Which of our kinds an object is, or what its owner probably meant."""

from collections.abc import Mapping
from difflib import get_close_matches

from atoll.api.decode import invalid, shown
from atoll.domain.objects import ATOLL, OUR_KINDS, Kind

_GROUP = ATOLL.partition("/")[0]
_OURS = {kind.name: kind for kind in OUR_KINDS}
_LIKE = 0.8
"""Ratio from which a group and version count as ours, mistyped."""


def identify(value: object) -> Kind | None:
    """The kind of an object; None where it is none of ours.

    Raises:
        InvalidObjectError: the object is meant for us, but its kind or version is mistyped or missing.
    """
    found = value if isinstance(value, Mapping) else {}
    version, name = found.get("apiVersion"), found.get("kind")
    if version == ATOLL:
        if name in _OURS:
            return _OURS[name]
        raise invalid("kind", f"{_seen(name)}: {_meant(name)}")
    kind_is_near = isinstance(name, str) and bool(_near(name))
    if isinstance(version, str) and version.partition("/")[0].casefold() == _GROUP:
        raise invalid("apiVersion", f"{shown(version)} is not known: use {ATOLL}")
    mistyped = isinstance(version, str) and bool(get_close_matches(version.casefold(), [ATOLL], cutoff=_LIKE))
    if kind_is_near and (mistyped or version is None):
        raise invalid("apiVersion", f"{_seen(version)}: use {ATOLL}")
    return None


def _seen(value: object) -> str:
    return "missing" if value is None else f"{shown(value)} is not known"


def _meant(name: object) -> str:
    near = _near(name) if isinstance(name, str) else []
    return f"did you mean {near[0]}?" if near else f"use one of {', '.join(_OURS)}"


def _near(name: str) -> list[str]:
    folded = {kind.casefold(): kind for kind in _OURS}
    return [folded[key] for key in get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)]
