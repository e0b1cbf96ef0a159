"""What a ModelDemand says of its measurements: how many requests come, and how long they are."""

import math
from collections.abc import Mapping
from typing import Any

from atoll.domain.objects import ObjectLike
from atoll.domain.reason import Reason
from atoll.domain.signal import Measured
from atoll.domain.workload import SeenLengths, Workload
from atoll.reconcile.conditions import Condition, former
from atoll.reconcile.lengths import NAMES, drift
from atoll.reconcile.measured import read_kept
from atoll.reconcile.moments import format_moment

_MOVED = 0.1
"""An observed rate is written again once it has moved by this share: measurements come twice a minute."""


def measured_condition(measured: Measured | None, live: ObjectLike) -> tuple[Condition, ...]:
    """Condition ``Measured``; none where demand is not measured.

    Until an operator that has just started has asked, it stands as it stood: a restart writes nothing.
    """
    if measured is None:
        return ()
    if measured.reason is Reason.AWAITING_SIGNAL:
        before = former(live, "Measured")
        if before is not None:
            return (before,)
    status = None if measured.reason is Reason.AWAITING_SIGNAL else not measured.held
    return (Condition(type="Measured", status=status, reason=measured.reason, message=measured.message),)


def measured_fields(measured: Measured | None, live: ObjectLike, *, rate: float, cost: float) -> dict[str, Any]:
    """Field ``measured``; none where demand is not measured or nothing is known.

    Args:
        measured: what follows from what was heard.
        live: the ModelDemand as last seen.
        rate: requests/s planned for.
        cost: of the demand, US$/h.
    """
    if measured is None or measured.estimate is None:
        return {}
    kept = read_kept(live)
    if measured.reason is Reason.AWAITING_SIGNAL and kept.estimate is not None:
        return {"measured": dict(live["status"]["measured"])}
    before, now = kept.level, measured.level
    if now is None or (before is not None and abs(now - before) <= _MOVED * before):
        now = before or 0.0
    shown = round(now, 3)
    spare = max(0.0, 1.0 - shown / rate) if rate > 0.0 else 0.0
    fields: dict[str, Any] = {
        "observedRate": shown,
        "estimate": measured.estimate,
        "floor": measured.floor,
        "headroomCostPerHour": round(spare * cost, 2),
    }
    if measured.held and measured.sampled_at is not None:
        fields["measuredUntil"] = format_moment(measured.sampled_at)
    return {"measured": fields}


def lengths_said(
    declared: Workload, seen: SeenLengths | None, live: ObjectLike
) -> tuple[tuple[Condition, ...], dict[str, Any]]:
    """Condition ``AsDeclared`` and field ``lengths``: as they were while too few requests tell how long they are.

    What was measured last is held against what is declared now, so that a mend is seen where few requests come.
    """
    before, kept = former(live, "AsDeclared"), (live.get("status") or {}).get("lengths")
    differed = _differed(before, kept)
    found = drift(declared, seen, differed=differed)
    if found is None or seen is None:
        if differed and isinstance(kept, Mapping) and _is_mended(declared, kept, differed):
            before = Condition(type="AsDeclared", status=True, reason=Reason.LENGTHS_AGREE)
            kept = {name: value for name, value in kept.items() if name != "differ"}
        return (() if before is None else (before,)), ({"lengths": dict(kept)} if isinstance(kept, Mapping) else {})
    means = {"input": round(seen.input, 1), "output": round(seen.output, 1)}
    if isinstance(kept, Mapping) and all(_is_near(kept.get(name), mean) for name, mean in means.items()):
        means = {name: kept[name] for name in NAMES}
    off = [
        f"mean {name} is declared as {lengths.mean:.4g} tokens and measured as {means[name]:.4g}"
        for name, lengths in (("input", declared.input), ("output", declared.output))
        if name in found.off
    ]
    if not off:
        return (Condition(type="AsDeclared", status=True, reason=Reason.LENGTHS_AGREE),), {"lengths": means}
    message = f"{' and '.join(off)}: what is planned holds for what is declared; mend spec.demand.workload"
    return (Condition(type="AsDeclared", status=False, reason=Reason.LENGTHS_DIFFER, message=message),), {
        "lengths": {**means, "differ": list(found.off)}
    }


def _differed(before: Condition | None, kept: object) -> frozenset[str]:
    """Which lengths were told to differ; both where an earlier operator, or older definitions, did not keep which."""
    if before is None or before.status is not False:
        return frozenset()
    told = kept.get("differ") if isinstance(kept, Mapping) else None
    return frozenset(map(str, told)) & frozenset(NAMES) if isinstance(told, list) and told else frozenset(NAMES)


def _is_mended(declared: Workload, kept: Mapping[str, Any], differed: frozenset[str]) -> bool:
    """Whether lengths as they were measured last agree with what is declared."""
    prompt, answer = kept.get("input"), kept.get("output")
    if not isinstance(prompt, int | float) or not isinstance(answer, int | float):
        return False
    found = drift(declared, SeenLengths(requests=math.inf, input=prompt, output=answer), differed=differed)
    return found is not None and not found.off


def _is_near(kept: object, mean: float) -> bool:
    return isinstance(kept, int | float) and abs(mean - kept) <= _MOVED * kept
