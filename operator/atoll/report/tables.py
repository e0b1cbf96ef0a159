"""Tables for the terminal, by rich, from a report's documented JSON: a report read from a pipe prints the same."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Json = Mapping[str, Any]


def plan_table(report: Json) -> RenderableType:
    """One row per served model demand, then what the fleet costs and how good that is proven to be."""
    table = Table(header_style="bold", box=SIMPLE_HEAD)
    table.add_column("Demand", no_wrap=True)
    table.add_column("Requests/s", justify="right")
    table.add_column("Replicas by strategy", overflow="fold")
    table.add_column("GPUs", no_wrap=True)
    table.add_column("$/h", justify="right")
    for item in report["demands"]:
        table.add_row(_name(item), _rate(item), _strategies(item), _gpus(item), f"{item['costPerHour']:.2f}")
    planned = {f"{item['namespace']}/{item['name']}" for item in report["demands"]}
    for key, shortfall in sorted(report["shortfall"].items()):
        if key not in planned:
            left_out = Text(f"0 of {shortfall:g}", style="red")
            table.add_row(key.removeprefix("default/"), left_out, Text("not served", style="red"), "", "0.00")
    return Group(table, *_summary(report))


def _summary(report: Json) -> list[RenderableType]:
    condition = " given the shortfalls" if report["conditional"] else ""
    cost, bound = report["costPerHour"], report["lowerBoundPerHour"]
    lines: list[RenderableType] = [
        Text.assemble(
            ("Fleet ", "bold"),
            (f"{cost:.2f} $/h", "bold green"),
            f", proven lower bound {bound:.2f} $/h{condition}, gap {100 * report['gap']:.2f} %",
        )
    ]
    rival = report["baseline"]["oneKindPerModel"]
    if rival is not None:
        lines.append(_against(rival, cost))
    lines.extend(
        Text(f"{_name(item)}: not kept: {', '.join(item['unmet'])}", style="yellow")
        for item in report["demands"]
        if item["unmet"]
    )
    shortfall = sum(report["shortfall"].values())
    if shortfall > 0.0:
        lines.append(Text(f"Shortfall {shortfall:.3g} requests/s", style="bold red"))
    for fault in report["faults"]:
        where = f"{fault['field']}: " if fault["field"] else ""
        lines.append(Text(f"{fault['object']}: {fault['reason']}: {where}{fault['message']}", style="red"))
    lines.extend(Text(f"Assumed: {line}", style="dim") for line in report["assumptions"])
    return lines


def _against(rival: Json, cost: float) -> Text:
    text = f"Best with one GPU kind per served model {rival['costPerHour']:.2f} $/h"
    if rival["shortfall"] > 0.0:
        return Text(f"{text}, and that is {rival['shortfall']:.3g} requests/s short")
    return Text(f"{text}, {rival['costPerHour'] / cost if cost else 1.0:.2f} times as much")


def _name(item: Json) -> str:
    return str(item["name"]) if item["namespace"] == "default" else f"{item['namespace']}/{item['name']}"


def _rate(item: Json) -> Text:
    if item["shortfall"] > 0.0:
        return Text(f"{item['rate'] - item['shortfall']:.3g} of {item['rate']:g}", style="red")
    return Text(f"{item['rate']:g}")


def _strategies(item: Json) -> str:
    counts: Counter[str] = Counter()
    for replicas in item["replicas"]:
        counts[replicas["strategy"]] += replicas["count"]
    return (
        "\n".join(f"{count} replica{'s' if count > 1 else ''}: {strategy}" for strategy, count in counts.items())
        or "none"
    )


def _gpus(item: Json) -> str:
    counts: Counter[str] = Counter()
    for replicas in item["replicas"]:
        for stage in replicas["stages"]:
            counts[stage["gpuKind"]] += replicas["tp"] * replicas["count"]
    return "\n".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
