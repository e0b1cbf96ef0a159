"""The operator's edge on a real API server: what it writes, who may write, and that its cache follows."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
import yaml

from atoll.cluster.access import Access
from atoll.cluster.client import Client
from atoll.cluster.discovery import missing_kinds, missing_permissions, needed_permissions, server_version
from atoll.cluster.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError, UnavailableError
from atoll.cluster.events import EventMemory
from atoll.cluster.execute import Result, execute
from atoll.cluster.lease import LeaseTerms
from atoll.domain.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    FLEET,
    OUR_KINDS,
    PERFORMANCE_PROFILE,
    POD,
    SERVICE,
    Apply,
    ApplyStatus,
    Delete,
    Emit,
    EventType,
    Kind,
    Reference,
    Scale,
    reference,
)
from atoll.handlers.cache import Cache
from atoll.handlers.leader import Leader
from atoll.handlers.metrics import Metrics
from atoll.handlers.watch import CACHED, Watch, WatchEndedError
from atoll.handlers.writer import Writer
from atoll.local.api import Api
from atoll.local.controlplane import ControlPlane

pytestmark = pytest.mark.timeout(900)

SYSTEM = "atoll-system"
NAMESPACE = "edge"
MANAGED = {"app.kubernetes.io/managed-by": "atoll"}
LASTING = LeaseTerms(duration=180.0, renew_deadline=120.0)
"""A Lease that outlasts a restart of the API server, also where that takes a minute."""

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEFINITIONS = Path(__file__).parent.parent / "crds"


async def until(condition: Callable[[], Any], *, what: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        await asyncio.sleep(0.05)


def deployment(name: str, *, replicas: int = 0, **labels: str) -> dict[str, Any]:
    container = {"name": "engine", "image": "engine", "env": [{"name": key, "value": "1"} for key in labels]}
    return {
        "apiVersion": DEPLOYMENT.api_version,
        "kind": DEPLOYMENT.name,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {**MANAGED, **labels}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    }


def config(name: str, text: str = "a") -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": MANAGED}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": text}}


def service(name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": MANAGED}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}}


def apply_definition(api: Api, plural: str) -> None:
    definition = yaml.safe_load((DEFINITIONS / f"{plural}.yaml").read_text(encoding="utf-8"))
    api.apply(f"{CRD}/{definition['metadata']['name']}", definition)


@pytest_asyncio.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Client]:
    """A client of the operator's user on a cluster with our definitions, and a namespace to play in."""
    with control_plane.api() as api:
        for name in (NAMESPACE, SYSTEM):
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            api.apply(f"/api/v1/namespaces/{name}", namespace)
        for kind in OUR_KINDS:
            apply_definition(api, kind.plural)
    client = Client(Access(kubeconfig=control_plane.operator_kubeconfig))
    while await missing_kinds(client):  # noqa: ASYNC110  # only the API server knows when it serves them
        await asyncio.sleep(0.05)
    yield client
    for kind in (DEPLOYMENT, CONFIG_MAP, SERVICE):
        for item in (await client.list(kind, labels="app.kubernetes.io/managed-by=atoll")).items:
            if item["metadata"]["namespace"] == NAMESPACE:
                await client.delete(
                    Delete(target=reference(item), uid=item["metadata"]["uid"], resource_version="", why="test ended")
                )
    await client.close()


async def settled(client: Client, target: Reference) -> dict[str, Any]:
    """A Deployment once its controller writes to it no more."""
    while True:
        live = await client.get(target)
        assert live is not None
        if any(c.get("reason") == "NewReplicaSetAvailable" for c in live.get("status", {}).get("conditions") or ()):
            return live
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def watching(client: Client, **given: Any) -> AsyncIterator[tuple[Cache, list[Kind], Watch]]:
    woken: list[Kind] = []
    watch = Watch(client=client, cache=Cache(), wake=woken.append, namespace=SYSTEM, **given)
    stop = asyncio.Event()
    task = asyncio.create_task(watch.run(stop))
    try:
        yield watch.cache, woken, watch
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


async def test_the_api_server_is_understood(client: Client) -> None:
    assert (await server_version(client)).streams_lists
    assert await missing_kinds(client) == ()
    assert await missing_permissions(client, needed_permissions(SYSTEM, "atoll-operator", "atoll-router")) == ()


async def test_applying_the_same_twice_writes_once(client: Client) -> None:
    created = await client.create(config("x"))
    uid = created["metadata"]["uid"]
    first = await client.apply(config("x"), uid=uid)
    again = await client.apply(config("x"), uid=uid, resource_version=first["metadata"]["resourceVersion"])
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_a_field_that_was_set_at_creation_can_be_removed(client: Client) -> None:
    created = await client.create(deployment("x", kept="1", gone="1"))
    changed = await client.apply(deployment("x", kept="1"), uid=created["metadata"]["uid"])
    assert "gone" not in changed["metadata"]["labels"]
    (container,) = changed["spec"]["template"]["spec"]["containers"]
    assert [variable["name"] for variable in container["env"]] == ["kept"]
    ours = [entry for entry in changed["metadata"]["managedFields"] if entry["manager"] == "atoll"]
    assert [(entry["operation"], entry.get("subresource")) for entry in ours] == [("Apply", None)]


async def test_nothing_is_written_to_an_object_that_is_not_the_one_that_was_seen(client: Client) -> None:
    created = await client.create(deployment("x"))
    target, uid = reference(created), created["metadata"]["uid"]
    other = "00000000-0000-0000-0000-000000000000"
    for attempt in (
        client.create(deployment("x", replicas=9)),
        client.apply(deployment("x", replicas=9), uid=uid, resource_version="1"),
        client.apply(deployment("x", replicas=9), uid=other),
        client.apply(deployment("never-there", replicas=9), uid=other),
        client.scale(Scale(target=target, uid=uid, resource_version="1", replicas=9, why="")),
        client.scale(Scale(target=target, uid=other, resource_version="", replicas=9, why="")),
        client.delete(Delete(target=target, uid=uid, resource_version="1", why="")),
        client.delete(Delete(target=target, uid=other, resource_version="", why="")),
    ):
        with pytest.raises(ConflictError, match=f"Deployment {NAMESPACE}/"):
            await attempt
    live = await client.get(target)
    assert live is not None
    assert live["spec"]["replicas"] == 0
    assert await client.get(Reference(kind="Deployment", namespace=NAMESPACE, name="never-there")) is None


async def test_a_scale_and_a_deletion_of_what_was_seen_are_done(client: Client) -> None:
    created = await client.create(deployment("x"))
    target, uid = reference(created), created["metadata"]["uid"]
    for attempt in range(10):
        version = (await settled(client, target))["metadata"]["resourceVersion"]
        try:
            await client.scale(Scale(target=target, uid=uid, resource_version=version, replicas=2, why=""))
        except ConflictError:  # its controller wrote once more
            assert attempt < 9, "it is written again and again"
        else:
            break
    live = await client.get(target)
    assert live is not None
    assert live["spec"]["replicas"] == 2
    await client.delete(Delete(target=target, uid=uid, resource_version="", why=""))
    with pytest.raises(NotFoundError):
        await client.delete(Delete(target=target, uid=uid, resource_version="", why=""))


async def test_one_refused_object_stops_no_other_and_an_event_is_told_once(client: Client) -> None:
    bad = deployment("bad") | {"spec": {}}
    emit = Emit(
        target=Reference(kind=FLEET.name, name="default"),
        uid="u",
        type=EventType.NORMAL,
        reason=f"Edge{time.time_ns()}",
        message="hello",
    )
    actions = [Apply(intent=bad, why=""), Apply(intent=deployment("good"), why=""), emit, emit]
    outcomes = await execute(actions, client, may_write=lambda: True, memory=EventMemory())
    assert [o.result for o in outcomes] == [Result.FAILED, Result.DONE, Result.DONE, Result.SKIPPED]
    assert f"create Deployment {NAMESPACE}/bad: 422 Invalid" in outcomes[0].error
    again = await execute([emit], client, may_write=lambda: True, memory=EventMemory())
    assert [o.result for o in again] == [Result.STALE]  # after a restart the event is there already


async def test_a_name_that_kubernetes_refuses_is_invalid(client: Client) -> None:
    with pytest.raises(InvalidError, match=r"create ConfigMap edge/No!: 422"):
        await client.create(config("No!"))


def older_definition() -> dict[str, Any]:
    """Of a Fleet, before it told what it costs for whom."""
    definition: dict[str, Any] = yaml.safe_load((DEFINITIONS / "fleets.yaml").read_text(encoding="utf-8"))
    del definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["costs"]
    return definition


async def test_what_an_older_definition_lacks_holds_nothing_else_up(
    client: Client, control_plane: ControlPlane
) -> None:
    class Holds:
        def may_write(self) -> bool:
            return True

    fleet = {"apiVersion": FLEET.api_version, "kind": FLEET.name, "metadata": {"name": "older"}, "spec": {}}
    created = await client.create(fleet)
    uid = created["metadata"]["uid"]

    def status(demands: int, cost: float) -> ApplyStatus:
        costs = [{"by": "namespace", "value": "team-a", "demands": demands, "costPerHour": cost}]
        intent = {**fleet, "status": {"demands": demands, "costs": costs}}
        return ApplyStatus(intent={key: value for key, value in intent.items() if key != "spec"}, live_uid=uid)

    cache = Cache()
    cache.observe_write(created)
    writer = Writer(client=client, leader=cast("Leader", Holds()), cache=cache, metrics=Metrics())

    async def written(demands: int, cost: float) -> dict[str, Any]:
        await writer.write([status(demands, cost)])
        found = await client.get(reference(fleet))
        assert found is not None
        return found

    cost = 1.0
    try:
        with control_plane.api() as api:
            api.apply(f"{CRD}/fleets.atoll.dev", older_definition())
            while not writer.pruned.fields():  # the API server takes a moment to know of its own definition
                cost += 1.0
                first = await written(1, cost)
                await asyncio.sleep(0.05)
        assert writer.pruned.fields() == ("Fleet status.costs",)
        assert "costs" not in first["status"]
        again = await written(1, cost + 1.0)
        assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        assert (await written(2, cost))["status"] == {"demands": 2}
    finally:
        with control_plane.api() as api:
            apply_definition(api, FLEET.plural)
        whole = False
        while not whole:
            with contextlib.suppress(UnavailableError):
                whole = "costs" in (await client.apply_status(status(3, cost).intent, uid=uid))["status"]
        await client.delete(Delete(target=reference(fleet), uid=uid, resource_version="", why="test ended"))


async def test_of_two_operators_one_leads_and_the_other_takes_over_when_it_is_released(
    control_plane: ControlPlane, client: Client
) -> None:
    lost: list[str] = []
    other = Client(Access(kubeconfig=control_plane.operator_kubeconfig))
    leaders = [
        Leader(each, identity=name, namespace=SYSTEM, on_loss=lost.append, terms=LASTING)
        for each, name in ((client, "one"), (other, "two"))
    ]
    tasks = [asyncio.create_task(leader.run()) for leader in leaders]
    await until(lambda: any(leader.may_write() for leader in leaders), what="one leads")
    first, second = sorted(leaders, key=Leader.may_write, reverse=True)
    assert not second.may_write()
    await asyncio.to_thread(control_plane.restart, "kube-apiserver")
    await until(first.may_write, what="the same leads after the API server was restarted")
    assert not second.may_write()
    tasks[leaders.index(first)].cancel()
    await first.release()
    assert not first.may_write()
    await until(second.may_write, what="the other takes over")
    tasks[leaders.index(second)].cancel()
    await second.release()
    assert not lost
    await other.close()


async def test_the_cache_follows_through_a_restart_of_the_api_server(
    control_plane: ControlPlane, client: Client
) -> None:
    async with watching(client) as (cache, woken, watch):
        await until(lambda: cache.synced(CACHED), what="synced")
        assert FLEET in woken
        first = await client.create(service("first"))
        await until(lambda: reference(first) in cache.view()["Service"], what="the new object is seen")
        woken.clear()
        await asyncio.to_thread(control_plane.restart, "kube-apiserver")
        await client.delete(
            Delete(target=reference(first), uid=first["metadata"]["uid"], resource_version="", why="test")
        )
        second = await client.create(service("second"))
        await until(
            lambda: set(cache.view()["Service"]) == {reference(second)},
            what="both changes are seen after the restart",
        )
        assert SERVICE in woken
        assert watch.state.since is not None


async def test_what_vanished_unseen_leaves_the_cache_with_the_next_list(client: Client) -> None:
    async with watching(client, resync_seconds=1.0) as (cache, woken, _):
        await until(lambda: cache.synced(CACHED), what="synced")
        ghost = {"metadata": {"name": "ghost", "namespace": NAMESPACE, "uid": "g", "resourceVersion": "1"}}
        cache.upsert(POD, ghost)
        woken.clear()
        await until(lambda: POD in woken, what="the list removes it")
        assert Reference(kind="Pod", namespace=NAMESPACE, name="ghost") not in cache.view()["Pod"]


async def test_the_watch_tells_of_the_lease(client: Client) -> None:
    leader = Leader(client, identity="one", namespace=SYSTEM, on_loss=lambda _: None)
    async with watching(client) as (_, _woken, watch):
        task = asyncio.create_task(leader.run())
        await until(lambda: watch.state.lease_seen_at is not None, what="the renewal comes back")
        task.cancel()
    await leader.release()


@pytest.mark.usefixtures("client")
async def test_without_permission_it_says_what_is_missing_and_goes_on_when_it_is_granted(
    control_plane: ControlPlane, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kubeconfig = weak_kubeconfig(control_plane, tmp_path)
    weak = Client(Access(kubeconfig=kubeconfig))
    with pytest.raises(ForbiddenError, match="list pods: 403 Forbidden"):
        await weak.list(POD)
    binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/edge"
    async with watching(weak) as (cache, _, _watch):
        await until(lambda: "cannot list, trying again" in caplog.text, what="the refusal is said")
        assert "permissions are missing" in caplog.text
        assert "watch pods" in caplog.text
        grant(control_plane, binding)
        await until(lambda: cache.synced(CACHED), what="it goes on")
    with control_plane.api() as api:
        api.delete(binding)
    await weak.close()


async def test_a_missing_definition_is_waited_for_and_a_deleted_one_ends_the_watch(
    control_plane: ControlPlane, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    path = f"{CRD}/{PERFORMANCE_PROFILE.plural}.atoll.dev"
    with control_plane.api() as api:
        api.delete(path)
        await until(lambda: api.get(path) is None, what="the definition is gone")
        while not await missing_kinds(client):  # noqa: ASYNC110  # what the API server says it serves follows later
            await asyncio.sleep(0.05)
        watch = Watch(client=client, cache=Cache(), wake=lambda _: None, namespace=SYSTEM)
        task = asyncio.create_task(watch.run(asyncio.Event()))
        await until(
            lambda: "not installed: performanceprofiles.atoll.dev" in caplog.text, what="the definition is named"
        )
        assert not task.done()
        apply_definition(api, PERFORMANCE_PROFILE.plural)
        await until(lambda: watch.cache.synced(CACHED), what="it starts by itself")
        api.delete(path)
        with pytest.raises(WatchEndedError, match=r"not installed: performanceprofiles\.atoll\.dev"):
            await asyncio.wait_for(task, 180)
        assert not watch.cache.synced(CACHED)


def weak_kubeconfig(plane: ControlPlane, folder: Path) -> Path:
    """A kubeconfig of a service account that may do nothing."""
    accounts = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts"
    with plane.api() as api:
        api.apply(
            f"{accounts}/edge",
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "edge", "namespace": SYSTEM}},
        )
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = api.create(f"{accounts}/edge/token", request)["status"]["token"]
    content = yaml.safe_load(plane.kubeconfig.read_text(encoding="utf-8"))
    content["users"][0]["user"] = {"token": token}
    path = folder / "weak"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def grant(plane: ControlPlane, path: str) -> None:
    with plane.api() as api:
        api.apply(
            path,
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": "edge"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"kind": "ServiceAccount", "name": "edge", "namespace": SYSTEM}],
            },
        )
