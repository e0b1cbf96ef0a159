"""What-if changes on the command line (``--price POOL=X``, ``--demand M=2x``), checked against the fleet."""

import difflib
import math
import re
from collections.abc import Iterable, Sequence

import typer

from atoll.cli.explain import chosen
from atoll.domain.demand import DemandKey
from atoll.domain.gpu import CapacityType
from atoll.optimize.case import Case
from atoll.optimize.whatif import Change, Price
from atoll.report.numbers import amount, money

_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_RATE = re.compile(r"(?P<sign>[+-]?)(?P<number>[0-9]+(\.[0-9]+)?)(?P<unit>[x%]?)", re.ASCII)
_NAMED = 5
_MOST = 1e9
"""Largest rate or price that a resource may state."""


def parse_changes(
    case: Case,
    *,
    without_spot: bool,
    zones: Sequence[str],
    pools: Sequence[str],
    prices: Sequence[str],
    demands: Sequence[str],
    budget: float | None,
) -> tuple[Change, tuple[str, ...]]:
    """The change that the options ask for, and what it is in words.

    Raises:
        typer.BadParameter: an option cannot be understood or names nothing of the fleet, or none is given.
    """
    rates = dict(_rate(text, case) for text in demands)
    change = Change(
        without_spot=without_spot,
        lost_zones=frozenset(_known(zones, {item.zone for item in case.supplies}, "zone", "--lose-zone")),
        lost_pools=frozenset(_known(pools, {item.offering.pool for item in case.supplies}, "pool", "--without-pool")),
        prices=tuple(_price(text, case) for text in prices),
        rates=rates,
        budget_per_hour=budget,
    )
    if without_spot and not any(item.capacity_type is CapacityType.SPOT for item in case.supplies):
        raise typer.BadParameter("no pool of the Fleet offers spot: nothing would change", param_hint="--without-spot")
    said = tuple(_said(case, change))
    if not said:
        raise typer.BadParameter(
            "nothing is different: give --without-spot, --lose-zone, --without-pool, --price, --demand or --budget"
        )
    return change, said


def _known(names: Iterable[str], known: set[str], what: str, option: str) -> Iterable[str]:
    for name in names:
        if name not in known:
            message = f"no {what} {name!r} in the Fleet; there are: {_nearest(name, known)}"
            raise typer.BadParameter(message, param_hint=option)
        yield name


def _price(text: str, case: Case) -> Price:
    place, equals, number = text.rpartition("=")
    pool, zone, terms = [*place.split("/", maxsplit=2), "", ""][:3]
    if not equals or not _NUMBER.fullmatch(number) or float(number) > _MOST:
        raise typer.BadParameter(
            f"{text[:80]!r} is no price: write it like POOL=12.5 or POOL/ZONE/spot=0.8, US$ per node and hour",
            param_hint="--price",
        )
    if terms and terms not in set(CapacityType):
        known = ", ".join(CapacityType)
        raise typer.BadParameter(f"{terms!r} is no capacity type ({known})", param_hint="--price")
    price = Price(pool=pool, per_hour=float(number), zone=zone, capacity_type=CapacityType(terms) if terms else None)
    offerings = {str(item.offering) for item in case.supplies}
    meant = [item for item in case.supplies if price.is_of(item)]
    if not meant:
        message = f"no offering is {place!r}; there are: {_nearest(place, offerings)}"
        raise typer.BadParameter(message, param_hint="--price")
    if not any(item.price_per_hour > 0.0 or item.paid_per_hour > 0.0 for item in meant):
        raise typer.BadParameter(f"{place!r} has no price that could be another", param_hint="--price")
    return price


def _rate(text: str, case: Case) -> tuple[DemandKey, float]:
    name, equals, amount_text = text.rpartition("=")
    found = _RATE.fullmatch(amount_text)
    if not equals or not found or (found["sign"] and found["unit"] != "%"):
        raise typer.BadParameter(
            f"{text[:80]!r} is no demand: write it like chat=2x, chat=+20% or chat=30, requests/s",
            param_hint="--demand",
        )
    key = chosen(name, (item.key for item in case.demands), option="--demand")
    now = next(item.rate for item in case.demands if item.key == key)
    number = float(found["number"])
    match found["sign"], found["unit"]:
        case _, "x":
            rate = now * number
        case "", "%":
            rate = now * number / 100.0
        case sign, "%":
            rate = now * (1.0 + (number if sign == "+" else -number) / 100.0)
        case _:
            rate = number
    if not 0.0 <= rate <= _MOST:
        raise typer.BadParameter(f"{text[:80]!r}: {rate:g} requests/s is absurd", param_hint="--demand")
    return key, rate


def _said(case: Case, change: Change) -> Iterable[str]:
    if change.without_spot:
        yield "no spot node can be had"
    if change.lost_zones:
        yield f"{_named('zone', sorted(change.lost_zones))} lost"
    if change.lost_pools:
        yield f"{_named('pool', sorted(change.lost_pools))} gone"
    for price in change.prices:
        place = "/".join(part for part in (price.pool, price.zone, price.capacity_type or "") if part)
        was = sorted({item.price_per_hour or item.paid_per_hour for item in case.supplies if price.is_of(item)})
        before = money(was[-1]) if len(was) == 1 else f"up to {money(was[-1])}"
        yield f"a node of {place} costs {money(price.per_hour)} $/h instead of {before}"
    for key, rate in change.rates.items():
        now = next(item.rate for item in case.demands if item.key == key)
        name = str(key).removeprefix("default/")
        yield f"{name} wants {amount(rate)} requests/s instead of {amount(now)}"
    if change.budget_per_hour is not None:
        was_budget = case.policy.budget_per_hour
        before = f"{money(was_budget)}" if math.isfinite(was_budget) else "no limit"
        yield f"the budget is {money(change.budget_per_hour)} $/h instead of {before}"


def _nearest(name: str, known: set[str]) -> str:
    """Names that there are, those that are most like a name first, and how many more."""
    alike = difflib.get_close_matches(name, sorted(known), n=_NAMED, cutoff=0.0)
    more = len(known) - len(alike)
    return (", ".join(alike) or "none") + (f" and {more} more" if more > 0 else "")


def _named(noun: str, names: list[str]) -> str:
    verb = "is" if len(names) == 1 else "are"
    plural = "" if len(names) == 1 else "s"
    return f"{noun}{plural} {', '.join(names)} {verb}"
