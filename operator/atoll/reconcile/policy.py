"""Which settings of a Fleet hold: those declared, and while nobody can understand them those that were understood last.

An invalid Fleet must not fall back to built-in defaults: they have no budget, no quota and another router. What was
understood last is in the Fleet's own status, so that a new operator goes on from there, perhaps of a version that
refuses what an older one took. Where there is nothing to go on from, nothing is moved.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from atoll.api.parse import parse_fleet
from atoll.domain.fleet import Fleet, Mode
from atoll.domain.objects import FLEET, ObjectLike, Reference
from atoll.domain.reason import Fault, InvalidObjectError
from atoll.domain.snapshot import Snapshot


def policy_of(raw: ObjectLike) -> tuple[Fleet, Fault | None]:
    """The settings that hold for a Fleet, and what is wrong with it; None where nothing is."""
    try:
        return parse_fleet(raw), None
    except InvalidObjectError as invalid:
        fault = invalid.fault
    kept = _kept(raw)
    metadata = raw["metadata"]
    try:
        former = parse_fleet({**raw, "spec": kept["spec"]})
    except (InvalidObjectError, KeyError):
        held = Fleet(name=metadata["name"], uid=metadata.get("uid", ""), mode=Mode.PAUSED)
        return held, _with(fault, "nothing is planned or moved until it is mended")
    return former, _with(fault, f"until it is mended the settings of generation {kept.get('generation', 0)} hold")


def policy_fault(snapshot: Snapshot) -> Fault | None:
    """What is wrong with the Fleet itself; None where nothing is."""
    ref = Reference(kind=FLEET.name, name=snapshot.fleet.name)
    return next(iter(snapshot.faults.get(ref, ())), None)


def in_force(raw: ObjectLike, fault: Fault | None) -> Mapping[str, Any]:
    """What a Fleet's status is to remember: its present spec, or while that has a fault what it remembers already."""
    if fault is not None:
        return _kept(raw)
    return {"generation": raw["metadata"].get("generation", 0), "spec": raw.get("spec") or {}}


def _kept(raw: ObjectLike) -> Mapping[str, Any]:
    kept = (raw.get("status") or {}).get("inForce")
    return kept if isinstance(kept, Mapping) else {}


def _with(fault: Fault, consequence: str) -> Fault:
    return replace(fault, message=f"{fault.message}; {consequence}")
