"""Two plans side by side for the terminal, from the documented JSON."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from atoll.report.numbers import amount, counted, money

Json = Mapping[str, Any]

_CENT = 0.005


def comparison_table(report: Json) -> RenderableType:
    """What each demand gets before and after, then the sums."""
    return Group(*_changes(report), *_demands(report), *_nodes(report), *comparison_summary(report))


def comparison_summary(report: Json) -> Iterator[RenderableType]:
    """Cost, shortfall, moves and budget, and what is at fault."""
    before, after = report["before"], report["after"]
    yield _cost(report)
    moved = report["replicasStarted"], report["replicasStopped"]
    if any(moved):
        yield Text(f"Moves: {counted(moved[0], 'replica')} to start, {counted(moved[1], 'replica')} to stop")
    else:
        yield Text("Moves: none")
    if before["shortfall"] > 0.0 or after["shortfall"] > 0.0:
        style = "bold red" if after["shortfall"] > 0.0 else "green"
        yield Text(f"Shortfall {amount(before['shortfall'])} → {amount(after['shortfall'])} requests/s", style=style)
        for item in report["demands"]:
            if item["shortfallReason"]:
                short = amount(item["after"]["shortfall"])
                yield Text(f"{demand_name(item)}: {short} short: {item['shortfallReason']}", style="red")
    if report["overBudget"]:
        budget = money(report["budgetPerHour"])
        yield Text(
            f"Over budget: {money(after['costPerHour'])} of {budget} $/h: raise the Fleet's spec.budgetPerHour "
            "or lower a demand",
            style="bold red",
        )
    for fault in after["faults"]:
        where = f"{fault['field']}: " if fault["field"] else ""
        yield Text(f"{fault['object']}: {fault['reason']}: {where}{fault['message']}", style="red")
    for note in report["notes"]:
        yield Text(note, style="dim")


def demand_name(item: Json) -> str:
    """``name``, with its namespace where that is another than ``default``."""
    return str(item["name"]) if item["namespace"] == "default" else f"{item['namespace']}/{item['name']}"


def signed(value: float) -> str:
    """US dollars with their sign, to the cent; ``0.00`` where there is no cent of it."""
    return money(0.0) if abs(value) < _CENT else f"{'+' if value > 0 else '-'}{money(abs(value))}"


def _changes(report: Json) -> Iterator[Text]:
    for line in report["changes"]:
        yield Text.assemble(("What if ", "bold"), line)


def _demands(report: Json) -> Iterator[RenderableType]:
    changed = [item for item in report["demands"] if item["change"] != "Same"]
    same = len(report["demands"]) - len(changed)
    if not changed:
        yield Text(f"{counted(same, 'demand')} unchanged")
        return
    table = Table(header_style="bold", box=SIMPLE_HEAD)
    table.add_column("Demand", overflow="fold")
    table.add_column("Requests/s", justify="right", no_wrap=True)
    table.add_column("$/h", justify="right", no_wrap=True)
    table.add_column("Replicas by strategy", overflow="fold", ratio=1)
    for item in changed:
        table.add_row(_title(item), _rates(item), _costs(item), _strategies(item))
    yield table
    if same:
        yield Text(f"{counted(same, 'demand')} unchanged", style="dim")


def _title(item: Json) -> Text:
    sign, style = {"Added": ("+ ", "green"), "Removed": ("- ", "red")}.get(item["change"], ("", ""))
    return Text(f"{sign}{demand_name(item)}", style=style)


def _served(side: Json | None) -> str:
    if side is None:
        return "-"
    if side["shortfall"] > 0.0:
        return f"{amount(side['rate'] - side['shortfall'])} of {amount(side['rate'])}"
    return amount(side["rate"])


def _rates(item: Json) -> Text:
    before, after = _served(item["before"]), _served(item["after"])
    short = item["after"] is not None and item["after"]["shortfall"] > 0.0
    return Text(before if before == after else f"{before} → {after}", style="red" if short else "")


def _costs(item: Json) -> Text:
    before = item["before"]["costPerHour"] if item["before"] else 0.0
    after = item["after"]["costPerHour"] if item["after"] else 0.0
    if abs(after - before) < _CENT:
        return Text(money(after))
    return Text(f"{money(before)} → {money(after)}", style="yellow" if after > before else "green")


def _strategies(item: Json) -> Text:
    """``+1`` of what there is more of, ``-1`` of what there is less of, ``=1`` of what stays as many."""
    before = {row["strategy"]: row["replicas"] for row in (item["before"] or {}).get("strategies", ())}
    after = {row["strategy"]: row["replicas"] for row in (item["after"] or {}).get("strategies", ())}
    lines, more = [], 0
    for strategy in sorted(before.keys() | after.keys()):
        old, new = before.get(strategy, 0), after.get(strategy, 0)
        more += max(0, new - old)
        sign, style = ("=", "") if old == new else ("+", "green") if new > old else ("-", "red")
        whole = f" (to {new})" if old and new and old != new else ""
        lines.append((f"{sign}{abs(new - old) or new}{whole}: {strategy}", style))
    if elsewhere := item["replicasStarted"] - more:
        lines.append((f"{counted(elsewhere, 'replica')} on other nodes than before", "yellow"))
    if not lines:
        lines.append(("none", "red"))
    return Text("\n").join(Text(line, style=style) for line, style in lines)


def _nodes(report: Json) -> Iterator[Text]:
    for title, sign in (("More nodes", 1), ("Fewer nodes", -1)):
        parts = [
            f"{item['pool']}/{item['zone']}/{item['capacityType']} ({sign * (item['after'] - item['before'])})"
            for item in report["nodes"]
            if sign * (item["after"] - item["before"]) > 0
        ]
        if parts:
            yield Text(f"{title}: {', '.join(parts)}")


def _cost(report: Json) -> Text:
    before, after, more = report["before"], report["after"], report["moreCostPerHour"]
    text = Text.assemble(
        ("Fleet ", "bold"),
        f"{money(before['costPerHour'])} $/h {before['title']} → ",
        (f"{money(after['costPerHour'])} $/h", "bold green"),
        f" {after['title']}: ",
    )
    if abs(more) < _CENT:
        text.append("costs the same")
    else:
        share = f" ({100 * more / before['costPerHour']:+.1f} %)" if before["costPerHour"] > 0.0 else ""
        text.append(f"{signed(more)} $/h{share}", style="yellow" if more > 0 else "green")
    return text
