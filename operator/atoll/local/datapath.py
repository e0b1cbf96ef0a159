"""Atoll with its data path on a local cluster: requests reach stand-in engines through the router's real Envoys.

Beside what :class:`~atoll.local.fleet.LocalFleet` runs: CoreDNS over real EndpointSlices; for every router pod an Envoy
on the pod's own address, configured by the pod's own mount of the ConfigMap; for every engine pod a stand-in engine on
its address. Needs a network namespace (:mod:`atoll.local.namespace`).
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from atoll.local.controlplane import ControlPlane
from atoll.local.coredns import start_dns
from atoll.local.fleet import LocalFleet
from atoll.local.ports import LOOPBACK, free_ports
from atoll.local.processes import Command
from atoll.local.routerpods import RouterPods
from atoll.render.router.routing import RouterSettings

ENGINES = "engines"

_START_SECONDS = 30.0


class DataPath(LocalFleet):
    """A local fleet whose Fleet is taken as it is: versions are read from the router pods themselves."""

    def __init__(
        self,
        plane: ControlPlane,
        *,
        coredns: Path,
        speed: float = 1.0,
        chunk_tokens: int = 1,
        delivery_delay: float = 0.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            plane: the cluster.
            coredns: its program.
            speed: simulated seconds per second of the engines.
            chunk_tokens: tokens in one server-sent event.
            delivery_delay: from a change of the router's ConfigMap to its files, seconds.
            environment: further settings of the operator.
        """
        super().__init__(plane, environment=environment)
        self._coredns = coredns
        self._speed, self._chunk_tokens = speed, chunk_tokens
        self._dns, self._dns_ready, self._control = free_ports(3)
        self.router_pods = RouterPods(
            plane=plane, settings=RouterSettings(), dns_port=self._dns, delay_seconds=delivery_delay
        )

    def start_router(self) -> None:
        """Start DNS, the stand-in engines and what follows router pods; each waits for what the operator makes."""
        start_dns(self._plane, self._coredns, port=self._dns, ready_port=self._dns_ready)
        self._plane.processes.start(
            Command(
                name=ENGINES,
                arguments=(
                    *(sys.executable, "-m", "atoll.local.engines"),
                    *("--kubeconfig", str(self._plane.kubeconfig)),
                    *("--control-port", str(self._control)),
                    *("--speed", str(self._speed)),
                    *("--chunk-tokens", str(self._chunk_tokens)),
                ),
                environment={},
            )
        )
        self._plane.wait_until(self._engines_answer, what="stand-in engines answer", seconds=_START_SECONDS)
        self.router_pods.start()

    def localised(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """A manifest as it is."""
        return dict(obj)

    def engines(self) -> list[dict[str, Any]]:
        """Every stand-in engine: pod, demand, strategy, node, address, requests, tokens."""
        return list(self._engine_process("GET", "/engines"))

    def lose_node_abruptly(self, node: str) -> list[str]:
        """End all engines of a node without notice, connections reset; tags of the requests they had in flight."""
        return list(self._engine_process("POST", f"/nodes/{node}/lose"))

    def crash_engine(self, pod: str, *, back_seconds: float) -> list[str]:
        """End the engine of a pod and start it again after a pause; tags of the requests it had in flight."""
        return list(self._engine_process("POST", f"/pods/{pod}/crash?backSeconds={back_seconds}"))

    def hang_engine(self, pod: str) -> None:
        """The engine of a pod answers nothing any more, not even its health, until it crashes."""
        self._engine_process("POST", f"/pods/{pod}/hang")

    def close(self) -> None:
        """End operator and routers; engines and DNS end with the cluster."""
        self.router_pods.close()
        super().close()

    def _engines_answer(self) -> bool:
        try:
            self.engines()
        except httpx.TransportError:
            return False
        return True

    def _engine_process(self, method: str, path: str) -> Any:
        answer = httpx.request(method, f"http://{LOOPBACK}:{self._control}{path}", trust_env=False, timeout=30.0)
        answer.raise_for_status()
        return answer.json()
