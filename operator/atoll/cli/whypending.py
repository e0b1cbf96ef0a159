"""``why-pending``: from a ModelDemand that is not served to the thing that is in the way, and the mend."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
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
from atoll.cli.exits import Exit
from atoll.cli.explain import chosen
from atoll.cli.inforce import failed
from atoll.cli.output import write
from atoll.cli.screen import drawn
from atoll.cli.seeing import Seen, asked, see
from atoll.cluster.client import Client
from atoll.cluster.errors import ForbiddenError
from atoll.domain.demand import DemandKey
from atoll.domain.objects import EVENT, MODEL_DEMAND, POD, Kind, ObjectLike
from atoll.reconcile.ownership import fleet_of
from atoll.report.numbers import counted
from atoll.report.pending import SCHEMA_VERSION, Chain, Evidence, State, pending_chain, waiting_pods

NODE_CLAIM = Kind(api_version="karpenter.sh/v1", name="NodeClaim", plural="nodeclaims", namespaced=False)

EPILOG = """Examples:

  kubectl atoll why-pending   # every demand that is not served

  kubectl atoll why-pending team-a/chat

  kubectl atoll why-pending chat -n team-a --json | jq .demands[0].cause

It follows the chain from the ModelDemand over Fleet, FleetPlan and Deployment to pods, their events and Karpenter's
NodeClaims, up to the first thing that is wrong.

Exit codes: 0 told, or everything is served; 1 the cluster cannot be asked; 2 usage."""

_STYLES = {State.OK: "green", State.WAITS: "yellow", State.WRONG: "red"}


def why_pending(
    demand: Annotated[
        str, typer.Argument(metavar="DEMAND", help="ModelDemand; default: all that are not served.")
    ] = "",
    fleet: FleetName = "default",
    *,
    namespace: Namespace = "",
    all_namespaces: AllNamespaces = False,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    as_json: AsJson = False,
) -> None:
    """Tell why a demand is not served: the chain of what was seen, the cause, and what to do."""
    only_one_scope(namespace, everywhere=all_namespaces)
    access = access_of(kubeconfig, context)
    seen, chains = asked(access, lambda client: _chains(client, fleet, demand, namespace))
    waiting = [chain for chain in chains if demand or chain.cause is not None]
    if as_json:
        listing = {"schemaVersion": SCHEMA_VERSION, "demands": [chain.as_json() for chain in waiting]}
        write(f"{json.dumps(listing, indent=2)}\n")
    elif waiting:
        write(drawn(Group(*(_drawn(chain.as_json()) for chain in waiting))))
    elif chains:
        write(f"{counted(len(chains), 'ModelDemand')} of Fleet {seen.snapshot.fleet.name}: all are served\n")
    else:
        raise failed(f"Fleet {fleet!r} has no ModelDemand{f' in namespace {namespace!r}' if namespace else ''}")
    raise typer.Exit(Exit.OK)


async def _chains(client: Client, fleet: str, demand: str, namespace: str) -> tuple[Seen, list[Chain]]:
    seen = await see(client, fleet, NODE_CLAIM)
    keys = [key for key in _keys(seen, fleet) if namespace in ("", key.namespace)]
    if demand:
        keys = [chosen(demand, keys)]
    waiting = {place for key in keys for place in waiting_pods(seen.snapshot, key)}
    pods = {(raw["metadata"].get("namespace", ""), raw["metadata"]["name"]): raw for raw in seen.objects[POD]}
    uids = [pods[place]["metadata"]["uid"] for place in sorted(waiting) if place in pods]
    found = await asyncio.gather(*(_events(client, uid) for uid in uids))
    events: dict[str, list[ObjectLike]] = defaultdict(list)
    for uid, items in zip(uids, found, strict=True):
        events[uid].extend(items)
    evidence = Evidence(pods=pods, events=events, node_claims=seen.objects[NODE_CLAIM], now=seen.now)
    return seen, [pending_chain(seen.snapshot, key, evidence) for key in keys]


async def _events(client: Client, uid: str) -> Iterable[ObjectLike]:
    """Events of one object; none where we may not read them."""
    try:
        return (await client.list(EVENT, fields=f"involvedObject.uid={uid}")).items
    except ForbiddenError:
        return ()


def _keys(seen: Seen, fleet: str) -> Iterator[DemandKey]:
    """All ModelDemands of the Fleet, also those that cannot be understood."""
    for raw in seen.objects[MODEL_DEMAND]:
        if fleet_of(raw) == fleet and not raw["metadata"].get("deletionTimestamp"):
            yield DemandKey(namespace=raw["metadata"].get("namespace", ""), name=raw["metadata"]["name"])


def _drawn(report: dict[str, Any]) -> RenderableType:
    name = f"{report['namespace']}/{report['name']}".removeprefix("default/")
    lines: list[RenderableType] = [Text(name, style="bold")]
    chain = Table.grid(padding=(0, 2))
    for link in report["links"]:
        state = State(link["state"])
        chain.add_row("", Text(state.value.lower(), style=_STYLES[state]), Text(f"{link['object']}: {link['says']}"))
    lines.append(chain)
    cause = report["cause"]
    if cause is None:
        lines.append(Padding(Text("Nothing is in the way: it is served.", style="green"), (0, 0, 1, 0)))
        return Group(*lines)
    lines.append(Text.assemble(("Because ", "bold"), f"{cause['object']}: {cause['says']}"))
    mend = cause["mend"] or "nothing: it goes on by itself"
    lines.append(Padding(Text.assemble(("To do: ", "bold"), mend), (0, 0, 1, 0)))
    return Group(*lines)
