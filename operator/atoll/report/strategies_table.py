"""Stage one's answer for the terminal, from the documented JSON."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from atoll.report.numbers import amount, counted, money

Json = Mapping[str, Any]

_WIDE = 120
"""Columns from which a strategy is a row; below it is two lines, so that nothing is squeezed."""


def strategies_table(report: Json, *, most: int) -> RenderableType:
    """A block for each demand: how many strategies there are, and the first ``most`` of those that the report holds."""
    return Group(*(part for item in report["demands"] for part in _demand(item, most)), *_faults(report))


def _demand(item: Json, most: int) -> Iterator[RenderableType]:
    name = item["name"] if item["namespace"] == "default" else f"{item['namespace']}/{item['name']}"
    yield Text.assemble((name, "bold"), f"  {item['architecture']}")
    yield Text(
        f"TTFT at most {amount(item['ttftObjectiveSeconds'])} s, TPOT at most "
        f"{amount(1e3 * item['tpotObjectiveSeconds'])} ms, both at percentile {item['percentile']:g}",
        style="dim",
    )
    yield _Strategies(item["strategies"][:most])
    yield Text(_told(item, most), style="dim")
    yield from _pair(item)
    yield Text("")


def _told(item: Json, most: int) -> str:
    text = f"{counted(item['kept'], 'strategy')} kept" if item["kept"] == 1 else f"{item['kept']:,} strategies kept"
    text += f", {item['dominated']:,} dominated by them, {item['tooSlow']:,} too slow"
    hidden = len(item["strategies"]) - most
    return f"{text}; {hidden:,} more not shown (--top)" if hidden > 0 else text


def _pair(item: Json) -> Iterator[Text]:
    """The cheapest prefill and decode strategies that pair, where there are any: what both cost for the same tokens."""
    sides: dict[str, dict[str, Json]] = {}
    for each in item["strategies"]:
        price = each["pricePerMillionOutputTokens"]
        if each["verdict"] == "Kept" and each["phase"] and price is not None:
            pair = sides.setdefault(each["variant"], {})
            if each["phase"] not in pair or price < pair[each["phase"]]["pricePerMillionOutputTokens"]:
                pair[each["phase"]] = each
    whole = [pair for pair in sides.values() if len(pair) > 1]
    if whole:
        best = min(whole, key=_of_both)
        prefill, decode = best["Prefill"], best["Decode"]
        yield Text(
            f"cheapest pair: {money(_of_both(best))} $/M out, {prefill['strategy']} with {decode['strategy']}",
            style="dim",
        )


def _of_both(pair: Mapping[str, Json]) -> float:
    return sum(float(side["pricePerMillionOutputTokens"]) for side in pair.values())


class _Strategies:
    """Rows in a wide terminal, two lines each in others."""

    def __init__(self, items: list[Json]) -> None:
        self.items = items

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As rich asks for it: the width is known only now."""
        del console
        if options.max_width >= _WIDE:
            yield _rows(self.items)
        else:
            yield from _blocks(self.items)


def _rows(items: list[Json]) -> Table:
    table = Table(header_style="bold", box=SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    table.add_column("Strategy", overflow="fold")
    for title in ("$/M out", "$/h", "Requests/s", "TTFT s", "TPOT ms"):
        table.add_column(title, justify="right", no_wrap=True)
    for title in ("Limit", "Source", "Verdict"):
        table.add_column(title, no_wrap=True)
    for item in items:
        table.add_row(
            _mark(item),
            item["strategy"],
            _price(item["pricePerMillionOutputTokens"]),
            _price(item["pricePerHour"]),
            amount(item["rate"]),
            f"{item['ttftSeconds']:.2f}",
            f"{1e3 * item['tpotSeconds']:.1f}",
            item["limit"],
            _source(item),
            item["verdict"],
        )
    return table


def _blocks(items: list[Json]) -> Iterator[RenderableType]:
    for item in items:
        yield Text(f"{_mark(item)} {item['strategy']}")
        price = _price(item["pricePerMillionOutputTokens"])
        lines = (
            f"{amount(item['rate'])} requests/s, {price} $/M out, {_price(item['pricePerHour'])} $/h",
            f"TTFT {item['ttftSeconds']:.2f} s, TPOT {1e3 * item['tpotSeconds']:.1f} ms, limit {item['limit']}, "
            f"{_source(item)}" + ("" if item["verdict"] == "Kept" else f", {item['verdict']}"),
        )
        yield Padding(Text("\n".join(lines), style="" if item["verdict"] == "Kept" else "dim"), (0, 0, 0, 4))


def _mark(item: Json) -> str:
    return "*" if item["frontier"] else " "


def _price(value: float | None) -> str:
    return "-" if value is None else money(value)


def _source(item: Json) -> str:
    return f"{item['source']} ±{100 * item['expectedError']:.0f} %"


def _faults(report: Json) -> Iterator[Text]:
    for fault in report["faults"]:
        where = f"{fault['field']}: " if fault["field"] else ""
        yield Text(f"{fault['object']}: {fault['reason']}: {where}{fault['message']}", style="red")
    if any(item["strategies"] for item in report["demands"]):
        yield Text(
            "* frontier: no other kept strategy is as fast for less. $/M out: per million tokens of answers, for the "
            "GPUs of a replica at the prices of the cheapest zone.",
            style="dim",
        )
        yield Text(_sure(report["rateConfidence"]), style="dim")


def _sure(confidence: float) -> str:
    if confidence <= 1.0 / 2.0:
        return "Rates are as estimated, without a margin (Fleet spec.solve.rateConfidence): half of them are too high."
    return (
        f"Replicas of a strategy deliver its rate with probability {100 * confidence:.0f} % (Fleet "
        "spec.solve.rateConfidence): steps are taken slower than estimated, the more the larger the expected error (±)."
    )
