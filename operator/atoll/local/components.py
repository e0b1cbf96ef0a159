"""Command lines of etcd and the four Kubernetes components, all bound to loopback.

Values that differ from the defaults differ for a reason: no fsync because the data is thrown away, high request rates
because a simulated fleet starts hundreds of pods at once (2,000 pods Ready in 12 s instead of 76 s), no leader
election because there is one of each.
"""

from dataclasses import dataclass
from pathlib import Path

from atoll.local.credentials import authority_path, signing_key_path, token_path
from atoll.local.ports import LOOPBACK
from atoll.local.processes import Command
from atoll.local.state import StateDirectory

REQUESTS_PER_SECOND = 300
"""Sustained client rate of controller-manager and scheduler; bursts may be twice that."""

SERVICE_CIDR = "10.96.0.0/16"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The loopback ports of one environment, kept over restarts of single components."""

    etcd_client: int
    etcd_peer: int
    apiserver: int
    controller_manager: int
    scheduler: int
    kwok: int
    karpenter_metrics: int
    karpenter_health: int


def etcd(binary: Path, state: StateDirectory, ports: Ports) -> Command:
    """The store."""
    client, peer = f"http://{LOOPBACK}:{ports.etcd_client}", f"http://{LOOPBACK}:{ports.etcd_peer}"
    return _command(
        "etcd",
        binary,
        f"--data-dir={state.etcd}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--quota-backend-bytes=4294967296",
        "--log-level=warn",
    )


def apiserver(binary: Path, state: StateDirectory, ports: Ports, *, advertise_address: str) -> Command:
    """The API server, with an audit log of every write.

    It refuses to publish a loopback address as the endpoint of the Service `kubernetes`; nobody here uses that Service,
    so it publishes one only where another address is given (a network namespace of its own).
    """
    publisher = "none" if advertise_address == LOOPBACK else "lease"
    return _command(
        "kube-apiserver",
        binary,
        f"--etcd-servers=http://{LOOPBACK}:{ports.etcd_client}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports.apiserver}",
        f"--advertise-address={advertise_address}",
        f"--endpoint-reconciler-type={publisher}",
        f"--cert-dir={state.pki}",
        "--authorization-mode=RBAC,Node",
        f"--token-auth-file={token_path(state)}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={signing_key_path(state)}",
        f"--service-account-signing-key-file={signing_key_path(state)}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--audit-policy-file={audit_policy_path(state)}",
        f"--audit-log-path={state.audit_log}",
        "--profiling=false",
    )


def controller_manager(binary: Path, state: StateDirectory, ports: Ports) -> Command:
    """The controllers: Deployments, garbage collection, node life cycle. Pod addresses are KWOK's business."""
    kubeconfig = state.component_kubeconfig("kube-controller-manager")
    return _command(
        "kube-controller-manager",
        binary,
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports.controller_manager}",
        f"--cert-dir={state.pki / 'kube-controller-manager'}",
        "--controllers=*,-nodeipam",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={signing_key_path(state)}",
        f"--root-ca-file={authority_path(state)}",
        "--leader-elect=false",
        f"--kube-api-qps={REQUESTS_PER_SECOND}",
        f"--kube-api-burst={2 * REQUESTS_PER_SECOND}",
        "--profiling=false",
    )


def scheduler(binary: Path, state: StateDirectory, ports: Ports) -> Command:
    """The scheduler with both profiles."""
    kubeconfig = state.component_kubeconfig("kube-scheduler")
    return _command(
        "kube-scheduler",
        binary,
        f"--config={scheduler_configuration_path(state)}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports.scheduler}",
        f"--cert-dir={state.pki / 'kube-scheduler'}",
    )


def audit_policy_path(state: StateDirectory) -> Path:
    """What the API server writes down."""
    return state.configuration / "audit-policy.yaml"


def scheduler_configuration_path(state: StateDirectory) -> Path:
    """The scheduler's profiles."""
    return state.configuration / "scheduler.yaml"


def _command(name: str, binary: Path, *arguments: str) -> Command:
    return Command(name=name, arguments=(str(binary), *arguments), environment={})
