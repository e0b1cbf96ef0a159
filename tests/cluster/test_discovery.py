from typing import Any

import pytest

from atoll.cluster.discovery import (
    Permission,
    missing_kinds,
    missing_permissions,
    needed_permissions,
    server_version,
)
from atoll.cluster.errors import NotFoundError
from atoll.domain.objects import DEPLOYMENT, FLEET, LEASE, OUR_KINDS, POD


class FakeClient:
    """Answers paths from a table; allows what it is told to."""

    def __init__(self, answers: dict[str, Any] | None = None, allowed: frozenset[str] = frozenset()) -> None:
        self.answers = answers or {}
        self.allowed = allowed
        self.asked: list[dict[str, Any]] = []

    async def read(self, path: str, *, what: str) -> dict[str, Any]:
        if path not in self.answers:
            raise NotFoundError(what)
        found: dict[str, Any] = self.answers[path]
        return found

    async def ask(self, _: str, question: dict[str, Any], *, what: str) -> dict[str, Any]:
        self.asked.append(question["spec"]["resourceAttributes"])
        return {"status": {"allowed": what.removeprefix("ask whether we may ") in self.allowed}}


@pytest.mark.parametrize(
    ("major", "minor", "streams"),
    [("1", "34", True), ("1", "33", False), ("1", "36+", True), ("2", "0", True), ("", "", False)],
)
async def test_lists_are_streamed_from_1_34_on(major: str, minor: str, streams: bool) -> None:
    client = FakeClient({"/version": {"major": major, "minor": minor, "gitVersion": "v"}})
    assert (await server_version(client)).streams_lists is streams  # type: ignore[arg-type]


async def test_kinds_without_a_definition_are_named() -> None:
    names = [{"name": kind.plural} for kind in OUR_KINDS if kind != FLEET]
    client = FakeClient({"/apis/atoll.dev/v1alpha1": {"resources": names}})
    assert await missing_kinds(client) == (FLEET,)  # type: ignore[arg-type]
    assert await missing_kinds(FakeClient()) == OUR_KINDS  # type: ignore[arg-type]


async def test_permissions_that_are_missing_are_said_as_verb_and_resource() -> None:
    scale = Permission(verb="update", kind=DEPLOYMENT, subresource="scale")
    lease = Permission(verb="patch", kind=LEASE, namespace="here", name="it")
    pods = Permission(verb="list", kind=POD)
    client = FakeClient(allowed=frozenset({"list pods"}))
    missing = await missing_permissions(client, (scale, lease, pods))  # type: ignore[arg-type]
    assert list(map(str, missing)) == [
        "update deployments.apps/scale",
        "patch leases.coordination.k8s.io named it in namespace here",
    ]
    assert client.asked[0] == {
        "verb": "update",
        "group": "apps",
        "version": "v1",
        "resource": "deployments",
        "subresource": "scale",
    }


def test_the_operator_needs_no_secrets_no_nodes_to_change_and_no_pods_to_create() -> None:
    needed = {str(permission) for permission in needed_permissions("here", "it", "atoll-router")}
    assert not [text for text in needed if "secrets" in text or "exec" in text or "*" in text]
    assert "create pods" not in needed
    assert not [text for text in needed if "nodes" in text and text.split()[0] not in {"list", "watch"}]
