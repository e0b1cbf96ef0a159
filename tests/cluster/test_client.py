"""The client against an API server of a few lines: what is sent, and what is never sent."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from atoll.cluster.access import Access, AccessError
from atoll.cluster.client import Client
from atoll.cluster.errors import ConflictError, ThrottledError, TooLargeError, UnauthorizedError, UnavailableError
from atoll.cluster.throttle import TokenBucket
from atoll.domain.objects import CONFIG_MAP, Delete, Reference, Scale

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "team", "name": "x"}, "data": {"a": "1"}}
TARGET = Reference(kind="ConfigMap", namespace="team", name="x")
Answer = tuple[int, dict[str, Any]]


class FakeServer:
    """Answers from a queue, or the last one again, and remembers what was asked."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.answers: list[Answer] = [(200, {})]
        self.headers: dict[str, str] = {}
        self.seen: list[web.BaseRequest] = []
        self.bodies: list[Any] = []

    async def answer(self, request: web.BaseRequest) -> web.Response:
        text = await request.text()
        self.seen.append(request)
        self.bodies.append(json.loads(text) if text else None)
        status, content = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.json_response(content, status=status, headers=self.headers)

    def write_token(self, port: int, token: str) -> None:
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        self.kubeconfig.write_text(json.dumps(content), encoding="utf-8")


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeServer]:
    fake = FakeServer(tmp_path / "kubeconfig")
    runner = web.ServerRunner(web.Server(fake.answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.write_token(runner.addresses[0][1], "secret")
    yield fake
    await runner.cleanup()


@pytest_asyncio.fixture
async def client(server: FakeServer) -> AsyncIterator[Client]:
    client = Client(Access(kubeconfig=server.kubeconfig))
    yield client
    await client.close()


async def test_a_list_is_read_page_by_page_and_its_items_say_what_they_are(client: Client, server: FakeServer) -> None:
    server.answers = [
        (200, {"metadata": {"continue": "next", "resourceVersion": "9"}, "items": [{"metadata": {"name": "a"}}]}),
        (200, {"metadata": {"resourceVersion": "9"}, "items": [{"metadata": {"name": "b"}}]}),
    ]
    listing = await client.list(CONFIG_MAP, labels="k=v")
    assert [(item["kind"], item["metadata"]["name"]) for item in listing.items] == [
        ("ConfigMap", "a"),
        ("ConfigMap", "b"),
    ]
    assert listing.resource_version == "9"
    assert [request.query.get("continue") for request in server.seen] == [None, "next"]
    assert {request.query["labelSelector"] for request in server.seen} == {"k=v"}
    assert server.seen[0].headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize("there", [True, False])
async def test_whether_an_object_is_there_is_asked_of_the_server_by_a_list_of_one(
    client: Client, server: FakeServer, there: bool
) -> None:
    server.answers = [(200, {"items": [{"metadata": {"name": "n"}}] if there else []})]
    assert await client.exists(Reference(kind="Node", name="n")) is there
    (request,) = server.seen
    assert (request.path, request.query["fieldSelector"]) == ("/api/v1/nodes", "metadata.name=n")
    assert "resourceVersion" not in request.query, "an old answer could come from a watch cache"


async def test_what_is_not_there_is_none(client: Client, server: FakeServer) -> None:
    server.answers = [(404, {"reason": "NotFound"})]
    assert await client.get(TARGET) is None


async def test_a_creation_is_a_post_with_our_field_manager(client: Client, server: FakeServer) -> None:
    await client.create(CONFIG)
    (request,) = server.seen
    assert (request.method, request.path) == ("POST", "/api/v1/namespaces/team/configmaps")
    assert dict(request.query) == {"fieldManager": "atoll"}


async def test_an_apply_names_the_one_object_that_it_may_change(client: Client, server: FakeServer) -> None:
    server.answers = [(200, CONFIG)]
    await client.apply(CONFIG, uid="u", resource_version="7")
    (request,) = server.seen
    assert (request.method, request.path) == ("PATCH", "/api/v1/namespaces/team/configmaps/x")
    assert dict(request.query) == {"fieldManager": "atoll", "force": "true"}
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert server.bodies[0]["metadata"] == {"namespace": "team", "name": "x", "uid": "u", "resourceVersion": "7"}
    assert "uid" not in CONFIG["metadata"]


async def test_fields_set_at_creation_become_ours_to_remove(client: Client, server: FakeServer) -> None:
    created = {"manager": "atoll", "operation": "Update", "fieldsV1": {"f:data": {"f:a": {}, "f:gone": {}}}}
    applied = {"manager": "atoll", "operation": "Apply", "fieldsV1": {"f:data": {"f:a": {}}}}
    foreign = {"manager": "kubectl", "operation": "Update", "fieldsV1": {}}
    metadata = {**CONFIG["metadata"], "uid": "u", "resourceVersion": "8"}
    mixed = {**CONFIG, "metadata": {**metadata, "managedFields": [created, foreign, applied]}}
    clean = {**CONFIG, "metadata": {**metadata, "resourceVersion": "9"}}
    server.answers = [(200, mixed), (200, clean), (200, clean)]
    await client.apply(CONFIG, uid="u", resource_version="7")
    assert [request.method for request in server.seen] == ["PATCH"] * 3
    adoption = server.bodies[1]["metadata"]
    assert adoption == {"resourceVersion": "8", "managedFields": [{**created, "operation": "Apply"}, foreign]}
    assert server.bodies[2]["metadata"] == {**CONFIG["metadata"], "uid": "u"}


async def test_a_scale_and_a_deletion_carry_what_was_seen(client: Client, server: FakeServer) -> None:
    target = Reference(kind="Deployment", namespace="team", name="x")
    await client.scale(Scale(target=target, uid="u", resource_version="7", replicas=3, why=""))
    await client.delete(Delete(target=target, uid="u", resource_version="7", why="", force=True))
    scale, deletion = server.bodies
    assert server.seen[0].path == "/apis/apps/v1/namespaces/team/deployments/x/scale"
    assert (scale["metadata"]["uid"], scale["metadata"]["resourceVersion"], scale["spec"]) == (
        "u",
        "7",
        {"replicas": 3},
    )
    assert deletion["preconditions"] == {"uid": "u", "resourceVersion": "7"}
    assert (deletion["propagationPolicy"], deletion["gracePeriodSeconds"]) == ("Background", 0)


@pytest.mark.parametrize(("kind", "kibibytes"), [("ConfigMap", 900), ("FleetPlan", 256)])
async def test_an_object_beyond_its_limit_is_never_sent(
    client: Client, server: FakeServer, kind: str, kibibytes: int
) -> None:
    large = {"kind": kind, "metadata": {"name": "x"}, "data": {"a": "ü" * (kibibytes * 512)}}
    with pytest.raises(TooLargeError, match=f"create {kind} x: .* at most {kibibytes} KiB"):
        await client.create(large)
    assert not server.seen


async def test_a_write_is_not_sent_when_the_lease_ran_out_unless_it_is_about_the_lease(
    client: Client, server: FakeServer
) -> None:
    client.write_seconds = lambda: 0.0
    with pytest.raises(UnavailableError, match="not sent"):
        await client.create(CONFIG)
    assert not server.seen
    await client.create(CONFIG, urgent=True)
    assert len(server.seen) == 1


async def test_a_throttled_write_holds_those_after_it(server: FakeServer) -> None:
    bucket = TokenBucket()
    client = Client(Access(kubeconfig=server.kubeconfig), bucket=bucket, clock=lambda: 100.0)
    server.answers, server.headers = [(429, {"message": "slow down"})], {"Retry-After": "30"}
    with pytest.raises(ThrottledError, match="create ConfigMap team/x"):
        await client.create(CONFIG)
    assert bucket.take(100.0) == 30
    await client.close()


async def test_refused_credentials_are_read_again_once(client: Client, server: FakeServer) -> None:
    refused: Answer = (401, {"reason": "Unauthorized"})
    server.answers = [refused, (200, CONFIG)]
    assert await client.get(TARGET) == CONFIG
    server.answers = [refused]
    with pytest.raises(UnauthorizedError):
        await client.get(TARGET)
    assert len(server.seen) == 4


async def test_a_conflict_names_the_object(client: Client, server: FakeServer) -> None:
    server.answers = [(409, {"reason": "AlreadyExists", "message": "it is there"})]
    with pytest.raises(ConflictError, match="create ConfigMap team/x: 409 AlreadyExists: it is there"):
        await client.create(CONFIG)


async def test_an_answer_that_is_no_object_is_an_outage(client: Client, server: FakeServer) -> None:
    server.answers = [(200, [1])]  # type: ignore[list-item]
    with pytest.raises(UnavailableError, match="get ConfigMap team/x: the answer is no object"):
        await client.get(TARGET)


@pytest.mark.parametrize(
    ("access", "message"),
    [
        (lambda folder: Access(kubeconfig=folder / "none"), "no such file"),
        (lambda _: Access(), "service account of this pod"),
        (lambda folder: Access(kubeconfig=_written(folder / "k", "[]")), "cannot read credentials"),
        (lambda folder: Access(kubeconfig=_written(folder / "k", "a: {{")), "cannot read credentials"),
    ],
)
async def test_missing_credentials_are_said_with_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, access: Callable[[Path], Access], message: str
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(AccessError, match=message):
        await access(tmp_path).configuration()


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
