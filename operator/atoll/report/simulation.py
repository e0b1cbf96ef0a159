"""Tables of a played scenario, by rich, from its documented JSON."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from atoll.report.numbers import amount, counted, money

Json = Mapping[str, Any]


def simulation_tables(report: Json) -> RenderableType:
    """What happened under the operator's own decisions, epoch by epoch, then all ways to decide side by side."""
    parts: list[RenderableType] = []
    if report["runs"]:
        parts = [_epochs(report["runs"][0], report["scenario"]), _ways(report["runs"]), _demands(report["runs"])]
        parts += _restless(report["runs"])
    return Group(*parts, *_faults(report))


def _epochs(run: Json, scenario: Json) -> Table:
    rows = run["epochs"]
    shown = list(_eventful(rows))
    caption = f"{len(shown)} of {counted(len(rows), 'epoch')} of {amount(scenario['epochSeconds'])} s are shown: "
    table = Table(
        header_style="bold",
        box=SIMPLE_HEAD,
        title=f"{run['name']} over {scenario['file']}",
        title_justify="left",
        caption=f"{caption}first, last, and those in which something changed",
        caption_justify="left",
    )
    for heading in ("Time", "Demand", "Capacity", "Short", "$/h", "Nodes"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("What happened", overflow="fold")
    for row in shown:
        short = row["shortfall"]
        table.add_row(
            _time(row["seconds"]),
            *(amount(round(row[name], 1)) for name in ("demand", "capacity")),
            Text(amount(round(short, 1)), style="red" if short >= 0.05 else ""),
            money(row["costPerHour"]),
            f"{row['nodes']:,}",
            "; ".join(_happened(row)),
        )
    return table


def _happened(row: Json) -> Iterator[str]:
    if row["lost"]:
        yield f"{counted(row['lost'], 'replica')} lost"
    yield from row["triggers"]
    moves = [f"{row[name]:,} {name}" for name in ("started", "stopped", "moved") if row[name]]
    if moves:
        yield ", ".join(moves)


def _eventful(rows: list[Json]) -> Iterator[Json]:
    before = None
    for number, row in enumerate(rows):
        short = row["shortfall"] > 0.01 * row["demand"]
        changed = row["planChanges"] or row["lost"] or short != before
        if changed or number in {0, len(rows) - 1}:
            yield row
        before = short


def _ways(runs: list[Json]) -> Table:
    """One row for each way to decide."""
    table = Table(header_style="bold", box=SIMPLE_HEAD)
    table.add_column("Way to decide", no_wrap=True)
    for heading in ("$", "$/h", "Served", "Changes", "Started", "Moved", "Lost"):
        table.add_column(heading, justify="right", no_wrap=True)
    for run in runs:
        total = run["totals"]
        table.add_row(
            run["name"],
            money(total["cost"]),
            money(total["costPerHour"]),
            _share(total["servedShare"]),
            *(f"{total[name]:,}" for name in ("planChanges", "started", "moved", "lost")),
        )
    return table


def _demands(runs: list[Json]) -> Table:
    """Served shares of each demand, highest priority first."""
    table = Table(header_style="bold", box=SIMPLE_HEAD)
    table.add_column("Served share", overflow="fold")
    table.add_column("Priority", justify="right", no_wrap=True)
    for run in runs:
        table.add_column(run["name"], justify="right")
    by_way = [{(item["namespace"], item["name"]): item for item in run["demands"]} for run in runs]
    for key, item in sorted(by_way[0].items(), key=lambda pair: (-pair[1]["priority"], pair[0])):
        name = key[1] if key[0] == "default" else "/".join(key)
        table.add_row(name, str(item["priority"]), *(_share(way[key]["servedShare"]) for way in by_way))
    return table


def _restless(runs: list[Json]) -> Iterator[Text]:
    for run in runs:
        if run["totals"]["restless"]:
            moments = counted(run["totals"]["restless"], "moment")
            yield Text(f"{run['name']}: at {moments} the operator's writes came to no end: a defect", style="red")


def _faults(report: Json) -> Iterator[Text]:
    for fault in report["faults"]:
        where = f"{fault['field']}: " if fault["field"] else ""
        yield Text(f"{fault['object']}: {fault['reason']}: {where}{fault['message']}", style="red")


def _share(share: float) -> Text:
    return Text(f"{100.0 * share:.2f} %", style="red" if share < 0.9995 else "")


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
