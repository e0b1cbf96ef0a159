"""The screen of ``atoll top``, from the documented JSON."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from atoll.report.comparison_table import demand_name
from atoll.report.numbers import amount, counted, money

Json = Mapping[str, Any]

_WIDE = 104
"""Columns from which on there is room for the bar and the price of tokens."""

_WIDEST = 132
"""Columns from which on there is room for the GPU kinds too."""

_BAR = 10
_STATE = 18
_MESSAGES = 6


def top_screen(report: Json) -> RenderableType:
    """Fleet, demands, moves, masks."""
    return Group(*_head(report), _Demands(report), *_moves(report), *_masks(report), *_messages(report))


def _head(report: Json) -> Iterator[RenderableType]:
    fleet = report["fleet"]
    yield Text.assemble(
        ("Fleet ", "bold"),
        (fleet["name"], "bold"),
        f"  {fleet['mode']}  ",
        _ready(fleet["state"]),
        f"  {report['time'][11:19]} UTC",
    )
    if not fleet["plan"]:
        yield Text("No plan is in force yet.", style="yellow")
    else:
        cost = Text.assemble((f"{money(fleet['costPerHour'])} $/h", "bold green"))
        cost.append(f"  bound {money(fleet['lowerBoundPerHour'])} $/h, gap {100 * fleet['gap']:.2f} %")
        if (paid := fleet["listCostPerHour"] - fleet["costPerHour"]) >= 0.005:
            cost.append(f"; beside {money(paid)} $/h paid for anyway")
        if fleet["budgetPerHour"] is not None:
            over = fleet["costPerHour"] > fleet["budgetPerHour"]
            cost.append(f"  budget {money(fleet['budgetPerHour'])} $/h", style="bold red" if over else "")
        if fleet["shortfall"] > 0.0:
            cost.append(f"  {amount(fleet['shortfall'])} requests/s short", style="bold red")
        yield cost
        yield Text.assemble(
            f"Plan {fleet['plan']} {fleet['phase']}",
            (f", a rollback to {fleet['rollbackOf']}" if fleet["rollbackOf"] else "", "yellow"),
            f"  {fleet['nodesReady']} of {counted(fleet['nodes'], 'node')} Ready, "
            f"{fleet['gpusHeld']} of {counted(fleet['gpus'], 'GPU')} held",
        )
    if fleet["waitsForApproval"]:
        name = fleet["waitsForApproval"]
        yield Text(f"FleetPlan {name} waits: kubectl atoll plan, then kubectl atoll approve {name}", style="yellow")


class _Demands:
    """One row per demand; wider terminals get a bar and the price of tokens."""

    def __init__(self, report: Json) -> None:
        self.items = report["demands"]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As rich asks for it: the width is known only now."""
        del console
        if not self.items:
            yield Text("No ModelDemand yet.", style="yellow")
            return
        wide, kinds_too = options.max_width >= _WIDE, options.max_width >= _WIDEST
        table = Table(header_style="bold", box=SIMPLE_HEAD)
        table.add_column("Demand", overflow="ellipsis", no_wrap=True)
        titles = [
            "Wanted/s",
            "Carries/s",
            *([""] if wide else []),
            "Replicas",
            "$/h",
            *(["$/M tokens"] if wide else []),
        ]
        rows = [[*_numbers(item, wide=wide)] for item in self.items]
        for title, cells in zip(titles, zip(*rows, strict=True), strict=True):
            least = max(len(title), *(len(cell) for cell in cells))
            table.add_column(title, justify="right", no_wrap=True, min_width=least)
        states = max(len("State"), *(len(_ready(item["state"])) for item in self.items))
        table.add_column("State", overflow="ellipsis", no_wrap=True, min_width=min(states, _STATE))
        if kinds_too:
            table.add_column("GPUs", overflow="ellipsis", no_wrap=True)
        for item, row in zip(self.items, rows, strict=True):
            kinds = [", ".join(item["gpuKinds"])] if kinds_too else []
            table.add_row(demand_name(item), *row, _ready(item["state"]), *kinds)
        yield table


def _numbers(item: Json, *, wide: bool) -> Iterator[Text]:
    yield Text(amount(item["demandRate"]))
    yield Text(amount(item["servedRate"]), style=_carries(item))
    if wide:
        yield _bar(item)
    yield Text(f"{item['readyReplicas']}/{item['replicas']}")
    yield Text(money(item["costPerHour"]))
    if wide:
        tokens = item["costPerMillionTokens"]
        yield Text("-" if tokens is None else f"{tokens:.3f}")


def _carries(item: Json) -> str:
    return "green" if item["servedRate"] >= item["demandRate"] * (1.0 - 1e-6) else "red"


def _bar(item: Json) -> Text:
    """How much of what is carried is asked for; full where no more could be."""
    wanted, carried = item["demandRate"], item["servedRate"]
    share = min(1.0, wanted / carried) if carried > 0.0 else (1.0 if wanted > 0.0 else 0.0)
    full = round(_BAR * share)
    return Text.assemble(("█" * full, _carries(item)), ("░" * (_BAR - full), "dim"))


def _ready(state: Json) -> Text:
    if state["ready"] is None:
        return Text(state["message"], style="dim")
    return Text(state["reason"], style="green" if state["ready"] else "yellow")


def _moves(report: Json) -> Iterator[Text]:
    for item in report["moves"]:
        parts = [f"{item[what]} {what}" for what in ("pending", "starting", "draining", "stopping") if item[what]]
        yield Text.assemble(("Moving ", "bold"), f"{demand_name(item)}: {', '.join(parts)}")


def _masks(report: Json) -> Iterator[Text]:
    for item in report["masks"]:
        text = f"{item['offering']} until {item['until'][11:16]} UTC: {item['why']}"
        yield Text.assemble(("Masked ", "bold yellow"), text)


def _messages(report: Json) -> Iterator[Text]:
    """Why demands are not Ready; some of them."""
    waiting = [item for item in report["demands"] if item["state"]["ready"] is False]
    for item in waiting[:_MESSAGES]:
        yield Text.assemble((f"{demand_name(item)}: ", "yellow"), item["state"]["message"])
    if len(waiting) > _MESSAGES:
        yield Text(f"{len(waiting) - _MESSAGES} more are not Ready: kubectl atoll why-pending", style="yellow")
