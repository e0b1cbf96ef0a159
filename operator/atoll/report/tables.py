"""Tables for the terminal, by rich, from a report's documented JSON: a report read from a pipe prints the same."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from atoll.domain.reason import Reason
from atoll.report.numbers import amount, counted, money

Json = Mapping[str, Any]

NARROW = 80
"""Columns below which a demand is a block of lines instead of a row."""

_LEAST_STRATEGY = 20
"""Columns that strategies need in a row; where long names leave fewer, demands are blocks too."""

_NAMED = 3
"""Demands that are named where many are short for one reason."""


def plan_table(report: Json) -> RenderableType:
    """One row per served model demand, then what the fleet costs and how good that is proven to be."""
    if not report["demands"]:  # nothing was planned: only what is at fault
        return Group(*_faults(report))
    return Group(_Demands(report), *_summary(report))


class _Demands:
    """What each demand gets: a table, or a block each where the terminal is narrow."""

    def __init__(self, report: Json) -> None:
        self.items = report["demands"]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As rich asks for it: the width is known only now."""
        del console
        room = options.max_width - sum(self._widths()) - 3 * 5
        if options.max_width < NARROW or room < _LEAST_STRATEGY:
            yield from _blocks(self.items)
        else:
            yield _rows(self.items)

    def _widths(self) -> Iterator[int]:
        """Of all columns but that of strategies."""
        for cells in (
            ["Demand", *map(_name, self.items)],
            ["Requests/s", *(str(_rate(item)) for item in self.items)],
            ["GPUs", *(line for item in self.items for line in _gpus(item))],
            ["$/h", *(money(item["costPerHour"]) for item in self.items)],
        ):
            yield max(map(len, cells))


def _rows(items: list[Json]) -> Table:
    table = Table(header_style="bold", box=SIMPLE_HEAD)
    table.add_column("Demand", no_wrap=True)
    table.add_column("Requests/s", justify="right", no_wrap=True)
    table.add_column("Replicas by strategy", overflow="fold")
    table.add_column("GPUs", no_wrap=True)
    table.add_column("$/h", justify="right", no_wrap=True)
    for item in items:
        table.add_row(_name(item), _rate(item), _strategies(item), "\n".join(_gpus(item)), money(item["costPerHour"]))
    return table


def _blocks(items: list[Json]) -> Iterator[RenderableType]:
    for item in items:
        yield Text.assemble((_name(item), "bold"))
        yield Padding(
            Text.assemble(_rate(item), f" requests/s, {money(item['costPerHour'])} $/h"), (0, 0, 0, 2), expand=False
        )
        if gpus := _gpus(item):
            yield Padding(Text(", ".join(gpus)), (0, 0, 0, 2), expand=False)
        yield Padding(_strategies(item), (0, 0, 1, 2), expand=False)


def _summary(report: Json) -> list[RenderableType]:
    lines: list[RenderableType] = [_cost(report)]
    if not report["boundIsUseful"]:
        text = "No useful lower bound was proven in time: how good this is, is not known. Give the solve longer "
        lines.append(Text(f"{text}(--deadline, or spec.solve.deadline of the Fleet).", style="yellow"))
    rival = report["baseline"]["oneKindPerModel"]
    if rival is not None:
        lines.append(_against(rival, report))
    if report["deadlineSeconds"] is not None:
        lines.append(_times(report))
    lines.extend(_unkept(report))
    lines.extend(_shortfalls(report))
    lines.extend(_faults(report))
    lines.extend(Text(f"Assumed: {line}", style="dim") for line in report["assumptions"])
    return lines


def _unkept(report: Json) -> Iterator[Text]:
    """Soft limits; the budget once, for it is of the fleet and no demand is nearer to blame."""
    if report["overBudget"]:
        costs = f"{money(report['costPerHour'])} of {money(report['budgetPerHour'])} $/h"
        mend = "raise spec.budgetPerHour of the Fleet, or lower a demand"
        yield Text(f"{Reason.OVER_BUDGET}: {costs}: {mend}", style="yellow")
    for item in report["demands"]:
        for sentence in item["unkept"]:
            if not (report["overBudget"] and sentence.startswith(Reason.OVER_BUDGET)):
                yield Text(f"{_name(item)}: {sentence}", style="yellow")


def _faults(report: Json) -> Iterator[Text]:
    if report["faults"]:
        yield Text(f"{counted(len(report['faults']), 'fault')} in what was given:", style="bold red")
    for fault in report["faults"]:
        where = f"{fault['field']}: " if fault["field"] else ""
        yield Text(f"{fault['object']}: {fault['reason']}: {where}{fault['message']}", style="red")


def _cost(report: Json) -> Text:
    text = Text.assemble(("Fleet ", "bold"), (f"{money(report['costPerHour'])} $/h", "bold green"))
    if report["boundIsUseful"]:
        condition = " given the shortfalls" if report["conditional"] else ""
        bound = money(report["lowerBoundPerHour"])
        text.append(f", proven lower bound {bound} $/h{condition}, gap {100 * report['gap']:.2f} %")
    if (paid := report["listCostPerHour"] - report["costPerHour"]) >= 0.005:
        text.append(f"; beside {money(paid)} $/h for owned and reserved nodes in use")
    return text


def _against(rival: Json, report: Json) -> Text:
    cost, price = report["costPerHour"], rival["costPerHour"]
    text = f"Best with one GPU kind per served model {money(price)} $/h"
    more = rival["shortfall"] - sum(report["shortfall"].values())
    if rival["shortfall"] > 0.0:
        text = f"{text}, and that is {amount(rival['shortfall'])} requests/s short"
    elif cost > 0.0:
        text = f"{text}, {price / cost:.2f} times as much" if abs(price / cost - 1.0) >= 0.005 else f"{text}, the same"
    if more <= 1e-6 and price < report["lowerBoundPerHour"] * (1.0 - 1e-6):  # so it lacks what comes before cost
        return Text(f"{text}: cheaper because it keeps less of priorities, limits, budget or preference")
    if more <= 1e-6 and price < cost * (1.0 - 1e-6):
        return Text(f"{text}: cheaper than this plan, which needs a longer deadline", style="yellow")
    return Text(text)


def _times(report: Json) -> Text:
    """What the deadline covers, and what comes on top of it."""
    spent = f"Stage two took {report['solveSeconds']:.1f} s"
    deadline = f"deadline {amount(report['deadlineSeconds'])} s, for stage two alone"
    comparison = "" if report["baselineSeconds"] is None else f", the comparison {report['baselineSeconds']:.1f} s"
    return Text(f"{spent} ({deadline}); stage one took {report['stageOneSeconds']:.1f} s{comparison}", style="dim")


def _shortfalls(report: Json) -> Iterator[Text]:
    total = sum(report["shortfall"].values())
    if total <= 0.0:
        return
    yield Text(f"Shortfall {amount(total)} requests/s", style="bold red")
    told = {fault["object"] for fault in report["faults"]}
    short: dict[str, list[Json]] = {}
    for item in report["demands"]:
        if item["shortfall"] > 0.0 and f"ModelDemand {item['namespace']}/{item['name']}" not in told:
            short.setdefault(item["shortfallReason"], []).append(item)
    for reason, items in short.items():
        more = f" and {len(items) - _NAMED:,} more" if len(items) > _NAMED else ""
        names = ", ".join(map(_name, items[:_NAMED]))
        yield Text(f"{names}{more}: {amount(sum(item['shortfall'] for item in items))} short: {reason}", style="red")


def _name(item: Json) -> str:
    return str(item["name"]) if item["namespace"] == "default" else f"{item['namespace']}/{item['name']}"


def _rate(item: Json) -> Text:
    if item["shortfall"] > 0.0:
        return Text(f"{amount(item['rate'] - item['shortfall'])} of {amount(item['rate'])}", style="red")
    return Text(amount(item["rate"]))


def _strategies(item: Json) -> Text:
    counts: Counter[str] = Counter()
    for replicas in item["replicas"]:
        counts[replicas["strategy"]] += replicas["count"]
    lines = [f"{counted(count, 'replica')}: {strategy}" for strategy, count in counts.items()]
    return Text("\n".join(lines) or "none", style="red" if item["shortfall"] > 0.0 and not lines else "")


def _gpus(item: Json) -> list[str]:
    """In the order of the strategies that stand beside them."""
    counts: Counter[str] = Counter()
    for replicas in item["replicas"]:
        for stage in replicas["stages"]:
            counts[stage["gpuKind"]] += replicas["tp"] * replicas["count"]
    return [f"{count:,} {kind}" for kind, count in counts.items()]
