"""The cost of a plan for the terminal, from the documented JSON: a report read from a pipe prints the same."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from atoll.report.apportion import apportioned
from atoll.report.numbers import amount, money

Json = Mapping[str, Any]
Rows = Sequence[Mapping[str, str]]

_CENT = 0.005
_TITLES = {
    "served-model": "Served model",
    "namespace": "Namespace",
    "gpu-kind": "GPU kind",
    "pool": "Pool",
}
_NAMED = 5
TOKENS = (
    "Spot: share of the requests/s. $/M in, out, all: the whole $/h for each million input, output and all tokens, at "
    "mean lengths and the requests/s served: three readings of one cost, not to be added."
)


def cost_table(report: Json) -> RenderableType:
    """One row per group and the total, then budget, comparison, shortfall, faults and what was assumed."""
    return Group(_Groups(report), *(Text(text, style=style) for text, style in cost_summary(report)))


def title(report: Json) -> str:
    """What the groups are: heading of the first column."""
    by = str(report["by"])
    return _TITLES.get(by, by.removeprefix("label="))


def cells(report: Json) -> tuple[dict[str, str], ...]:
    """Groups and then the total as people read them, by column; the cents of a column add up to those of its total.

    The list price is there only where it is another than the cost.
    """
    total = report["total"]
    rows = [*report["groups"], {**total, "name": "Total"}]
    costs, lists = (_cents(report, name) for name in ("costPerHour", "listCostPerHour"))
    listed = abs(total["listCostPerHour"] - total["costPerHour"]) >= _CENT
    return tuple(
        {
            title(report): "Total" if index == len(rows) - 1 else name_of(row, report),
            "$/h": costs[index],
            **({"List $/h": lists[index]} if listed else {}),
            "Share": _share(row["share"]),
            "Req/s": amount(row["requestsPerSecond"]),
            "GPUs": f"{row['gpus']:,}",
            "Spot": _share(row["spotShare"], digits=0),
            "$/M in": _price(row["costPerMillionInputTokens"]),
            "out": _price(row["costPerMillionOutputTokens"]),
            "all": _price(row["costPerMillionTokens"]),
        }
        for index, row in enumerate(rows)
    )


def name_of(row: Json, report: Json) -> str:
    """Name of a group, as `atoll plan` names demands; in brackets where it is of what has none."""
    if row["name"] is None:
        return f"(no {title(report)})" if str(report["by"]).startswith("label=") else "(held by none)"
    return str(row["name"]).removeprefix("default/") if report["by"] == "served-model" else str(row["name"])


def cost_summary(report: Json) -> Iterator[tuple[str, str]]:
    """Sentences below the table, each with its style."""
    total = report["total"]
    paid = total["listCostPerHour"] - total["costPerHour"]
    if paid >= _CENT:
        beside = f"{money(paid)} $/h for owned and reserved ones, which is paid anyway"
        yield f"$/h is what these nodes cost beside {beside}; list $/h is both.", ""
    if (budget := report["budget"]) is not None:
        yield _budget(budget)
    if (rival := report["baseline"]["oneKindPerModel"]) is not None:
        yield _against(rival, report)
    if (booked := report["account"]) is not None:
        yield _account(booked)
    if total["shortfall"] > 0.0:
        yield f"Shortfall {amount(total['shortfall'])} requests/s{_short(report)}", "bold red"
    for fault in report["faults"]:
        where = f"{fault['field']}: " if fault["field"] else ""
        yield f"{fault['object']}: {fault['reason']}: {where}{fault['message']}", "red"
    yield TOKENS, "dim"
    for line in report["assumptions"]:
        yield f"Assumed: {line}", "dim"


class _Groups:
    """A table, or a block for each group where the terminal is too narrow for one."""

    def __init__(self, report: Json) -> None:
        self.rows = cells(report)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As rich asks for it: the width is known only now."""
        table = _table(self.rows)
        if Measurement.get(console, options.update(max_width=10_000), table).minimum <= options.max_width:
            yield table
            yield Text("")
        else:
            yield from _blocks(self.rows)


def _table(rows: Rows) -> Table:
    table = Table(header_style="bold", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    for index, name in enumerate(rows[0]):
        table.add_column(name, justify="right" if index else "left", no_wrap=True)
    for row in rows[:-1]:
        table.add_row(*row.values())
    table.add_section()
    table.add_row(*rows[-1].values(), style="bold")
    return table


def _blocks(rows: Rows) -> Iterator[RenderableType]:
    for row in rows:
        (_, name), *rest = row.items()
        yield Text(name, style="bold")
        found = dict(rest)
        tokens = [found.pop(key) for key in ("$/M in", "out", "all")]
        money_line = ", ".join(f"{found.pop(key)} {key.lower()}" for key in ("$/h", "List $/h") if key in found)
        for line in (
            f"{money_line}, {found['Share']} of the fleet",
            f"{found['Req/s']} requests/s, {found['GPUs']} GPUs, {found['Spot']} on spot",
            "$/M tokens: {} in, {} out, {} all".format(*tokens),
        ):
            yield Padding(Text(line), (0, 0, 0, 2), expand=False)
        yield Text("")


def _cents(report: Json, name: str) -> list[str]:
    """A column of money, its total last."""
    total = round(report["total"][name] * 100)
    parts = apportioned(total, [row[name] for row in report["groups"]])
    return [money(cents / 100) for cents in (*parts, total)]


def _share(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f}%"


def _price(value: float | None) -> str:
    """US$ per million tokens: to the cent, below a dime to two significant digits."""
    if value is None:
        return "-"
    return money(value) if value >= 0.1 or value == 0.0 else amount(value)


def _short(report: Json) -> str:
    """The groups that fall short, most first."""
    rows = sorted((row for row in report["groups"] if row["shortfall"]), key=lambda row: -row["shortfall"])
    named = ", ".join(f"{name_of(row, report)} {amount(row['shortfall'])}" for row in rows[:_NAMED])
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    return f": {named}{more}" if rows else ""


def _budget(budget: Json) -> tuple[str, str]:
    left, used = budget["leftPerHour"], _share(budget["usedShare"])
    text = f"Budget {money(budget['perHour'])} $/h: {used} used, "
    if budget["over"]:
        return f"{text}{money(-left)} $/h over it", "bold red"
    return f"{text}{money(left)} $/h left", "green"


def _account(booked: Json) -> tuple[str, str]:
    text = f"Since {booked['began']}, as planned: {money(booked['spent'])} $ spent"
    if booked["comparedHours"] <= 0.0:
        return text, ""
    hours = f"{amount(booked['comparedHours'])} h compared with one GPU kind per served model"
    return f"{text}, {money(booked['saved'])} $ saved in {hours}", "green" if booked["saved"] > 0.0 else ""


def _against(rival: Json, report: Json) -> tuple[str, str]:
    price, saved = rival["costPerHour"], rival["savedPerHour"]
    text = f"Best with one GPU kind per served model {money(price)} $/h"
    if rival["shortfall"] > 0.0:
        text += f" and {amount(rival['shortfall'])} requests/s short"
    more = rival["shortfall"] - report["total"]["shortfall"]
    if abs(saved) < _CENT:
        return f"{text}: nothing is saved, it costs as much", ""
    if saved < 0.0:
        why = "it serves less" if more > 1e-6 else "it keeps less of the limits, or this plan needs a longer deadline"
        return f"{text}: {money(-saved)} $/h less than this plan; {why}", "" if more > 1e-6 else "yellow"
    return f"{text}: {money(saved)} $/h saved ({_share(saved / price)})", "green"
