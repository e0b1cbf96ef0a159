"""``top``: the fleet at a glance, live on a terminal."""

import asyncio
import json
import sys
from contextlib import nullcontext
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from atoll.cli.clusteroptions import (
    AllNamespaces,
    AsJson,
    Context,
    FleetName,
    Kubeconfig,
    Namespace,
    access_of,
    only_one_scope,
)
from atoll.cli.durations import parse_span
from atoll.cli.exits import Exit
from atoll.cli.output import write
from atoll.cli.screen import drawn
from atoll.cli.seeing import asked, look, see
from atoll.cluster.access import Access
from atoll.cluster.client import Client
from atoll.cluster.errors import ClusterError
from atoll.report.top import TopReport
from atoll.report.top_table import top_screen

EPILOG = """Examples:

  kubectl atoll top   # live on a terminal, once in a pipe

  kubectl atoll top -n team-a --once

  kubectl atoll top --json | jq '.demands[] | select(.state.ready != true)'

  kubectl atoll top -w --json   # one JSON object a line, for as long as it runs

Wanted/s is what a demand asks for, Carries/s what its Ready replicas carry within the objectives; the bar is the one
over the other. Ctrl-C ends it.

Exit codes: 0 told; 1 the cluster cannot be asked; 2 usage."""


def top(
    fleet: FleetName = "default",
    *,
    namespace: Namespace = "",
    all_namespaces: AllNamespaces = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on, also where output is no terminal.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Print once, also on a terminal.")] = False,
    interval: Annotated[str, typer.Option(metavar="DURATION", help="From one look to the next, 500ms to 10m.")] = "2s",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    as_json: AsJson = False,
) -> None:
    """Watch the fleet: cost and proven bound, each demand against what is carried, moves and masked offerings."""
    only_one_scope(namespace, everywhere=all_namespaces)
    if watch and once:
        raise typer.BadParameter("give one of them", param_hint="--watch / --once")
    seconds = parse_span(interval, ("500ms", "10m"), option="--interval")
    access = access_of(kubeconfig, context)
    if watch or (not once and not as_json and sys.stdout.isatty()):
        _follow(access, fleet, namespace, seconds, as_json=as_json)
    else:
        seen = look(access, fleet, own_pods=True)
        report = TopReport(snapshot=seen.snapshot, now=seen.now, namespace=namespace).as_json()
        write(f"{json.dumps(report, indent=2)}\n" if as_json else drawn(top_screen(report)))
    raise typer.Exit(Exit.OK)


def _follow(access: Access, fleet: str, namespace: str, seconds: float, *, as_json: bool) -> None:
    console = Console()
    alive = console.is_terminal and not as_json
    live = Live(console=console, screen=True, auto_refresh=False) if alive else None

    async def follow(client: Client) -> None:
        lost = ""
        while True:
            try:
                seen = await see(client, fleet, own_pods=True)
            except ClusterError as error:
                if not lost and not alive:
                    raise
                lost = str(error)
                if live is not None:
                    live.update(Text(f"The cluster does not answer, trying again: {lost}", style="red"), refresh=True)
            else:
                lost = ""
                report = TopReport(snapshot=seen.snapshot, now=seen.now, namespace=namespace).as_json()
                if live is not None:
                    live.update(top_screen(report), refresh=True)
                else:
                    write(f"{json.dumps(report)}\n" if as_json else drawn(top_screen(report)))
            await asyncio.sleep(seconds)

    with live or nullcontext():
        asked(access, follow)
