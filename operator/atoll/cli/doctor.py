"""``doctor``: whether a cluster can serve, check by check, each with what to do."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from atoll.api.crd import definition
from atoll.api.v1alpha1.kinds import RESOURCES
from atoll.cli.clusteroptions import AsJson, Context, FleetName, Kubeconfig, access_of
from atoll.cli.exits import Exit
from atoll.cli.output import write
from atoll.cli.screen import drawn
from atoll.cli.seeing import FIELD_MANAGER, see
from atoll.cli.waiting import told
from atoll.cluster.access import Access, AccessError
from atoll.cluster.client import Client
from atoll.cluster.discovery import Permission, missing_kinds, needed_permissions, server_version
from atoll.cluster.errors import ClusterError, ForbiddenError, NotFoundError
from atoll.cluster.lease import NAME as LEASE_NAME
from atoll.domain.objects import EVENT, LEASE, NODE, OUR_KINDS, Kind, ObjectLike
from atoll.domain.reason import Reason
from atoll.reconcile.moments import parse_moment
from atoll.report.doctor import Check, Facts, Result, checks, report_of
from atoll.report.numbers import counted

_NODE_POOL = Kind(api_version="karpenter.sh/v1", name="NodePool", plural="nodepools", namespaced=False)
_LATELY = timedelta(hours=1)
_REFUSALS = {Reason.FORBIDDEN, Reason.WRITE_REFUSED, Reason.OBJECT_TOO_LARGE, "FailedCreate"}

EPILOG = """Examples:

  kubectl atoll doctor

  kubectl atoll doctor --operator-user system:serviceaccount:atoll-system:atoll-operator

  kubectl atoll doctor --json | jq '.checks[] | select(.result == "Failed")'

It only reads and asks. What you may not see yourself is skipped and says so.

Exit codes: 0 nothing failed, warnings or not; 1 something failed; 2 usage."""

_STYLES = {Result.OK: "green", Result.WARNING: "yellow", Result.FAILED: "bold red", Result.SKIPPED: "dim"}


def doctor(
    fleet: FleetName = "default",
    *,
    operator_user: Annotated[
        str,
        typer.Option(metavar="NAME", help="User that the operator is known as; default: its pod's service account."),
    ] = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    as_json: AsJson = False,
) -> None:
    """Examine a cluster that does not work: resources, operator, permissions, pools, nodes, router, and what to do."""
    access = access_of(kubeconfig, context)
    with told() as tell:
        tell("Asking the cluster …")
        found = asyncio.run(_examined(access, fleet, operator_user))
    report = report_of(found)
    write(f"{json.dumps(report, indent=2)}\n" if as_json else drawn(_drawn(found)))
    raise typer.Exit(Exit.OK if report["healthy"] else Exit.ERROR)


def _drawn(found: Sequence[Check]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for item in found:
        said = Text(item.says)
        if item.mend and item.result in {Result.FAILED, Result.WARNING}:
            said.append(f"\nto do: {item.mend}", style="bold")
        table.add_row(Text(item.result.value, style=_STYLES[item.result]), Text(item.name, style="bold"), said)
    counts = {result: sum(item.result is result for item in found) for result in Result}
    verdict = (
        Text(f"{counted(counts[Result.FAILED], 'check')} failed", style="bold red")
        if counts[Result.FAILED]
        else Text("Nothing is wrong that could be seen", style="green")
    )
    if counts[Result.WARNING]:
        verdict.append(f", {counted(counts[Result.WARNING], 'warning')}", style="yellow")
    if counts[Result.SKIPPED]:
        verdict.append(f", {counts[Result.SKIPPED]} skipped", style="dim")
    return Group(table, Text(), verdict)


async def _examined(access: Access, fleet: str, operator_user: str) -> list[Check]:
    client = Client(access, field_manager=FIELD_MANAGER)
    try:
        return await _examine(client, fleet, operator_user)
    except AccessError as error:
        mend = "name a kubeconfig with --kubeconfig, or a context that it has with --context"
        return [Check(name="API server", result=Result.FAILED, says=str(error), mend=mend)]
    finally:
        await client.close()


async def _examine(client: Client, fleet: str, operator_user: str) -> list[Check]:
    try:
        version = await server_version(client)
        missing = await missing_kinds(client)
    except ClusterError as error:
        mend = "see that `kubectl version` answers with the same kubeconfig and context"
        return [Check(name="API server", result=Result.FAILED, says=str(error), mend=mend)]
    found = [Check(name="API server", result=Result.OK, says=f"answers, Kubernetes {version.text}")]
    if missing:
        names = ", ".join(kind.name for kind in missing)
        mend = "kubectl apply --server-side -f crds/ (helm install does it too)"
        found.append(Check(name="custom resources", result=Result.FAILED, says=f"not installed: {names}", mend=mend))
        return found
    try:
        facts = await _facts(client, fleet, operator_user)
    except ClusterError as error:
        mend = "grant yourself list on Atoll's kinds, nodes, pods, deployments, services and config maps"
        return [*found, Check(name="reading", result=Result.FAILED, says=str(error), mend=mend)]
    return [*found, *checks(facts)]


async def _facts(client: Client, fleet: str, operator_user: str) -> Facts:
    seen = await see(client, fleet, _NODE_POOL)
    leases = await _listed(client, LEASE, fields=f"metadata.name={LEASE_NAME}")
    pod = await _operator_pod(client, leases or ())
    user = operator_user or _user_of(pod)
    namespace = leases[0]["metadata"].get("namespace", "") if leases else "atoll-system"
    return Facts(
        snapshot=seen.snapshot,
        nodes=seen.objects[NODE],
        leases=leases,
        missing_fields=await _missing_fields(client),
        operator_user=user,
        denied=await _denied(client, user, namespace) if user else None,
        karpenter_pools=len(seen.objects[_NODE_POOL]),
        refusals=await _refusals(client, seen.now),
        answers=_answers(pod),
        now=datetime.now(UTC),
    )


async def _listed(client: Client, kind: Kind, *, fields: str) -> tuple[ObjectLike, ...] | None:
    """Objects of a kind; None where we may not see them."""
    try:
        return (await client.list(kind, fields=fields)).items
    except ForbiddenError:
        return None


async def _operator_pod(client: Client, leases: Sequence[ObjectLike]) -> Mapping[str, Any] | None:
    """The pod that holds the Lease, where its name begins the holder's identity."""
    for lease in leases:
        holder = str((lease.get("spec") or {}).get("holderIdentity") or "")
        namespace = lease["metadata"].get("namespace", "")
        name = holder.rpartition("-")[0]
        for candidate in (holder, name):
            if not candidate:
                continue
            try:
                path = f"/api/v1/namespaces/{namespace}/pods/{candidate}"
                return await client.read(path, what=f"get Pod {namespace}/{candidate}")
            except (NotFoundError, ForbiddenError):
                continue
    return None


def _user_of(pod: Mapping[str, Any] | None) -> str:
    if pod is None:
        return ""
    account = (pod.get("spec") or {}).get("serviceAccountName") or "default"
    return f"system:serviceaccount:{pod['metadata']['namespace']}:{account}"


async def _missing_fields(client: Client) -> dict[str, list[str]] | None:
    """Paths of fields that we know and the cluster's definitions do not, by kind; None where we may not read them."""
    found = {}
    for resource in RESOURCES:
        ours = definition(resource)
        name = ours["metadata"]["name"]
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
        try:
            live = await client.read(path, what=f"get CustomResourceDefinition {name}")
        except ForbiddenError:
            return None
        versions = {item["name"]: item for item in live["spec"]["versions"]}
        (wanted,) = ours["spec"]["versions"]
        known = set(_paths((versions.get(wanted["name"]) or {}).get("schema", {}).get("openAPIV3Schema", {})))
        found[resource.kind.name] = sorted(set(_paths(wanted["schema"]["openAPIV3Schema"])) - known)
    return found


def _paths(schema: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    for name, inner in (schema.get("properties") or {}).items():
        path = f"{prefix}.{name}" if prefix else name
        yield path
        yield from _paths(inner, path)
        yield from _paths(inner.get("items") or {}, f"{path}[]")


async def _denied(client: Client, user: str, namespace: str) -> list[str] | None:
    """What a user may not do and the operator must; None where we may not ask."""
    needed = needed_permissions(namespace, LEASE_NAME)
    groups = ["system:authenticated"]
    if user.startswith("system:serviceaccount:"):
        groups += ["system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}"]
    try:
        first, *rest = needed
        answers = [await _may(client, user, groups, first)]  # alone: where we may not ask, once is enough
        answers += await asyncio.gather(*(_may(client, user, groups, item) for item in rest))
    except ForbiddenError:
        return None
    return [str(item) for item, allowed in zip(needed, answers, strict=True) if not allowed]


async def _may(client: Client, user: str, groups: list[str], permission: Permission) -> bool:
    group = permission.kind.api_version.rpartition("/")[0]
    attributes = {
        "verb": permission.verb,
        "group": group,
        "resource": permission.kind.plural,
        "subresource": permission.subresource,
        "namespace": permission.namespace,
        "name": permission.name,
    }
    answer = await client.ask(
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user,
                "groups": groups,
                "resourceAttributes": {key: value for key, value in attributes.items() if value},
            },
        },
        what=f"ask whether {user} may {permission}",
    )
    return bool((answer.get("status") or {}).get("allowed"))


async def _refusals(client: Client, now: datetime) -> list[str]:
    """Messages of late events of ours that say a write was refused."""
    events = await _listed(client, EVENT, fields="type=Warning") or ()
    kinds = {kind.name for kind in OUR_KINDS} | {"ReplicaSet"}
    found: dict[str, None] = {}
    for event in events:
        target = event.get("involvedObject") or {}
        moment = parse_moment(event.get("lastTimestamp") or event.get("eventTime"))
        if event.get("reason") in _REFUSALS and target.get("kind") in kinds and moment and now - moment < _LATELY:
            found[f"{target.get('kind')} {target.get('name')}: {str(event.get('message'))[:200]}"] = None
    return list(found)


def _answers(pod: Mapping[str, Any] | None) -> bool | None:
    """Whether the operator's probes, and so its metrics, answer: its pod is Ready; None where no pod is known."""
    if pod is None:
        return None
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)
