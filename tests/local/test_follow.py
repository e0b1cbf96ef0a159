import json
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from atoll.local import follow as module
from atoll.local.follow import follow


def item(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}"}}


def listed(*names: str) -> httpx.Response:
    return httpx.Response(200, json={"metadata": {"resourceVersion": "7"}, "items": [item(name) for name in names]})


def events(*told: tuple[str, str]) -> httpx.Response:
    lines = [json.dumps({"type": kind, "object": item(name)}) for kind, name in told]
    return httpx.Response(200, text="".join(f"{line}\n" for line in lines))


async def seen(answers: list[httpx.Response | Exception], count: int) -> list[tuple[str, bool]]:
    """The first so many things that are told while the API server answers so."""
    asked = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        del request
        given = next(asked)
        if isinstance(given, Exception):
            raise given
        return given

    found: list[tuple[str, bool]] = []
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://api")
    async with client, aclosing(follow(client, "/api/v1/pods")) as told:
        async for obj, there in told:
            found.append((obj["metadata"]["name"], there))
            if len(found) == count:
                break
    return found


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.0)


async def test_what_is_there_is_told_and_then_every_change() -> None:
    changes = events(("MODIFIED", "a"), ("ADDED", "c"), ("DELETED", "b"))
    assert await seen([listed("a", "b"), changes], 5) == [
        ("a", True),
        ("b", True),
        ("a", True),
        ("c", True),
        ("b", False),
    ]


async def test_what_vanished_while_nobody_watched_is_told_after_an_interruption() -> None:
    down = httpx.ConnectError("refused")
    assert await seen([listed("a", "b"), down, down, listed("b")], 4) == [
        ("a", True),
        ("b", True),
        ("a", False),
        ("b", True),
    ]


async def test_a_version_that_the_server_forgot_leads_to_another_list() -> None:
    assert await seen([listed("a"), events(("ERROR", "x")), listed("a")], 2) == [("a", True), ("a", True)]
