"""Cluster DNS: the real CoreDNS, answering names of headless Services from EndpointSlices."""

from pathlib import Path

import httpx

from atoll.local.controlplane import ControlPlane
from atoll.local.ports import LOOPBACK
from atoll.local.processes import Command

PROCESS = "coredns"

_START_SECONDS = 60.0


def start_dns(plane: ControlPlane, binary: Path, *, port: int, ready_port: int) -> None:
    """Start CoreDNS on a loopback port and wait until it knows the cluster."""
    path = plane.state.configuration / "Corefile"
    path.write_text(corefile(plane.kubeconfig, port=port, ready_port=ready_port), encoding="utf-8")
    plane.processes.start(Command(name=PROCESS, arguments=(str(binary), "-conf", str(path)), environment={}))

    def ready() -> bool:
        try:
            return httpx.get(f"http://{LOOPBACK}:{ready_port}/ready", trust_env=False).is_success
        except httpx.TransportError:
            return False

    plane.wait_until(ready, what="CoreDNS ready", seconds=_START_SECONDS)


def corefile(kubeconfig: Path, *, port: int, ready_port: int) -> str:
    """Names of the cluster and no others; an answer may be kept for one second, the shortest that there is."""
    return f"""cluster.local:{port} {{
    bind {LOOPBACK}
    errors
    ready {LOOPBACK}:{ready_port}
    kubernetes cluster.local {{
        kubeconfig {kubeconfig}
        ttl 1
    }}
}}
"""
