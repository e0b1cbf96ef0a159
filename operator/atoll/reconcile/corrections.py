"""Observed corrections: a slow mean of what engines report, within bounds, and a factor that follows it in leaps.

Estimates are the rule and corrections the exception, so noise must neither carry them away nor make plans nervous:

- each window counts by its length over ``MEMORY_SECONDS``, and for no more than the bounds;
- the factor that plans are made with follows once the mean is further away than ``DEAD_BAND``, and then takes its
  place. While windows stay within half of the dead band about a truth, it moves towards that truth only, and then
  stands still.

Nothing heard changes nothing (scenarios R6 to R8): an engine that is idle, starts, or is not scraped has no window.
"""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from atoll.domain.correction import Correction, CorrectionUse, EngineLoad, Observed
from atoll.domain.demand import Demand, DemandKey
from atoll.domain.objects import ObjectLike
from atoll.domain.snapshot import ObservedDeployment, ObservedPod, Snapshot
from atoll.domain.strategy import EngineName
from atoll.reconcile.moments import format_moment, parse_moment

LEAST, MOST = 0.7, 1.3
"""Bounds of a correction: what is further off is no error of an estimate, but another engine, GPU or LLM."""

MEMORY_SECONDS = 6 * 3600.0
"""A window counts e times less after so long: a day's course is averaged out, a new image's speed is seen in hours."""

DEAD_BAND = 0.05
"""Of the logarithm: rates within 5 % are no reason to plan anew."""

LEAST_RUNNING = 8.0
"""Sequences in flight, mean, from which on an engine's time goes into steps rather than into waiting for them."""

MOST_KV_USAGE = 0.97
"""Share of the KV cache beyond which engines put requests back and compute them again, which no metric tells."""

_WRITTEN_AGAIN = 0.02
_DIGITS = 3


def is_telling(load: EngineLoad, pod: ObservedPod, deployment: ObservedDeployment) -> bool:
    """Whether an engine's window can be held against the estimate.

    It was Ready for the whole window, was never idle, was well loaded and had room; and it is a whole replica, for the
    stages of a pipeline wait for one another, and those of a pair leave work to others.
    """
    strategy = deployment.strategy
    whole = len(strategy.stages) == 1 and strategy.phase is None
    since = pod.ready_since.timestamp() if pod.ready and pod.ready_since is not None else math.inf
    return (
        whole
        and since <= load.ended_at - load.seconds
        and load.running >= LEAST_RUNNING
        and load.least_running >= 1.0
        and load.kv_usage <= MOST_KV_USAGE
        and load.generated > 0.0
        and all(map(math.isfinite, (load.running, load.generated, load.prompted)))
    )


def corrected(before: Correction, windows: Iterable[Observed]) -> Correction:
    """A correction after further windows, oldest first; those that it knows already count for nothing."""
    mean, applied = math.log(before.observed), math.log(before.applied)
    until, count = before.until.timestamp(), before.windows
    for window in windows:
        if window.ended_at <= until:
            continue
        weight = -math.expm1(-window.seconds / MEMORY_SECONDS)
        seen = min(max(math.log(window.slowness), math.log(LEAST)), math.log(MOST))
        mean += weight * (seen - mean)
        if abs(mean - applied) > DEAD_BAND:
            applied = mean
        until, count = window.ended_at, count + 1
    return Correction(
        gpu_kind=before.gpu_kind,
        engine=before.engine,
        observed=_bounded(mean),
        applied=before.applied if applied == math.log(before.applied) else round(_bounded(applied), _DIGITS),
        windows=count,
        until=datetime.fromtimestamp(until, tz=UTC),
    )


def applied_factors(snapshot: Snapshot) -> dict[DemandKey, dict[str, float]]:
    """How many times as long as estimated steps are taken, by demand and GPU kind, where the Fleet wants it so."""
    if snapshot.fleet.corrections is not CorrectionUse.APPLY:
        return {}
    found = {
        key: {item.gpu_kind: item.applied for item in items if item.applied != 1.0}
        for key, items in snapshot.corrections.items()
    }
    return {key: factors for key, factors in found.items() if factors}


def by_demand(demands: Iterable[Demand], raws: Iterable[ObjectLike]) -> dict[DemandKey, tuple[Correction, ...]]:
    """Corrections that statuses remember, of the engines that run; demands without are left out."""
    known = {(raw["metadata"].get("namespace", ""), raw["metadata"]["name"]): read_corrections(raw) for raw in raws}
    found = {
        demand.key: tuple(
            item for item in known.get((demand.key.namespace, demand.key.name), ()) if item.engine is demand.engine.name
        )
        for demand in demands
    }
    return {key: items for key, items in found.items() if items}


def read_corrections(demand: ObjectLike) -> tuple[Correction, ...]:
    """What a ModelDemand's status remembers; nothing of what nobody can read, or is out of bounds."""
    listed = (demand.get("status") or {}).get("corrections")
    return tuple(filter(None, map(_read, listed))) if isinstance(listed, list) else ()


def correction_fields(corrections: Iterable[Correction], live: ObjectLike) -> dict[str, Any]:
    """Field ``corrections`` of a ModelDemand's status; as it was written where none has moved enough to be news."""
    known = {(item.gpu_kind, item.engine): item for item in read_corrections(live)}
    found = sorted(corrections, key=lambda item: (item.gpu_kind, item.engine))
    if not found:
        return {}
    if len(known) == len(found) and not any(_is_news(known.get((item.gpu_kind, item.engine)), item) for item in found):
        return {"corrections": live["status"]["corrections"]}
    return {
        "corrections": [
            {
                "gpuKind": item.gpu_kind,
                "engine": item.engine.value,
                "observed": round(item.observed, _DIGITS),
                "applied": round(item.applied, _DIGITS),
                "windows": item.windows,
                "until": format_moment(item.until),
            }
            for item in found
        ]
    }


def _is_news(before: Correction | None, now: Correction) -> bool:
    if before is None:
        return True
    return abs(math.log(now.observed / before.observed)) >= _WRITTEN_AGAIN or now.applied != before.applied


def _read(item: object) -> Correction | None:
    if not isinstance(item, Mapping):
        return None
    until, kind = parse_moment(item.get("until")), item.get("gpuKind")
    observed: Any = item.get("observed")
    applied: Any = item.get("applied")
    windows = item.get("windows", 0)
    if until is None or not isinstance(kind, str) or item.get("engine") not in set(EngineName):
        return None
    if not (_within(observed) and _within(applied) and isinstance(windows, int) and windows >= 0):
        return None
    return Correction(
        gpu_kind=kind,
        engine=EngineName(item["engine"]),
        observed=float(observed),
        applied=float(applied),
        windows=windows,
        until=until,
    )


def _bounded(logarithm: float) -> float:
    return min(max(math.exp(logarithm), LEAST), MOST)


def _within(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and LEAST <= value <= MOST
