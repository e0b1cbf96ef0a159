"""Router pods as a kubelet would run them: on each pod's address the real Envoy, with its own mount of the ConfigMap.

What the pod says is done: its arguments, its preStop script, its grace period. What differs from a container: it shares
a network namespace with all others, so that every address it would bind is replaced by the pod's (and its loopback by
one of its own), its folder by one of this machine, and its name servers by the local CoreDNS.
"""

import asyncio
import contextlib
import ipaddress
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import msgspec

from atoll.local.controlplane import ControlPlane
from atoll.local.envoy import envoy_path, parse_versions
from atoll.local.follow import client_of, follow
from atoll.local.kubelet import StandInKubelet
from atoll.local.ports import LOOPBACK
from atoll.local.processes import Command
from atoll.render.router.bootstrap import BOOTSTRAP_FILE, CLUSTERS_FILE
from atoll.render.router.configuration import router_labels
from atoll.render.router.routing import RouterSettings

logger = logging.getLogger(__name__)

_ACKNOWLEDGED_WITHIN_SECONDS = 30.0
_POLL_SECONDS = 0.01
_END_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterPod:
    """One Envoy.

    Attributes:
        name: of the pod and of its process.
        address: of the pod.
        loopback: that its admin listens on.
        folder: where its files are.
        kubelet: that delivers them; None before.
    """

    name: str
    address: str
    loopback: str
    folder: Path
    kubelet: StandInKubelet | None = None


@dataclass(slots=True, kw_only=True)
class Acknowledgement:
    """From the swap of the files to the version that Envoy tells, seconds."""

    pod: str
    version: str
    seconds: float


@dataclass(slots=True, kw_only=True)
class RouterPods:
    """Follows router pods in a thread of its own, from ``start`` to ``close``.

    Attributes:
        plane: the cluster.
        settings: the router's, as rendered.
        dns_port: of CoreDNS on loopback.
        delay_seconds: from a change of the ConfigMap to its files, as a kubelet's refresh.
    """

    plane: ControlPlane
    settings: RouterSettings
    dns_port: int
    delay_seconds: float = 0.0
    acknowledgements: list[Acknowledgement] = field(default_factory=list)
    ends: list[tuple[str, int]] = field(default_factory=list)
    """Router pods whose Envoy ended by itself, with its exit status."""
    _pods: dict[str, RouterPod] = field(default_factory=dict)
    _stopping: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _following: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._thread = threading.Thread(target=self._run, name="router-pods", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following; the Envoys end with the cluster's processes."""
        if self._thread is not None and self._following is not None:
            self._loop.call_soon_threadsafe(self._following.cancel)
            self._thread.join()
        for pod in self._pods.values():
            if pod.kubelet is not None:
                pod.kubelet.close()
            self._end_envoy(pod)

    @property
    def running(self) -> tuple[RouterPod, ...]:
        """Those that have an Envoy now."""
        return tuple(self._pods.values())

    def _run(self) -> None:
        self._following = self._loop.create_task(self._follow())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._following)
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _follow(self) -> None:
        selector = ",".join(f"{key}={value}" for key, value in router_labels().items())
        path = f"/api/v1/namespaces/{self.settings.namespace}/pods"
        async with client_of(self.plane.kubeconfig) as client:
            async for pod, there in follow(client, path, selector=selector):
                uid = pod["metadata"]["uid"]
                if not there:
                    await self._forget(uid)
                elif "deletionTimestamp" in pod["metadata"]:
                    if uid in self._pods and uid not in self._stopping:
                        self._stopping[uid] = asyncio.create_task(self._stop(client, uid, pod))
                elif uid not in self._pods and pod.get("status", {}).get("podIP"):
                    self._meet(uid, pod)

    def _meet(self, uid: str, pod: Mapping[str, Any]) -> None:
        name, address = pod["metadata"]["name"], pod["status"]["podIP"]
        folder = self.plane.state.router / name
        item = RouterPod(name=name, address=address, loopback=loopback_of(address), folder=folder)
        container = pod["spec"]["containers"][0]

        def deliver() -> None:
            bootstrap = folder / BOOTSTRAP_FILE
            if not self.plane.processes.has(name):
                own = folder.with_name(f"{name}.{BOOTSTRAP_FILE}")
                text = localised(bootstrap.read_text(encoding="utf-8"), self.settings, item, dns_port=self.dns_port)
                own.write_text(text, encoding="utf-8")
                self._start_envoy(item, container["args"], own)
            else:
                self._time_acknowledgement(item)

        kubelet = StandInKubelet(
            kubeconfig=self.plane.kubeconfig,
            namespace=self.settings.namespace,
            config_map=self.settings.name,
            folder=folder,
            on_sync=deliver,
            delay_seconds=self.delay_seconds,
        )
        self._pods[uid] = replace(item, kubelet=kubelet)
        kubelet.start()

    def _start_envoy(self, item: RouterPod, arguments: list[str], bootstrap: Path) -> None:
        said = f"{self.settings.config_directory}/{BOOTSTRAP_FILE}"
        own = [str(bootstrap) if each == said else each for each in arguments]
        command = Command(name=item.name, arguments=(str(envoy_path()), *own), environment={}, kept=True)
        self.plane.processes.start(command)

    def _time_acknowledgement(self, item: RouterPod) -> None:
        """Measure from the swap that has just happened; the thread is the kubelet's, which has nothing else to do."""
        started = time.monotonic()
        wanted = msgspec.json.decode((item.folder / CLUSTERS_FILE).read_bytes())["version_info"]
        url = f"http://{item.address}:{self.settings.status_port}/stats"
        while time.monotonic() < started + _ACKNOWLEDGED_WITHIN_SECONDS:
            with contextlib.suppress(httpx.TransportError):
                text = httpx.get(url, params={"filter": "version_text"}, trust_env=False).text
                taken = set(parse_versions(text).values()) - {""}
                if taken == {wanted}:
                    passed = time.monotonic() - started
                    self.acknowledgements.append(Acknowledgement(pod=item.name, version=wanted, seconds=passed))
                    return
            time.sleep(_POLL_SECONDS)
        logger.error("%s: %s is not acknowledged", item.name, wanted)

    async def _stop(self, client: httpx.AsyncClient, uid: str, pod: Mapping[str, Any]) -> None:
        """As a kubelet: the preStop script, SIGTERM, and the pod goes once its process has ended."""
        item, metadata = self._pods[uid], pod["metadata"]
        grace = float(metadata.get("deletionGracePeriodSeconds") or 0)
        script = pod["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
        own = [each.replace(LOOPBACK, item.loopback) for each in script]
        hook = await asyncio.create_subprocess_exec(
            *own, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(grace):
                await hook.wait()
        except TimeoutError:
            hook.kill()
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        await asyncio.to_thread(self._end_envoy, item)
        await client.request("DELETE", path, json={"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}})

    async def _forget(self, uid: str) -> None:
        item = self._pods.pop(uid, None)
        self._stopping.pop(uid, None)
        if item is not None:
            if item.kubelet is not None:
                await asyncio.to_thread(item.kubelet.close)
            await asyncio.to_thread(self._end_envoy, item)

    def _end_envoy(self, item: RouterPod) -> None:
        if not self.plane.processes.has(item.name):
            return
        status = self.plane.processes.ended(item.name)
        if status is not None:
            self.ends.append((item.name, status))
        self.plane.processes.end(item.name, patience_seconds=_END_SECONDS)


def localised(bootstrap: str, settings: RouterSettings, pod: RouterPod, *, dns_port: int) -> str:
    """A ConfigMap's own bootstrap with a pod's addresses and folder, and the local name server."""
    text = bootstrap.replace(settings.config_directory, str(pod.folder)).replace(LOOPBACK, pod.loopback)
    text = text.replace(settings.address, pod.address).replace(settings.status_address, pod.address)
    content = msgspec.json.decode(text)
    servers = [{"socket_address": {"address": LOOPBACK, "port_value": dns_port}}]
    content["typed_dns_resolver_config"]["typed_config"]["resolvers"] = servers
    return msgspec.json.encode(content).decode()


def loopback_of(pod_address: str) -> str:
    """A loopback address of its own for a pod: the last three bytes of its address in 127.0.0.0/8."""
    return str(ipaddress.IPv4Address((127 << 24) | (int(ipaddress.IPv4Address(pod_address)) & 0xFFFFFF)))
