"""What a fleet has cost, and saved, since it was first planned: sums in the Fleet's status, carried on plan by plan.

Nothing is written while a plan stays: its rates and since when they hold are kept, so that anybody can tell the sums of
any moment. When another plan comes into force, what the former one cost until then is added. It is what was planned, at
the prices of the plan; not what a cloud billed.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from atoll.domain.plan import Plan
from atoll.reconcile.moments import format_moment, parse_moment

_HOUR = 3600.0
_DECIMALS = 6
_SAME = 0.01
"""Rates that differ by no more than this share are the same: looking again must not begin anew."""


def account(before: Mapping[str, Any] | None, plan: Plan | None, now: datetime) -> dict[str, Any]:
    """``Fleet.status.account`` as it is to be; empty before the first plan.

    Args:
        before: as it is; None or empty where there is none.
        plan: in force.
        now: the moment.
    """
    if plan is None:
        return dict(before or {})
    rates: dict[str, Any] = {"plan": plan.name, "costPerHour": round(plan.cost_per_hour, _DECIMALS)}
    if plan.baseline_per_hour is not None:
        rates["baselinePerHour"] = round(plan.baseline_per_hour, _DECIMALS)
    moment = format_moment(now)
    if not before or not before.get("since"):
        sums = {"began": moment, "spent": 0.0, "saved": 0.0, "comparedHours": 0.0}
        return {**sums, "since": moment, **rates}
    if _same(before, rates):
        return dict(before)
    spent, saved, compared = sums_at(before, now)
    return {
        "began": before.get("began", moment),
        "spent": round(spent, _DECIMALS),
        "saved": round(saved, _DECIMALS),
        "comparedHours": round(compared, _DECIMALS),
        "since": moment,
        **rates,
    }


def sums_at(found: Mapping[str, Any], now: datetime) -> tuple[float, float, float]:
    """US$ spent and saved until a moment, and hours in which there was a baseline to compare with."""
    since = parse_moment(found.get("since")) or now
    hours = max(0.0, (now - since).total_seconds() / _HOUR)
    cost, baseline = float(found.get("costPerHour", 0.0)), found.get("baselinePerHour")
    spent = float(found.get("spent", 0.0)) + cost * hours
    saved, compared = float(found.get("saved", 0.0)), float(found.get("comparedHours", 0.0))
    if baseline is None:
        return spent, saved, compared
    return spent, saved + (float(baseline) - cost) * hours, compared + hours


def _same(before: Mapping[str, Any], rates: Mapping[str, Any]) -> bool:
    """The same plan at the same rates."""
    if before.get("plan") != rates["plan"] or ("baselinePerHour" in before) != ("baselinePerHour" in rates):
        return False
    return all(
        abs(float(before.get(name, 0.0)) - float(rates[name])) <= _SAME * abs(float(rates[name]))
        for name in ("costPerHour", "baselinePerHour")
        if name in rates
    )
