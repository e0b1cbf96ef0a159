"""What the cluster looks like, as far as it was told: objects by kind, newest version only.

Three sources feed it, in any order: the watch, our own LIST (kopf tells of no deletion that happened while its watch
was away) and the answers to our own writes. Resource versions of one kind are ordered numbers (KEP-5504), so the newest
wins whatever comes when; where they are no numbers, what comes later is taken.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from atoll.domain.objects import KINDS, Kind, ObjectLike, Reference, reference
from atoll.handlers.slim import slim

View = Mapping[str, Mapping[Reference, ObjectLike]]
"""Objects by name of their kind and by reference; never changes."""


@dataclass(slots=True)
class _Shelf:
    """Objects of one kind.

    Attributes:
        objects: by reference.
        shared: a view refers to ``objects``: copy before the next change.
        gone: version at which an object was deleted, by uid: older news of it must not bring it back.
        listed_at: when it was last listed whole, monotonic, seconds; None for never.
    """

    objects: dict[Reference, ObjectLike] = field(default_factory=dict)
    shared: bool = False
    gone: dict[str, str] = field(default_factory=dict)
    listed_at: float | None = None

    def to_change(self) -> dict[Reference, ObjectLike]:
        if self.shared:
            self.objects, self.shared = dict(self.objects), False
        return self.objects


class Cache:
    """Slimmed objects of the kinds that are watched. For one thread only."""

    def __init__(self) -> None:
        self._shelves: dict[str, _Shelf] = {}

    def upsert(self, kind: Kind, obj: ObjectLike) -> bool:
        """Take a newer version of an object; True if something that decisions read has changed."""
        return self._put(kind, slim(kind, obj))

    def remove(self, kind: Kind, obj: ObjectLike) -> bool:
        """Take the news that an object was deleted; True if it was there."""
        shelf, target, metadata = self._shelf(kind), _reference(kind, obj), obj["metadata"]
        shelf.gone[metadata.get("uid", "")] = metadata.get("resourceVersion", "")
        known = shelf.objects.get(target)
        if known is None or known["metadata"].get("uid") != metadata.get("uid"):
            return False  # its successor is known already
        del shelf.to_change()[target]
        return True

    def observe_write(self, obj: ObjectLike) -> bool:
        """Take the API server's answer to our own write, so that the next decision knows of it."""
        return self.upsert(KINDS[obj["kind"]], obj)

    def replace(self, kind: Kind, items: Iterable[ObjectLike], *, resource_version: str, now: float) -> bool:
        """Take a whole list of slimmed objects as of a resource version; True if something has changed.

        What was learnt of later than the list stays; what the list lacks and is older is gone.
        """
        shelf = self._shelf(kind)
        listed = {_reference(kind, item): item for item in items}
        changed = [self._put(kind, item) for item in listed.values()]
        missing = [
            target
            for target, known in shelf.objects.items()
            if target not in listed and not _newer(_version(known), resource_version)
        ]
        for target in missing:
            del shelf.to_change()[target]
        shelf.gone = {uid: at for uid, at in shelf.gone.items() if _newer(at, resource_version)}
        shelf.listed_at = now
        return any(changed) or bool(missing)

    def synced(self, kinds: Iterable[Kind]) -> bool:
        """Whether each of these kinds was listed whole at least once."""
        return all(self._shelf(kind).listed_at is not None for kind in kinds)

    def desync(self) -> None:
        """The watch has ended: what is here may be old until everything is listed again."""
        for shelf in self._shelves.values():
            shelf.listed_at = None

    def age(self, kinds: Iterable[Kind], now: float) -> float:
        """Seconds since the oldest of the last whole lists; infinite where one is missing."""
        times = [self._shelf(kind).listed_at for kind in kinds]
        return max((now - at if at is not None else float("inf") for at in times), default=0.0)

    def view(self) -> View:
        """All objects as they are now; what comes later does not change it."""
        for shelf in self._shelves.values():
            shelf.shared = True
        return MappingProxyType({name: MappingProxyType(shelf.objects) for name, shelf in self._shelves.items()})

    def _put(self, kind: Kind, obj: ObjectLike) -> bool:
        shelf, target = self._shelf(kind), _reference(kind, obj)
        gone_at = shelf.gone.get(obj["metadata"].get("uid", ""))
        if gone_at is not None and not _newer(_version(obj), gone_at):
            return False
        known = shelf.objects.get(target)
        if known is not None and (_version(known) == _version(obj) or _newer(_version(known), _version(obj))):
            return False
        shelf.to_change()[target] = obj
        return known is None or _content(known) != _content(obj)

    def _shelf(self, kind: Kind) -> _Shelf:
        return self._shelves.setdefault(kind.name, _Shelf())


def _reference(kind: Kind, obj: ObjectLike) -> Reference:
    return reference({"kind": kind.name, "metadata": obj["metadata"]})


def _version(obj: ObjectLike) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


def _newer(version: str, other: str) -> bool:
    """Whether a version is known to be newer than another."""
    return version.isdecimal() and other.isdecimal() and int(version) > int(other)


def _content(obj: ObjectLike) -> ObjectLike:
    """All but the version, which says that something changed that is not kept here."""
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}}
