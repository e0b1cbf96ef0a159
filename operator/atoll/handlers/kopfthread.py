"""kopf, as the source of events and nothing else, in a thread of its own.

In our event loop it would replace the handlers of SIGTERM and SIGINT, and at its end it would cancel every task that
was started after it, the release of the Lease among them (kopf 1.45.2, ``reactor/running.py``); and a long decision
would hold up its streams.
"""

import asyncio
import contextlib
import itertools
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import kopf

from atoll.cluster.access import Access, AccessError
from atoll.cluster.lease import NAME
from atoll.domain.objects import CHILD_KINDS, CONFIG_MAP, LEASE, Kind, ObjectLike
from atoll.render.router.routing import ROUTER

MANAGED_BY_US = "app.kubernetes.io/managed-by=atoll"
"""Label of all children; the API server filters by it."""

_IDENTITY: Any = "atoll"
"""For kopf's peering, which is not used. Without one kopf asks for the name of its user, and a pod's has none."""

Deliver = Callable[[Kind, str | None, ObjectLike], None]
"""Takes a kind, ``ADDED``, ``MODIFIED``, ``DELETED`` or None (from a list), and the object."""


class Backoffs:
    """Waits between tries, seconds: without end, so that no outage of the API server ends the operator."""

    def __iter__(self) -> Iterator[float]:
        """Grow to 15 s, spread by a fifth so that many operators do not return at once."""
        for wait in itertools.chain((0.5, 1.0, 2.0, 4.0, 8.0), itertools.repeat(15.0)):
            yield wait * random.uniform(0.8, 1.2)  # noqa: S311  # spreading load is no secret


def watch_settings(*, namespace: str, initial_streaming: bool) -> kopf.OperatorSettings:
    """Settings of kopf 1.45.2, each against a fault that was measured with it.

    Args:
        namespace: of the Lease and of the router's ConfigMap.
        initial_streaming: the API server is 1.34 or later, and may send the first list through the watch.
    """
    settings = kopf.OperatorSettings()
    settings.process.ultimate_exiting_timeout = None  # it would kill the process that we share
    settings.scanning.disabled = True  # a changed definition is a controlled restart
    settings.peering.standalone = True  # its peering compares wall clocks of two machines
    settings.posting.enabled = False
    settings.networking.connect_timeout = 5
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = Backoffs()  # a finite list ends the operator after its sum of seconds
    settings.watching.connect_timeout = 5
    settings.watching.inactivity_timeout = 70
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.initial_streaming = initial_streaming
    settings.watching.chunk_size = None  # a 410 on a continue token ends the operator
    settings.queueing.error_delays = (1, 1, 2, 3, 5, 8, 13, 21, 30)
    for kind in CHILD_KINDS:
        settings.watching.label_selectors[_key(kind)] = MANAGED_BY_US
    for kind in (LEASE, CONFIG_MAP):
        settings.watching.field_selectors[_key(kind)] = chosen_fields(kind, namespace)
    return settings


def chosen_fields(kind: Kind, namespace: str) -> str:
    """Field selector of kinds of which one object is ours; empty for others.

    By it the API server grants list and watch for that object alone: no other ConfigMap of the cluster can be read.

    Args:
        kind: to be listed or watched.
        namespace: of the operator.
    """
    name = {LEASE: NAME, CONFIG_MAP: ROUTER}.get(kind)
    return f"metadata.name={name},metadata.namespace={namespace}" if name else ""


class KopfThread:
    """kopf over a set of kinds. Start it once."""

    def __init__(
        self, *, access: Access, kinds: Iterable[Kind], settings: kopf.OperatorSettings, deliver: Deliver
    ) -> None:
        self._settings = settings
        self._registry = _registry(access, kinds, deliver)
        self._stop = threading.Event()

    async def run(self) -> None:
        """Run kopf; ends when it was stopped, or with what ended it. ``deliver`` is called in kopf's thread."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def report(error: BaseException | None) -> None:
            if ended.done():
                return
            if error is None:
                ended.set_result(None)
            else:
                ended.set_exception(error)

        def main() -> None:
            error: BaseException | None = None
            try:
                asyncio.run(self._operate())
            except BaseException as caught:  # noqa: BLE001  # whatever ended it is the caller's to know
                error = caught if isinstance(caught, Exception) else RuntimeError(f"kopf: {caught!r}")
            with contextlib.suppress(RuntimeError):  # the process is ending: nobody waits any more
                loop.call_soon_threadsafe(report, error)

        threading.Thread(target=main, name="kopf", daemon=True).start()
        try:
            await ended
        finally:
            self._stop.set()

    def stop(self) -> None:
        """Ask it to end, which takes it a few seconds at most."""
        self._stop.set()

    async def _operate(self) -> None:
        try:
            await kopf.operator(
                registry=self._registry,
                settings=self._settings,
                stop_flag=self._stop,
                clusterwide=True,
                identity=_IDENTITY,
            )
        finally:
            self._stop.set()  # a thread of this loop waits for it


def _registry(access: Access, kinds: Iterable[Kind], deliver: Deliver) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(_login(access))
    for kind in kinds:
        kopf.on.event(*_key(kind), registry=registry, id=kind.plural)(_handler(kind, deliver))
    return registry


def _handler(kind: Kind, deliver: Deliver) -> Callable[..., Any]:
    async def on_event(event: dict[str, Any], **_: Any) -> None:
        deliver(kind, event["type"], event["object"])

    return on_event


def _login(access: Access) -> Callable[..., Any]:
    if access.kubeconfig is None:
        # Reads the projected token again whenever the API server refuses the one it has.
        return kopf.login_with_service_account

    async def login(**_: Any) -> kopf.ConnectionInfo:
        try:
            configuration = await access.configuration()
        except AccessError as error:
            raise kopf.TemporaryError(str(error), delay=5) from error
        scheme, _space, token = str(configuration.api_key.get("BearerToken", "")).partition(" ")
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            scheme=scheme or None,
            token=token or None,
            certificate_path=_path(configuration.cert_file),
            private_key_path=_path(configuration.key_file),
            proxy_url=configuration.proxy,
        )

    return login


def _path(value: str | None) -> Path | None:
    return Path(value) if value else None


def _key(kind: Kind) -> tuple[str, str, str]:
    """How kopf names a kind: group, version, plural."""
    group, _, version = kind.api_version.rpartition("/")
    return group, version, kind.plural
