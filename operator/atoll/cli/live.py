"""The screen of `make run`: progress until everything is served, one table, then every change as it happens."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from atoll.local.api import Api
from atoll.local.errors import LocalEnvironmentError
from atoll.local.look import Look, look
from atoll.report.numbers import counted, money
from atoll.report.tables import plan_table

_POLL_SECONDS = 1.0

Baseline = Callable[[], Mapping[str, Any] | None]
"""What is known by now of the best answer with one GPU kind per served model."""


def follow_until_settled(api: Api, console: Console, *, check: Callable[[], None]) -> Look:
    """Show progress until the plan is reached.

    Args:
        api: of the cluster.
        console: to draw on.
        check: raises where waiting on is of no use, such as when the operator has ended.
    """
    began = time.monotonic()
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        while True:
            check()
            seen = _look(api)
            if seen is not None:
                live.update(standings_table(seen, seconds=time.monotonic() - began))
                if seen.settled:
                    return seen
            time.sleep(_POLL_SECONDS)


def follow_changes(api: Api, console: Console, first: Look, *, check: Callable[[], None], baseline: Baseline) -> None:
    """Print what changes, and the table anew when another plan is reached; until interrupted."""
    before, shown = first, first.plan.name if first.plan else ""
    while True:
        time.sleep(_POLL_SECONDS)
        check()
        seen = _look(api)
        if seen is None:
            continue
        for line in changes(before, seen):
            console.print(Text(f"{datetime.now().astimezone():%H:%M:%S}  {line}"))
        if seen.settled and seen.plan is not None and seen.plan.name != shown:
            shown = seen.plan.name
            report = seen.report(baseline())
            if report is not None:
                console.print(plan_table(report))
        before = seen


def changes(before: Look, after: Look) -> list[str]:
    """What differs between two looks, for people: plan, nodes, and how demands stand."""
    lines = []
    old, new = before.plan, after.plan
    if new is not None and (old is None or (old.name, old.phase) != (new.name, new.phase)):
        lines.append(f"plan {new.name} {new.phase}: {money(new.cost_per_hour)} $/h, gap {100 * new.gap:.2f} %")
    gone = sorted(set(before.snapshot.nodes) - set(after.snapshot.nodes))
    come = sorted(set(after.snapshot.nodes) - set(before.snapshot.nodes))
    lines.extend(f"node {name} is gone" for name in gone)
    lines.extend(f"node {name} came: {after.snapshot.nodes[name].offering or 'of no pool'}" for name in come)
    known = {item.name: item for item in before.standings}
    for item in after.standings:
        was = known.pop(item.name, None)
        if was != item and item.reason:
            word = "Ready" if item.ready else item.reason
            lines.append(f"{item.name} {item.ready_replicas}/{item.replicas} {word}: {item.message}")
    lines.extend(f"{name} is deleted" for name in sorted(known))
    return lines


def standings_table(seen: Look, *, seconds: float | None = None) -> RenderableType:
    """How far every demand is; ``seconds`` since the start."""
    since = "" if seconds is None else f"{seconds:.0f} s: "
    table = Table(
        header_style="bold",
        box=SIMPLE_HEAD,
        caption=f"{since}{counted(seen.nodes, 'node')}, {seen.pods[0]} of {seen.pods[1]} engine pods Ready",
        caption_justify="left",
    )
    table.add_column("Demand", no_wrap=True)
    table.add_column("Replicas", justify="right")
    table.add_column("State", overflow="fold")
    for item in seen.standings:
        style = "green" if item.ready else "yellow" if not item.settled else "red"
        table.add_row(
            item.name.removeprefix("default/"),
            f"{item.ready_replicas}/{item.replicas}",
            Text(("Ready" if item.ready else item.reason or "is being planned"), style=style),
        )
    return table


def _look(api: Api) -> Look | None:
    """A look; None while the API server cannot answer."""
    try:
        return look(api)
    except (httpx.TransportError, LocalEnvironmentError):
        return None
