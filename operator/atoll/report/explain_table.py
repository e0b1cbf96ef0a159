"""An explanation for the terminal, from the documented JSON: a report read from a pipe reads the same."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from atoll.domain.explanation import Basis, Bind
from atoll.report.numbers import amount, counted, money

Json = Mapping[str, Any]

_CENT = 0.005
_PLACES = 3
_FIELDS = {
    Bind.SPOT_SHARE: "placement.spotShare",
    Bind.MIN_REPLICAS: "placement.minReplicas",
    Bind.MIN_DOMAINS: "placement.minDomains",
    Bind.SURVIVE: "placement.survive",
    Bind.PREFERENCE: "placement.preference",
    Bind.REGIONS: "placement.regions",
    Bind.CAPACITY_TYPES: "placement.capacityTypes",
    Bind.BUDGET: "the Fleet's budgetPerHour",
    Bind.QUOTA: "the namespace's GPU quota",
}
_RESOLVED = "Solved again: a plan was found with this one change; the figure is that of the plan."
_PRICES = (
    "From prices: at the prices of a relaxation, which counts nodes in parts. 'At least' is proven; the rest is an "
    "estimate."
)

_ESTIMATE = "Estimate: what the best strategy would serve on a node of its own, and the price of that node."


def explain_text(report: Json) -> RenderableType:
    """What the demand runs as, what else it could run as, what one more node is worth, and what binds."""
    return Group(
        *_head(report),
        *_block("Runs as", _runs(report["replicas"])),
        *_block("Instead, for half of it or more", map(_instead, report["alternatives"])),
        *_block("One more node of", map(_worth, report["worths"])),
        *_block("What binds", map(_binds, report["bindings"])),
        *_legend(report),
        *_faults(report),
    )


def _head(report: Json) -> Iterator[Text]:
    name = report["name"] if report["namespace"] == "default" else f"{report['namespace']}/{report['name']}"
    cost = f"{money(report['costPerHour'])} of the fleet's {money(report['fleetCostPerHour'])} $/h"
    if report["shortfall"] > 0.0:
        served = f"{amount(report['rate'] - report['shortfall'])} of {amount(report['rate'])} requests/s"
        yield Text.assemble((name, "bold"), "  ", (served, "red"), f", {cost}")
        if report["shortfallReason"]:
            yield Text(f"Falls short: {report['shortfallReason']}", style="red")
    else:
        yield Text.assemble((name, "bold"), f"  {amount(report['rate'])} requests/s, {cost}")
    if not report["alternatives"]:
        yield Text(f"Why: {report['reason']}" if report["reason"] else "No reason is kept.")


def _block(title: str, items: Iterator[tuple[str, str]]) -> Iterator[RenderableType]:
    """A heading and its items: a line of what it is, and below it what is to be said of it."""
    lines = list(items)
    if lines:
        yield Text("")
        yield Text(title, style="bold")
    for first, second in lines:
        yield Padding(Text(first), (0, 0, 0, 2), expand=False)
        if second:
            yield Padding(Text(second), (0, 0, 0, 6), expand=False)


def _runs(replicas: Sequence[Json]) -> Iterator[tuple[str, str]]:
    """Each strategy once, with all places of its replicas."""
    for name in dict.fromkeys(item["strategy"] for item in replicas):
        own = [item for item in replicas if item["strategy"] == name]
        count = sum(item["count"] for item in own)
        places = list(dict.fromkeys(place for item in own for place in item["offerings"]))
        more = f" and {len(places) - _PLACES} more" if len(places) > _PLACES else ""
        each = "" if count == 1 else " each"
        where = f"{amount(own[0]['rate'])} requests/s{each} on {', '.join(places[:_PLACES])}{more}"
        yield f"{counted(count, 'replica')}: {name}", where


def _instead(item: Json) -> tuple[str, str]:
    price = item["winsBelow"]
    text = _more(item)
    if price is not None:
        text += (
            f"; wins if a node of {price['offering']} fell below {money(price['belowPerHour'])} $/h "
            f"(now {money(price['pricePerHour'])})"
        )
    return f"{counted(item['replicas'], 'replica')}: {item['strategy']}", text


def _more(item: Json) -> str:
    more, least = item["morePerHour"], item["leastPerHour"]
    if item["basis"] == Basis.RESOLVED:
        if abs(more) < _CENT:
            return "as much (solved again)"
        if more < 0.0:
            return f"{money(-more)} $/h less (solved again): not worth a move, or not found in time"
        return f"{money(more)} $/h more (solved again)"
    if more < _CENT:
        return "about as much (from prices)"
    if least < _CENT:
        return f"about {money(more)} $/h more (from prices)"
    return f"at least {money(least)} $/h more (from prices)"


def _worth(item: Json) -> tuple[str, str]:
    held = f"{item['obtainable']:,} of {item['obtainable']:,} in use" if item["obtainable"] else "none to be had"
    title, solved = f"{item['offering']} ({held})", item["basis"] == Basis.RESOLVED
    saves, most = item["savesPerHour"], item["mostPerHour"]
    if item["serves"] > 0.0:
        if not solved:
            return (
                title,
                f"could carry up to {amount(item['serves'])} requests/s more, for {money(-saves)} $/h (estimate)",
            )
        word = "more" if saves <= 0.0 else "less"
        return (
            title,
            f"serves {amount(item['serves'])} requests/s more for {money(abs(saves))} $/h {word} (solved again)",
        )
    text = f"saves {money(saves)} $/h ({'solved again' if solved else 'from prices'})"
    if solved and most is not None and _CENT <= most - saves <= saves:
        text += f"; no plan saves more than {money(most)}"
    return title, text


def _binds(item: Json) -> tuple[str, str]:
    limit, saves = item["limit"], item["savesPerHour"]
    if limit == Bind.AVAILABILITY:
        return "availability: no more nodes can be had of what it runs on, or would", ""
    name = _FIELDS[Bind(limit)]
    if saves is None:
        return f"{name}: cannot be kept, or leaves it short", ""
    return f"{name}: without it the fleet would cost {money(saves)} $/h less (solved again)", ""


def _legend(report: Json) -> Iterator[Text]:
    items = [*report["alternatives"], *report["worths"]]
    guessed = [item for item in items if item["basis"] == Basis.PRICES]
    if items:
        yield Text("")
    if len(guessed) < len(items):
        yield Text(_RESOLVED, style="dim")
    if any(not item.get("serves") for item in guessed):
        yield Text(_PRICES, style="dim")
    if any(item.get("serves") for item in guessed):
        yield Text(_ESTIMATE, style="dim")


def _faults(report: Json) -> Iterator[Text]:
    for fault in report["faults"]:
        where = f"{fault['field']}: " if fault["field"] else ""
        yield Text(f"{fault['object']}: {fault['reason']}: {where}{fault['message']}", style="red")
