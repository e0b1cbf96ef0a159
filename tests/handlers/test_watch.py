"""What the watch does before it has an API server; the rest is tested on a real one in e2e/test_cluster_edge.py."""

import asyncio
import socket
from pathlib import Path

import pytest
import yaml

from atoll.cluster.access import Access
from atoll.cluster.client import Client
from atoll.domain.objects import CONFIG_MAP, LEASE, NODE, Kind
from atoll.handlers.cache import Cache
from atoll.handlers.watch import CACHED, Watch


def _watch(access: Access, woken: list[Kind] | None = None) -> Watch:
    wake = (woken if woken is not None else []).append
    return Watch(client=Client(access), cache=Cache(), wake=wake, namespace="atoll-system")


def _kubeconfig_to_nobody(folder: Path) -> Path:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    content = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("exists", [True, False])
async def test_an_api_server_that_cannot_be_reached_is_tried_again_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    monkeypatch.setattr("atoll.handlers.watch.Backoffs", lambda: iter([0.0] * 5 + [3600.0]))
    watch = _watch(Access(kubeconfig=_kubeconfig_to_nobody(tmp_path) if exists else tmp_path / "none"))
    stop = asyncio.Event()
    task = asyncio.create_task(watch.run(stop))
    while "cannot reach the API server" not in caplog.text:  # noqa: ASYNC110  # a log line is no event
        await asyncio.sleep(0)
    assert not task.done()
    stop.set()
    await asyncio.wait_for(task, 5)
    assert caplog.text.count("cannot reach the API server") == 1
    assert watch.state.since is None
    await watch.client.close()


def test_an_event_fills_the_cache_and_wakes_once() -> None:
    woken: list[Kind] = []
    watch = _watch(Access(), woken)
    node = {"metadata": {"name": "n", "uid": "u", "resourceVersion": "5"}, "status": {"images": [{}]}}
    for what in (None, "ADDED", "MODIFIED"):
        watch._take(NODE, what, node)
    assert woken == [NODE]
    watch._take(NODE, "DELETED", node)
    assert woken == [NODE, NODE]
    assert not watch.cache.view()["Node"]


def test_the_lease_is_seen_and_wakes_nobody() -> None:
    woken: list[Kind] = []
    watch = _watch(Access(), woken)
    watch._take(LEASE, "MODIFIED", {"metadata": {"name": "atoll-operator"}})
    assert watch.state.lease_seen_at is not None
    assert not woken
    assert LEASE not in CACHED
    assert CONFIG_MAP in CACHED
