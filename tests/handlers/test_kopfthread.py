"""kopf's settings and log-in; the thread itself is tested on a real API server in e2e/test_cluster_edge.py."""

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import kopf
import pytest

from atoll.cluster.access import Access, AccessError
from atoll.domain.objects import DEPLOYMENT, LEASE, POD
from atoll.handlers.kopfthread import Backoffs, KopfThread, _handler, _key, _login, watch_settings


def test_backoffs_never_end_grow_to_a_cap_and_start_anew() -> None:
    backoffs = Backoffs()
    for _ in range(2):
        waits = list(itertools.islice(backoffs, 200))
        assert waits[0] <= 0.6
        assert max(waits) <= 18
        assert min(waits[5:]) >= 12
    assert not hasattr(backoffs, "__len__")  # kopf would take its length for the number of tries


@pytest.mark.parametrize("streaming", [True, False])
def test_kopf_is_a_source_of_events_and_nothing_else(streaming: bool) -> None:
    settings = watch_settings(namespace="atoll-system", initial_streaming=streaming)
    assert settings.scanning.disabled
    assert settings.peering.standalone
    assert not settings.posting.enabled
    assert settings.watching.initial_streaming is streaming
    assert settings.watching.chunk_size is None
    assert isinstance(settings.networking.error_backoffs, Backoffs)
    assert settings.process.ultimate_exiting_timeout is None


def test_children_are_filtered_by_the_api_server_and_all_pods_are_watched() -> None:
    watching = watch_settings(namespace="here", initial_streaming=True).watching
    assert watching.label_selectors[_key(DEPLOYMENT)] == "app.kubernetes.io/managed-by=atoll"
    assert _key(POD) not in watching.label_selectors
    assert watching.field_selectors[_key(LEASE)] == "metadata.name=atoll-operator,metadata.namespace=here"


async def test_a_handler_hands_over_the_raw_event() -> None:
    taken: list[Any] = []
    handler = _handler(POD, lambda *given: taken.append(given))
    await handler(event={"type": "DELETED", "object": {"metadata": {}}}, logger=None)
    assert taken == [(POD, "DELETED", {"metadata": {}})]


async def test_log_in_takes_server_and_token_from_the_kubeconfig(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    connection = await _login(Access(kubeconfig=path))()
    assert connection.server == "https://127.0.0.1:1"
    assert connection.as_http_headers() == {"Authorization": "Bearer secret"}


async def test_log_in_is_tried_again_while_the_kubeconfig_is_missing(tmp_path: Path) -> None:
    with pytest.raises(kopf.TemporaryError, match="no such file"):
        await _login(Access(kubeconfig=tmp_path / "none"))()


def test_in_a_pod_the_token_is_read_anew_by_kopf_itself() -> None:
    assert _login(Access()) is kopf.login_with_service_account


async def test_it_runs_as_a_user_that_no_file_of_the_image_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a pod: a number without an entry in /etc/passwd."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def configuration(_: Access) -> None:
        loop.call_soon_threadsafe(asked.set)
        raise AccessError("not yet")

    monkeypatch.setattr("getpass.getuser", nameless)
    monkeypatch.setattr(Access, "configuration", configuration)
    kopf_thread = KopfThread(
        access=Access(kubeconfig=tmp_path / "none"),
        kinds=[POD],
        settings=watch_settings(namespace="here", initial_streaming=True),
        deliver=lambda *_: None,
    )
    running = asyncio.create_task(kopf_thread.run())
    waiting = asyncio.create_task(asked.wait())
    done, _ = await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
    kopf_thread.stop()
    assert waiting in done, running.exception()
    await asyncio.gather(running, return_exceptions=True)
